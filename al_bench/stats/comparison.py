"""Arms compared seed by seed with a baseline, within each protocol.

An *arm* is what is compared: a strategy, or on purpose a strategy with a model, a recipe or any
other key. Arms of one protocol share everything else, so seed s of one arm and seed s of another
began with the same split, the same initial set and the same weights.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.errors import ConfigError
from al_bench.results.schema import ENGINE
from al_bench.stats.against_itself import FEWEST, against_itself
from al_bench.stats.areas import normalized_area, thirds
from al_bench.stats.arms import ArmResult, Curves, ProtocolResult, curves_of
from al_bench.stats.caveats import caveats
from al_bench.stats.ceilings import without_ceilings
from al_bench.stats.looks import Decisions, Spans, by_rule, later_seeds
from al_bench.stats.measures import Measure, check_reach, measure
from al_bench.stats.one_round import is_one_round
from al_bench.stats.paired import (
    Paired,
    holm,
    holm_factors,
    noise_floor,
    paired,
    seeds_needed,
)
from al_bench.stats.protocols import titles
from al_bench.stats.runs import by_run
from al_bench.stats.saved import labels_saved
from al_bench.stats.sooner import with_speed_ups
from al_bench.stats.spent import LABELS, STEPS, Axis, by_axis, labels_asked_for
from al_bench.stats.summary import tidy
from al_bench.stats.verdicts import LEVEL, verdict
from al_bench.stats.widened import STRATEGY, baselines, widened
from al_bench.text.natural import natural

Array = NDArray[np.float64]

MARGIN = 0.005  # half a point of a fraction
RELATIVE_MARGIN = 0.02  # of the baseline's area, for metrics that are no fraction
CHOSEN = "selected_"  # columns of what steps were taken on, which has no speed


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found.

    Args:
        metric: The column.
        measure: What it is.
        protocols: Those that spend labels, then those that spend steps, in the order of titles.
        caveats: Sentences that belong beside the numbers.
    """

    metric: str
    measure: Measure
    protocols: tuple[ProtocolResult, ...]
    caveats: tuple[str, ...]

    def by_axis(self) -> "dict[Axis, Comparison]":
        """Comparisons of what spends labels and of what spends steps, where there are any."""
        kinds = dict.fromkeys(result.axis for result in self.protocols)
        return {
            axis: replace(self, protocols=tuple(r for r in self.protocols if r.axis is axis))
            for axis in kinds
        }


def compare(
    frame: pd.DataFrame,
    metric: str = "test_accuracy",
    baseline: str | None = None,
    arms: Sequence[str] = ("strategy",),
    reach: Sequence[float] = (),
    margin: float | None = None,
    count_validation: bool = False,
    aa: bool = False,
    spans: Spans | None = None,
    staged: Decisions = (),
) -> Comparison:
    """Compare all arms with the baseline, protocol by protocol.

    Results that spend labels come first, then those that spend steps; where one of these kinds
    cannot be compared, a caveat says why.

    Args:
        frame: Rows of curves (``al_bench.results.frame.read_curves``); their order is without
            meaning.
        metric: A numeric column. Of one that is neither to be raised nor lowered, such as
            ``selected_known``, arms are higher or lower than the baseline, and nothing is saved.
        baseline: Name of the arm that the others are compared with, ``None`` for ``random``, or
            ``uniform`` where steps are spent. Where arms are told apart by more than their
            strategy, it is the name of a strategy, and each arm is compared with the one that
            equals it in the other keys.
        arms: What tells arms apart: ``strategy``, which is the selection where steps are spent, and
            more, see ``widened``.
        reach: Values of the metric whose labels, or steps, are counted.
        margin: Differences of area within it are equivalent; ``None`` is 0.005 for fractions (half
            a point), else 2 % of the baseline's area.
        count_validation: Count validation points as labels.
        aa: Compare the baseline's seeds with themselves too (``against_itself``).
        spans: Run id and seed to when the trial began and ended, where that is known: a caveat
            then names seeds that were added later and changed a verdict (``looks``).
        staged: What sweeps in stages have decided: a caveat tells it, and that seeds came later
            is no reproach to these runs.

    Raises:
        ConfigError: The metric, an arm or the baseline does not exist, ``reach`` or ``aa`` is
            wanted of a metric without direction, or ``aa`` and the baseline has too few seeds in
            every protocol.
    """
    quantity = measure(metric)
    if aa and quantity.higher_is_better is None:
        raise ConfigError(
            f"{metric} is neither to be raised nor lowered, and aa=true counts how often chance is "
            "called better.",
            "Leave aa=true out.",
        )
    check_reach(reach, metric, quantity)
    kinds = dict(by_axis(without_ceilings(frame)))
    if count_validation and LABELS not in kinds:
        raise ConfigError("count_validation counts labels, and here steps are spent.", "Leave it.")
    arms = [STRATEGY if name == "selection" else name for name in arms]
    arguments = _Arguments(metric, arms, reach, margin, count_validation, aa, spans or {}, staged)
    protocols: list[ProtocolResult] = []
    sentences: list[str] = []
    errors: list[ConfigError] = []
    for axis, rows in kinds.items():
        try:
            results, remarks = _of_axis(axis, rows, baseline or axis.baseline, arguments)
        except ConfigError as error:
            errors.append(error)
            sentences.append(f"What spends {axis.many} is not compared: {error}")
        else:
            protocols += results
            sentences += remarks
    if len(errors) == len(kinds):
        raise errors[0]
    if aa:
        sentences += _without_aa(protocols)
    return Comparison(metric, quantity, tuple(protocols), tuple(sentences))


