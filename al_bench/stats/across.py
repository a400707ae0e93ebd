"""A comparison over several data sets: which arm is best on the whole?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from al_bench.stats.aggregate import (
    Estimate,
    bootstrap,
    every_seed,
    interquartile_mean,
    mean_ranks,
    means,
    penalties,
    performance_profile,
    probability_of_improvement,
)
from al_bench.stats.arms import ProtocolResult
from al_bench.stats.comparison import Comparison
from al_bench.text.natural import natural

Array = NDArray[np.float64]

PROFILE_POINTS = 41


@dataclass(frozen=True)
class Across:
    """What several protocols say together; A arms, P protocols.

    Args:
        arms: A names, best mean rank first.
        baselines: Of each, the arm that it is compared with, (A,); None where there is none.
        partly: Those of them that some protocol lacks.
        protocols: P titles.
        ranks: Mean rank, 1 is best, (A,).
        gain: Interquartile mean of the area less its baseline's mean area in that protocol (of the
            same resampled seeds), in units of the metric, more is better, (A,).
        improvement: Probability that the row's arm beats the column's on a seed, (A, A).
        penalties: Rounds, as a share, in which the row's arm is significantly better than the
            column's, summed over protocols, (A, A): between 0 and P; NaN where no protocol has two
            seeds of both.
        thresholds: Gains at which the profile is known, (T,).
        profile: Share of trials that gain more than the threshold, (A, T).
    """

    arms: tuple[str, ...]
    baselines: tuple[str | None, ...]
    partly: tuple[str, ...]
    protocols: tuple[str, ...]
    ranks: Estimate
    gain: Estimate
    improvement: Estimate
    penalties: Array
    thresholds: Array
    profile: Estimate

    @property
    def lost(self) -> Array:
        """What each arm loses to the others in all, (A,); NaN where it met none."""
        return lost(self.penalties)


def across(comparison: Comparison) -> Across | None:
    """All protocols that have the baseline and another arm; None where there are fewer than two.

    All of them spend labels, or all of them steps. Ranks and gains are of metrics that are to be
    raised or lowered; of another one there is None too.

    An arm that a protocol lacks has no part in that protocol's numbers.
    """
    if comparison.measure.higher_is_better is None:
        return None
    sign = comparison.measure.sign
    protocols = [
        result
        for result in comparison.protocols
        if result.baseline is not None and sum(len(arm.areas) > 0 for arm in result.arms) > 1
    ]
    protocols = [
        result
        for result in protocols
        if any(arm.is_baseline and len(arm.areas) for arm in result.arms)
    ]
    if len(protocols) < 2:
        return None
    names = sorted({name for result in protocols for name in _whole(result)}, key=natural)
    scores = _scores(protocols, names, sign)
    (ranks,) = mean_ranks(scores, every_seed(scores))
    order = np.nan_to_num(ranks, nan=math.inf).argsort(kind="stable")
    names = [names[place] for place in order]
    scores = scores[:, order]
    baseline_of = {
        arm.arm: arm.baseline
        for result in protocols
        for arm in result.arms
        if arm.baseline in names
    }
    places = [names.index(baseline_of.get(name, name)) for name in names]
    lacking = np.array([name not in baseline_of for name in names])

    def gains(counts: Array) -> Array:
        """Areas less the mean area of the arm's baseline, (X, P, A, S)."""
        base = np.where(lacking, np.nan, means(scores, counts)[:, :, places])
        return scores - base[..., None]

    reach = np.nanmax(np.abs(gains(every_seed(scores))))
    thresholds = np.linspace(-reach, reach, PROFILE_POINTS)
    return Across(
        arms=tuple(names),
        baselines=tuple(baseline_of.get(name) for name in names),
        partly=partly(protocols, names),
        protocols=tuple(result.title for result in protocols),
        ranks=bootstrap(scores, mean_ranks),
        gain=bootstrap(scores, lambda _, counts: interquartile_mean(gains(counts), counts)),
        improvement=bootstrap(scores, probability_of_improvement),
        penalties=_summed_penalties(protocols, names, sign),
        thresholds=thresholds,
        profile=bootstrap(
            scores, lambda _, counts: performance_profile(gains(counts), counts, thresholds)
        ),
    )


def penalty_matrix(comparison: Comparison) -> tuple[tuple[str, ...], Array]:
    """Arms and their pairwise penalties summed over protocols, one suffices; least loss first.

    Entry (a, b) is the share of rounds in which a is significantly better than b, summed; NaN where
    no protocol has two seeds of both. Arms without whole curves are left out.
    """
    sign = comparison.measure.sign
    results = [result for result in comparison.protocols if _whole(result)]
    names = sorted({name for result in results for name in _whole(result)}, key=natural)
    total = _summed_penalties(results, names, sign)
    order = np.argsort(np.nansum(total, axis=0), kind="stable")
    return tuple(names[place] for place in order), total[np.ix_(order, order)]


def lost(penalties: Array) -> Array:
    """What each arm loses to the others in all, (A,), from (A, A); NaN where it met none."""
    others = np.where(np.eye(len(penalties), dtype=np.bool_), np.nan, penalties)
    summed: Array = np.where(np.isnan(others).all(axis=0), np.nan, np.nansum(others, axis=0))
    return summed


def partly(results: Sequence[ProtocolResult], names: Sequence[str]) -> tuple[str, ...]:
    """Those of the arms that have no whole curves in some protocol."""
    there = [_whole(result) for result in results]
    return tuple(name for name in names if not all(name in arms for arms in there))


def _scores(protocols: Sequence[ProtocolResult], names: Sequence[str], sign: float) -> Array:
    """Areas (P, A, S), more is better; seeds of a protocol share a column."""
    seeds = [sorted({seed for arm in result.arms for seed in arm.seeds}) for result in protocols]
    scores = np.full((len(protocols), len(names), max(map(len, seeds))), np.nan)
    for p, result in enumerate(protocols):
        for arm in result.arms:
            if arm.arm not in names:
                continue
            columns = [seeds[p].index(seed) for seed in arm.seeds]
            scores[p, names.index(arm.arm), columns] = sign * arm.areas
    return scores


def _whole(result: ProtocolResult) -> list[str]:
    """The arms that have curves from end to end."""
    return [arm.arm for arm in result.arms if len(arm.areas)]


def _summed_penalties(
    results: Sequence[ProtocolResult], names: Sequence[str], sign: float
) -> Array:
    """Over the protocols that have a number; NaN where none has."""
    found = np.array([_penalties(result, names, sign) for result in results])
    summed: Array = np.where(np.isnan(found).all(axis=0), np.nan, np.nansum(found, axis=0))
    return summed


def _penalties(result: ProtocolResult, names: Sequence[str], sign: float) -> Array:
    """The penalty matrix of one protocol over the counts that all whole arms share."""
    curves = {name: result.curves[name] for name in _whole(result)}
    shared = sorted(set.intersection(*(set(c.counts.tolist()) for c in curves.values())))
    seeds = sorted({seed for curve in curves.values() for seed in curve.seeds})
    values = np.full((len(names), len(seeds), len(shared)), np.nan)
    for name, curve in curves.items():
        rows = [seeds.index(seed) for seed in curve.seeds]
        columns = [curve.counts.tolist().index(count) for count in shared]
        values[names.index(name), rows] = sign * curve.values[:, columns]
    return penalties(values)
