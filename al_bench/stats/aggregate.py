"""Several data sets at once: ranks, interquartile means, improvement, profiles.

P protocols (data sets, models), A arms, S seeds, X resamples. Scores are (P, A, S), higher is
better, NaN where an arm has no such seed. Resampling is stratified: seeds are drawn within each
protocol, all arms of a protocol with the same draw, since seeds are paired (Agarwal et al. 2021,
arXiv:2108.13264, with pairing).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES = 2_000
BLOCK = 256  # resamples at once


@dataclass(frozen=True)
class Estimate:
    """A number an arm (or pair of arms) with the interval of the stratified bootstrap."""

    value: Array
    low: Array
    high: Array


def bootstrap(
    scores: Array,
    statistic: Callable[[Array], Array],
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Estimate:
    """A statistic of all scores with its percentile interval.

    Args:
        scores: (P, A, S).
        statistic: From (X, P, A, S) to (X, …).
        resamples: X in all.
        level: Of the interval.
    """
    value = statistic(scores[None])[0]
    drawn = np.concatenate([statistic(block) for block in _resampled(scores, resamples)])
    tails = [(1 - level) / 2, (1 + level) / 2]
    with np.errstate(invalid="ignore"):
        low, high = np.nanquantile(drawn, tails, axis=0)
    return Estimate(value, low, high)


def _resampled(scores: Array, resamples: int) -> Iterator[Array]:
    """Blocks (X, P, A, S) of resampled scores; the same ones for the same shape and seeds."""
    num_protocols, _, num_seeds = scores.shape
    generator = np.random.default_rng(num_protocols * 1009 + num_seeds)
    present = np.asarray(~np.isnan(scores).all(axis=1))  # (P, S): seeds that a protocol has at all
    for start in range(0, resamples, BLOCK):
        size = min(BLOCK, resamples - start)
        block = np.empty((size, *scores.shape))
        for p in range(num_protocols):
            seeds = np.flatnonzero(present[p])
            if len(seeds) == 0:
                block[:, p] = np.nan
                continue
            drawn = seeds[generator.integers(0, len(seeds), size=(size, len(seeds)))]  # (X, S')
            block[:, p] = np.nan
            block[:, p, :, : len(seeds)] = np.moveaxis(scores[p][:, drawn], 0, 1)
        yield block


def mean_ranks(scores: Array) -> Array:
    """Mean over protocols of each arm's rank, 1 is best; (X, P, A, S) to (X, A).

    Arms are ranked by their mean over seeds; equal means share the average of their ranks. An arm
    that a protocol lacks has no rank there.
    """
    means = _mean(scores, axis=3)  # (X, P, A)
    better = (means[..., None, :] > means[..., :, None]).sum(axis=-1)
    equal = (means[..., None, :] == means[..., :, None]).sum(axis=-1)
    ranks = np.where(np.isnan(means), np.nan, 1 + better + (equal - 1) / 2)
    return _mean(ranks, axis=1)


def interquartile_mean(scores: Array) -> Array:
    """Mean of the middle half of each arm's scores, all protocols together; (X, P, A, S) to (X, A).

    A quarter of the scores is cut at either end; a score on a boundary counts in part.
    """
    flat = np.moveaxis(scores, 2, 1).reshape(len(scores), scores.shape[2], -1)  # (X, A, P S)
    ordered = np.sort(flat, axis=-1)  # NaN last
    count = (~np.isnan(ordered)).sum(axis=-1, keepdims=True)
    place = np.arange(ordered.shape[-1])
    # How much of each score's unit of rank lies in the middle half.
    inside = np.minimum(place + 1, 0.75 * count) - np.maximum(place, 0.25 * count)
    weights = np.clip(inside, 0.0, 1.0)
    total = (weights * np.nan_to_num(ordered)).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Array = total / weights.sum(axis=-1)
    return result


def probability_of_improvement(scores: Array) -> Array:
    """How likely each arm beats each other; (X, P, A, S) to (X, A, A).

    Entry (a, b) is the probability, averaged over protocols, that a seed of arm a scores above one
    of arm b, ties counting half (Mann and Whitney's statistic).
    """
    num_arms = scores.shape[2]
    result = np.full((len(scores), num_arms, num_arms), np.nan)
    for a in range(num_arms):
        for b in range(num_arms):
            one, other = scores[:, :, a, :, None], scores[:, :, b, None, :]
            known = ~np.isnan(one) & ~np.isnan(other)
            wins = np.where(known, (one > other) + 0.5 * (one == other), np.nan)
            result[:, a, b] = _mean(_mean(wins, axis=(2, 3)), axis=1)
    return result


def performance_profile(scores: Array, thresholds: Array) -> Array:
    """Share of scores above each threshold, per arm; (X, P, A, S) to (X, A, T)."""
    flat = np.moveaxis(scores, 2, 1).reshape(len(scores), scores.shape[2], -1)
    known = ~np.isnan(flat)
    above = [
        ((flat > t) & known).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1) for t in thresholds
    ]
    return np.stack(above, axis=-1)


def penalties(values: Array, level: float = 0.05) -> Array:
    """Pairwise penalty matrix of one protocol (Ash et al. 2020, arXiv:1906.03671), (A, A).

    Entry (a, b) is the share of rounds in which arm a is significantly better than arm b by a
    two-sided paired t-test. Summed over protocols its columns are what an arm loses in all.

    Args:
        values: (A, S, R), the metric after R rounds, higher is better.
        level: Of each test.
    """
    from scipy.special import stdtrit

    num_arms, _, num_rounds = values.shape
    result = np.zeros((num_arms, num_arms))
    for a in range(num_arms):
        d = values[a] - values  # (A, S, R)
        count = (~np.isnan(d)).sum(axis=1)
        mean = _mean(d, axis=1)
        squares = np.nansum((d - mean[:, None]) ** 2, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.sqrt(squares / (count - 1) / count)
            bar = stdtrit(np.maximum(count - 1, 1), 1 - level / 2) * error
            result[a] = ((count > 1) & (mean > bar)).sum(axis=1) / max(num_rounds, 1)
    return result


def _mean(values: Array, axis: int | tuple[int, ...]) -> Array:
    """Mean of what is there; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    result: Array = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return result