@dataclass(frozen=True)
class _Arguments:
    """Arguments of ``compare`` that are the same for labels and steps."""

    metric: str
    arms: Sequence[str]
    reach: Sequence[float]
    margin: float | None
    count_validation: bool
    aa: bool
    spans: Spans
    staged: Decisions


def _of_axis(
    axis: Axis, frame: pd.DataFrame, baseline: str, arguments: _Arguments
) -> tuple[list[ProtocolResult], list[str]]:
    """The protocols that spend labels, or those that spend steps, and sentences on them."""
    quantity, rows, refused = measure(arguments.metric), frame, False
    if axis is LABELS:
        labels, refused = labels_asked_for(frame)
        rows = frame.assign(num_labeled=labels)
        if arguments.count_validation:
            rows = rows.assign(num_labeled=rows["num_labeled"] + rows["num_validation"])
    wide = widened(rows, arguments.arms)
    rows = wide.rows
    curves = tidy(rows, arguments.metric)
    names = titles(rows)
    present = set(curves["strategy_label"])
    arms = {name: arm for name, arm in wide.arms.items() if name in present}
    baseline_of, compared = baselines(baseline, arms)
    several = len(set(baseline_of.values())) > 1
    sentences = [*wide.caveats]
    if refused:
        sentences.append("Labels were refused: where they were, labels asked for are counted.")
    runs = set(rows["run_id"])
    decisions = [one for one in arguments.staged if one.get("run_id") in runs]
    added_by_rule = {one["run_id"] for one in decisions}
    spans = {
        trial: span for trial, span in arguments.spans.items() if trial[0] not in added_by_rule
    }
    sentences += by_rule(decisions)
    sign, has_direction = quantity.sign, quantity.higher_is_better is not None
    controls = set(rows.loc[_flag(rows, "label_access"), "strategy_label"])
    protocols = []
    for key in names:
        its_curves = curves[curves["protocol_id"] == key]
        if its_curves.empty:
            continue
        its_rows = rows[rows["protocol_id"] == key]
        table = {str(name): curves_of(part) for name, part in its_curves.groupby("strategy_label")}
        one_budget = not any(key.split(".")[0] == "budget" for key in arguments.arms)
        stops_early = axis is LABELS and _stops_early(its_rows)
        one_round = axis is LABELS and is_one_round(its_rows)
        result = _protocol(
            table,
            baseline_of,
            sign,
            arguments.reach,
            arguments.margin,
            quantity,
            axis,
            one_budget,
            one_round,
            stops_early,
        )
        result = replace(
            result,
            baseline=baseline if several and result.baseline else result.baseline,
            compared=compared,
            key=key,
            title=names[key],
            dataset=str(its_rows["dataset"].iloc[0]),
            arms=tuple(replace(arm, sees_labels=arm.arm in controls) for arm in result.arms),
        )
        if axis is STEPS and not arguments.metric.startswith(CHOSEN) and has_direction:
            result = with_speed_ups(result, its_rows, sign)
        if arguments.aa:
            split = tuple(_against_itself(arm, result.margin) for arm in result.arms)
            result = replace(result, arms=split)
        sentences += _later_seeds(
            result,
            its_rows,
            spans,
            partial(
                _protocol,
                baseline_of=baseline_of,
                sign=sign,
                reach=(),
                margin=result.margin,
                quantity=quantity,
                axis=axis,
                one_budget=one_budget,
                one_round=one_round,
                stops_early=stops_early,
            ),
            len(names) > 1,
        )
        without_arms = its_rows.drop(columns=[k for k in arguments.arms if k in ENGINE])
        if stops_early:
            where = f" in {names[key]}" if len(names) > 1 else ""
            sentences.append(
                f"Trials end at budget.target_accuracy{where}: areas go on to the count at which "
                "the first of them ended, and no further."
            )
        sentences += caveats(result, without_arms, len(names) > 1)  # what arms are is no caveat
        protocols.append(result)
    return protocols, sentences


