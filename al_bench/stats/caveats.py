"""Sentences that belong beside the numbers of a comparison."""

import math
from collections.abc import Mapping

import pandas as pd

from al_bench.results.schema import ENGINE
from al_bench.stats.arms import ProtocolResult
from al_bench.text.natural import natural

FEW_SEEDS = 5


def caveats(result: ProtocolResult, rows: pd.DataFrame, several: bool) -> list[str]:
    """Sentences about one protocol that belong beside its numbers."""
    where = f" ({result.title})" if several else ""
    sentences = []
    if result.baseline is None and len(result.arms) > 1:
        names = sorted((arm.arm for arm in result.arms), key=natural)
        other = next((name for name in names if name.startswith(result.axis.baseline)), names[0])
        sentences.append(
            f"{result.title} has no baseline: its arms are not compared. Try baseline={other}."
        )
    if math.isnan(result.low):
        sentences.append(
            f"The arms of {result.title} share fewer than two {result.axis.one} counts."
        )
    if result.is_one_count and any(arm.labels_to for arm in result.arms):
        sentences.append(
            f"One round is all that the budget of {result.title} buys: {result.axis.many} to a "
            "value are counted along curves, and there are none."
        )
    numbers = {arm.arm: len(arm.seeds) for arm in result.arms}
    if len({arm.seeds for arm in result.arms}) > 1:
        text = ", ".join(
            f"{name} {count}"
            for name, count in sorted(numbers.items(), key=lambda item: natural(item[0]))
        )
        sentences.append(
            f"Arms have different seeds{where}: {text}; pairs are made of common ones."
        )
    for arm in result.arms:
        if not arm.seeds and not math.isnan(result.low):
            sentences.append(
                f"{arm.arm} has no seed with all rounds from {result.low:g} to {result.high:g} "
                f"{result.axis.many}{where}: it is not compared."
            )
        elif result.baseline is not None and arm.baseline is None:
            sentences.append(
                f"{arm.arm} has no baseline{where}: no {result.baseline} equals it in the other "
                "keys."
            )
        elif arm.baseline is not None and not arm.is_baseline and arm.paired is None:
            sentences.append(f"{arm.arm} shares no whole seed with {arm.baseline}{where}.")
        elif arm.paired is not None and arm.paired.num_seeds < 2:
            sentences.append(
                f"{arm.arm} is compared on one seed{where}: nothing can be said of chance."
            )
        if arm.sees_labels:
            sentences.append(f"{arm.arm} sees labels before they are bought{where}: a control.")
    few = [arm.paired.num_seeds for arm in result.arms if arm.paired is not None]
    if few and 1 < max(few) < FEW_SEEDS:
        sentences.append(
            f"Only {max(few)} seeds{where}: intervals are wide, 5 are a common minimum."
        )
    bases = {arm.arm: arm.baseline for arm in result.arms if arm.paired is not None}
    sentences += [f"{sentence}{where}." for sentence in _confounded(rows, bases)]
    saturated = rows["notes"].astype("string").str.contains("saturated_at").fillna(False)
    for name in sorted(set(rows.loc[saturated, "strategy_label"]), key=natural):
        chose = saturated | rows["seconds_select"].notna()  # notes alone may be the model's
        batches = (rows["strategy_label"] == name) & chose
        share = saturated[batches].mean()
        sentences.append(
            f"{name} noted saturation in {100 * share:.0f} % of its batches{where}: late picks "
            "follow the accidents of its posterior samples."
        )
    return sentences


def _confounded(rows: pd.DataFrame, bases: Mapping[str, str | None]) -> list[str]:
    """Engine columns that differ between an arm and its baseline on the same seed.

    Args:
        rows: Of the protocol.
        bases: Of each arm that is compared, the baseline.
    """
    sentences = []
    for name in ENGINE:
        if name not in rows or rows[name].nunique(dropna=False) < 2:
            continue
        per_arm = rows.groupby("strategy_label")[name].agg(_distinct)
        if all(len(values) <= 1 for values in per_arm):
            text = ", ".join(
                f"{arm} {'/'.join(map(str, values)) or 'none'}" for arm, values in per_arm.items()
            )
            sentences.append(f"The engine's {name} differs with the arm ({text})")
            continue
        trials = rows.groupby(["strategy_label", "seed"])[name].agg(_distinct)
        for arm, base in bases.items():
            if base is None or arm not in trials or base not in trials:
                continue
            pairs = pd.concat([trials[arm], trials[base]], axis=1, join="inner")
            differing = int((pairs.iloc[:, 0] != pairs.iloc[:, 1]).sum())
            if differing:
                sentences.append(
                    f"The engine's {name} differs from that of {base} in {differing} of "
                    f"{len(pairs)} pairs of {arm}"
                )
    return sentences


def _distinct(values: "pd.Series[str]") -> tuple[str, ...]:
    return tuple(sorted(map(str, values.dropna().unique())))
