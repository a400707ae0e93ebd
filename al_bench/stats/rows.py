"""A comparison as flat tables, a row an arm."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from al_bench.results.schema import SAMPLING
from al_bench.stats.across import Across
from al_bench.stats.against_itself import NOMINAL
from al_bench.stats.arms import ArmResult, ProtocolResult, speed_ups
from al_bench.stats.comparison import Comparison
from al_bench.stats.intervals import mean_interval, quartiles
from al_bench.stats.measures import labels_saved, measure, times_sooner
from al_bench.stats.spent import LABELS, STEPS, Axis
from al_bench.stats.undefined import reason


def arm_rows(comparison: Comparison) -> pd.DataFrame:
    """A row an arm and protocol; columns are documented in ``docs/comparing.md``.

    Values are in units of the stored metric (0.9, not 90 %), differences are arm less baseline.
    """
    return pd.DataFrame(
        [row for result in comparison.protocols for row in protocol_rows(comparison, result)]
    )


def protocol_rows(comparison: Comparison, result: ProtocolResult) -> list[dict[str, Any]]:
    """The rows of one protocol."""
    return [_row(comparison, result, arm) for arm in result.arms]


def _row(comparison: Comparison, result: ProtocolResult, arm: ArmResult) -> dict[str, Any]:
    sign = comparison.measure.sign
    area = mean_interval(arm.areas)
    spent = result.axis.many
    row: dict[str, Any] = {
        "protocol": result.title,
        "protocol_id": result.key,
        "dataset": result.dataset,
        **({"setting": SAMPLING} if result.axis is STEPS else {}),
        "metric": comparison.metric,
        "arm": arm.arm,
        "sees_labels": arm.sees_labels,
        "baseline": arm.baseline,
        "seeds": len(arm.seeds),
        f"{spent}_from": result.low,
        f"{spent}_to": result.high,
        "area": float(area.mean),
        "area_low": float(area.low),
        "area_high": float(area.high),
        "verdict": arm.verdict,
        "noise_floor": result.noise_floor,
        "margin": result.margin,
        "undefined": reason(result, arm),
    }
    against_itself = arm.against_itself
    if against_itself is not None:
        row |= {"aa_pairs": against_itself.pairs, "aa_splits": against_itself.splits}
        for word, rate in against_itself.rates.items():
            row[f"aa_{word.replace(' ', '_')}"] = rate
        row |= {f"aa_{word}_nominal": rate for word, rate in NOMINAL.items()}
    if result.compared:
        row["compared"] = result.compared
    pair = arm.paired
    if pair is not None:
        low, high = sorted((sign * pair.low, sign * pair.high))
        row |= {
            "pairs": pair.num_seeds,
            "difference": sign * pair.mean,
            "difference_low": low,
            "difference_high": high,
            "wins": pair.wins,
            "ties": pair.ties,
            "losses": pair.losses,
            "p": pair.p,
            "p_holm": arm.p_holm,
            "p_t": pair.p_t,
            "p_sign_flip": pair.p_sign_flip,
            "p_smallest": pair.p_smallest,
            "p_equivalence": pair.p_equivalence,
            "p_equivalence_holm": arm.p_equivalence_holm,
            "seeds_needed": pair.seeds_needed,
        }
    if arm.third_differences is not None:
        names = ("difference_low_third", "difference_middle_third", "difference_high_third")
        row |= dict(zip(names, (sign * d for d in arm.third_differences), strict=True))
    if arm.saved is not None:
        column = f"{spent}_saved"
        row |= dict(zip((column, f"{column}_low", f"{column}_high"), arm.saved, strict=True))
        row |= {f"{column}_at_most": arm.saved_at_most, f"{column}_at_start": arm.saved_at_start}
    for target, counts in arm.labels_to.items():
        unknown = (math.nan, math.nan, math.nan)
        low, median, high = quartiles(counts) if len(counts) else unknown
        before = quartiles(arm.labels_before[target])[1] if len(counts) else math.nan
        name = f"{spent}_to_{target:g}"
        row |= {
            f"{name}_q25": low,
            name: median,
            f"{name}_q75": high,
            **({f"{name}_less_a_batch": before} if result.axis is LABELS else {}),
            f"{name}_never": int(np.isinf(counts).sum()),
        }
    for name, speed_up in speed_ups(arm).items():
        if speed_up is not None:
            row |= {
                name: speed_up.median,
                f"{name}_low": speed_up.interval[0],
                f"{name}_high": speed_up.interval[1],
                f"{name}_q25": speed_up.quartiles[0],
                f"{name}_q75": speed_up.quartiles[1],
                f"{name}_never": speed_up.never,
            }
    return row


def axis_of_row(row: Mapping[Any, Any]) -> Axis:
    """What the arm of a row has spent, which its columns are named by."""
    return STEPS if row.get("setting") == SAMPLING else LABELS


def is_one_count(row: Mapping[Any, Any]) -> bool:
    """Whether the arm of a row was compared at a single count, where one round is all there is."""
    spent = axis_of_row(row).many
    return bool(row[f"{spent}_from"] == row[f"{spent}_to"])


def area_in_words(row: Mapping[Any, Any]) -> str:
    """The heading of a row's areas: "area", or what they are at a single count."""
    if not is_one_count(row):
        return "area"
    spent = axis_of_row(row)
    words = measure(str(row["metric"])).words
    return f"{words} at {spent.counted(int(row[f'{spent.many}_to']))}"


def saved_in_row(row: Mapping[Any, Any]) -> str:
    """Labels or steps saved by the arm of a row, with their interval; empty where not known."""
    name = f"{axis_of_row(row).many}_saved"
    if pd.isna(row.get(name, math.nan)):
        return ""
    return labels_saved(
        row[name],
        row[f"{name}_low"],
        row[f"{name}_high"],
        at_most=row[f"{name}_at_most"] is True,
        at_start=row[f"{name}_at_start"] is True,
    )


def speed_up_in_row(row: Mapping[Any, Any], name: str = "speed_up") -> str:
    """The median speed-up of the arm of a row, with its interval; empty where not known.

    Args:
        row: Of ``arm_rows``.
        name: ``speed_up``, ``speed_up_published`` or ``speed_up_time``.
    """
    if pd.isna(row.get(name, math.nan)):
        return ""
    text = times_sooner(row[name])
    if pd.isna(row[f"{name}_low"]) or row[f"{name}_high"] == 0:
        return text
    return f"{text} [{times_sooner(row[f'{name}_low'])}, {times_sooner(row[f'{name}_high'])}]"


def across_rows(across: Across, baseline: str) -> pd.DataFrame:
    """A row an arm over all protocols: ranks, gains, improvement over the baseline, penalties."""
    rows = []
    for a, arm in enumerate(across.arms):
        its_baseline = baseline if baseline in across.arms else across.baselines[a]
        base = across.arms.index(its_baseline) if its_baseline in across.arms else None
        row: dict[str, Any] = {"arm": arm, "protocols": len(across.protocols)}
        for name, estimate in (("rank", across.ranks), ("gain", across.gain)):
            row[name] = float(estimate.value[a])
            row[f"{name}_low"] = float(estimate.low[a])
            row[f"{name}_high"] = float(estimate.high[a])
        better = across.improvement
        for name, part in (("", better.value), ("_low", better.low), ("_high", better.high)):
            value = math.nan if base is None or base == a else float(part[a, base])
            row[f"improvement{name}"] = value
        row["penalty"] = float(across.lost[a])
        rows.append(row)
    return pd.DataFrame(rows)