def _later_seeds(
    result: ProtocolResult,
    rows: pd.DataFrame,
    spans: Spans,
    judge: Callable[[Mapping[str, Curves]], ProtocolResult],
    several: bool,
) -> list[str]:
    trials = rows[["strategy_label", "run_id", "seed"]].drop_duplicates().itertuples(index=False)
    arm_spans = {(arm, seed): spans[run, seed] for arm, run, seed in trials if (run, seed) in spans}

    def again(seeds: Sequence[int]) -> ProtocolResult:
        return judge({name: curve.only(seeds) for name, curve in result.curves.items()})

    sentence = later_seeds(result, arm_spans, again)
    where = f"{result.title}: " if several else ""
    return [] if sentence is None else [where + sentence]


def _against_itself(arm: ArmResult, margin: float) -> ArmResult:
    """The arm, with its seeds compared with themselves where it is a baseline with enough."""
    if not arm.is_baseline or len(arm.areas) < FEWEST:
        return arm
    return replace(arm, against_itself=against_itself(arm.areas, margin))


def _without_aa(protocols: Sequence[ProtocolResult]) -> list[str]:
    """Sentences on baselines with too few seeds for being split.

    Raises:
        ConfigError: None has enough.
    """
    bases = [(result.title, arm) for result in protocols for arm in result.arms if arm.is_baseline]
    lacking = [(title, arm) for title, arm in bases if arm.against_itself is None]
    texts = [
        f"aa=true splits the seeds of {arm.arm} into two halves and needs {FEWEST} whole ones, "
        f"there are {len(arm.areas)}"
        for _, arm in lacking
    ]
    if len(lacking) == len(bases):
        raise ConfigError(f"{texts[0]}.", f"Add seeds={FEWEST} to its run, or leave aa=true out.")
    return [f"{text} in {title}." for text, (title, _) in zip(texts, lacking, strict=True)]


def _flag(rows: pd.DataFrame, name: str) -> "pd.Series[bool]":
    if name not in rows:
        return pd.Series(False, index=rows.index)
    return rows[name].astype("boolean").fillna(False).astype(bool)


def _protocol(
    table: Mapping[str, Curves],
    baseline_of: Mapping[str, str],
    sign: float,
    reach: Sequence[float],
    margin: float | None,
    quantity: Measure,
    axis: Axis,
    one_budget: bool,
    one_round: bool,
    stops_early: bool,
) -> ProtocolResult:
    """The arms of a protocol; ``baseline_of`` says which arm each is compared with.

    Areas take two counts; where ``one_round`` is all that the budgets buy, values are compared.
    Where trials stop early, areas end where the first of them does: later on those are missing that
    learn fastest.
    """
    together = table
    bases = {name: baseline_of[name] for name in table if baseline_of.get(name) in table}
    baseline = next(iter(bases.values()), None)
    if bases and one_budget and not stops_early:
        # All arms of a protocol have one budget: one that ends before the baselines is unfinished.
        end = max(table[name].counts[-1] for name in bases.values())
        together = {name: curve for name, curve in table.items() if curve.counts[-1] >= end}
    counts = (curve.of_all_seeds if stops_early else curve.counts for curve in together.values())
    shared = sorted(set.intersection(*map(set, counts)))
    is_known = len(shared) > 1 or (one_round and len(shared) == 1)
    low, high = (shared[0], shared[-1]) if is_known else (math.nan, math.nan)
    whole = {
        name: curve.over(shared)
        if is_known and name in together
        else Curves(curve.counts, curve.values[:0], ())
        for name, curve in table.items()
    }
    areas = {
        name: normalized_area(curve.counts, curve.values, low, high) if curve.seeds else np.empty(0)
        for name, curve in whole.items()
    }
    base_areas = {name: areas[name] for name in dict.fromkeys(bases.values())}
    if margin is None:
        every = np.concatenate([*base_areas.values(), np.empty(0)])
        size = abs(float(every.mean())) if len(every) else 0.0
        margin = MARGIN if quantity.unit == "%" else max(RELATIVE_MARGIN * size, 1e-12)
    end_of_all = max(curve.counts[-1] for curve in table.values())
    results = []
    differences: dict[str, Array] = {}
    for name, curve in whole.items():
        known_to = end_of_all if one_budget else curve.counts[-1]
        reached = {target: _first_stored(table[name], target, sign, known_to) for target in reach}
        fields: dict[str, Any] = {
            "arm": name,
            "baseline": bases.get(name),
            "seeds": curve.seeds,
            "areas": areas[name],
            "labels_to": {target: counts for target, (counts, _) in reached.items()},
            "labels_before": {target: counts for target, (_, counts) in reached.items()},
        }
        base = whole[bases.get(name, name)]
        mine, theirs = curve.only(base.seeds), base.only(curve.seeds)
        if base is not curve and mine.seeds:
            differences[name], statistics = _beside(mine, theirs, sign, low, high, margin)
            fields |= statistics
            if quantity.higher_is_better is not None and low < high:
                fields |= _saved(mine, theirs, sign, low, high)
        results.append(fields)
    pairs: list[Paired | None] = [fields.get("paired") for fields in results]
    raw = [math.nan if pair is None else pair.p for pair in pairs]
    within = holm([math.nan if pair is None else pair.p_equivalence for pair in pairs])
    arms = []
    for fields, p, q, factor in zip(results, holm(raw), within, holm_factors(raw), strict=True):
        if "paired" in fields:
            fields |= {"p_holm": float(p), "p_equivalence_holm": float(q)}
            has_direction = quantity.higher_is_better is not None
            fields["verdict"] = verdict(
                fields["paired"].mean, float(p), float(q), has_direction=has_direction
            )
        if factor > 1:  # the verdict asks for as much more
            needed = seeds_needed(differences[fields["arm"]], 1 - LEVEL / float(factor))
            fields["paired"] = replace(fields["paired"], seeds_needed=needed)
        arms.append(ArmResult(**fields))

    def place(arm: ArmResult) -> tuple[bool, float, tuple[str | float, ...]]:
        value = -sign * float(arm.areas.mean()) if len(arm.areas) else math.inf
        return not arm.is_baseline, value, natural(arm.arm)

    floors = [noise_floor(values) for values in base_areas.values()]
    arms.sort(key=place)
    return ProtocolResult(
        baseline=baseline,
        low=low,
        high=high,
        noise_floor=max((floor for floor in floors if not math.isnan(floor)), default=math.nan),
        margin=margin,
        arms=tuple(arms),
        curves=dict(table),
        axis=axis,
    )


def _beside(
    arm: Curves, base: Curves, sign: float, low: float, high: float, margin: float
) -> tuple[Array, dict[str, Any]]:
    """Differences of an arm to its baseline, (S,), and what they say as fields of ``ArmResult``.

    Args:
        arm: The arm's curves.
        base: The baseline's of the same seeds, at least one.
        sign: -1 where the metric is to be lowered, else 1.
        low: Where the common range of counts begins.
        high: Where it ends.
        margin: Of equivalence.
    """

    def difference(low: float, high: float) -> Array:
        area = normalized_area(arm.counts, arm.values, low, high)
        return sign * (area - normalized_area(base.counts, base.values, low, high))

    d = difference(low, high)
    fields: dict[str, Any] = {"paired": paired(d, margin)}
    if low < high:
        means = (float(difference(*part).mean()) for part in thirds(low, high))
        fields["third_differences"] = tuple(means)
    return d, fields


def _saved(arm: Curves, base: Curves, sign: float, low: float, high: float) -> dict[str, Any]:
    """What an arm saves, as fields of ``ArmResult``; arguments as of ``_beside``."""
    mine, theirs = (replace(one, values=sign * one.values) for one in (arm, base))
    saved = labels_saved(mine, theirs, low, high)
    return {
        "saved": (saved.value, saved.low, saved.high),
        "saved_at_most": saved.at_most,
        "saved_at_start": saved.at_start,
    }


def _first_stored(curve: Curves, target: float, sign: float, end: float) -> tuple[Array, Array]:
    """The first stored count at which each seed reaches ``target``, and the stored one before it.

    Infinite for never; a seed that has not reached it and ends before ``end`` may do so yet, and is
    left out. Before the first count there is none: that count itself.
    """
    with np.errstate(invalid="ignore"):
        reached = sign * curve.values >= sign * target
    arrives, place = reached.any(axis=1), reached.argmax(axis=1)
    stored = np.where(np.isnan(curve.values), -1, np.arange(len(curve.counts)))
    latest = np.maximum.accumulate(stored, axis=1)  # the last stored place up to each one
    earlier = np.where(place > 0, latest[np.arange(len(place)), place - 1], -1)
    before = np.where(earlier < 0, place, earlier)
    known = arrives | (curve.counts[latest[:, -1]] >= end)
    first, less = (np.where(arrives, curve.counts[at], math.inf)[known] for at in (place, before))
    return first, less


def _stops_early(rows: pd.DataFrame) -> bool:
    """Whether trials end at an accuracy rather than at the end of their budgets."""
    runs = by_run(rows).values()
    return any(run.settings.get("budget.target_accuracy") is not None for run in runs)
