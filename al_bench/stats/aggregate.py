"""Several data sets at once: ranks, interquartile means, improvement, profiles.

P protocols (data sets, models), A arms, S seeds, X resamples. Scores are (P, A, S), higher is
better, NaN where an arm has no such seed. Resampling is stratified: seeds are drawn within each
protocol, all arms of a protocol with the same draw, since seeds are paired (Agarwal et al. 2021,
arXiv:2108.13264, with pairing). A resample is how often each seed was drawn, (P, S): statistics
take these *counts* for weights, so that nothing is computed from copies.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES = 2_000
BLOCK_NUMBERS = 2**22  # of scores, for the resamples that are computed at once


@dataclass(frozen=True)
class Estimate:
    """A number an arm (or pair of arms) with the interval of the stratified bootstrap.

    The interval is of one number by itself, by percentiles: with few seeds it is rather short.
    """

    value: Array
    low: Array
    high: Array


def bootstrap(
    scores: Array,
    statistic: Callable[[Array, Array], Array],
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Estimate:
    """A statistic of all scores with its percentile interval.

    Args:
        scores: (P, A, S).
        statistic: From scores (P, A, S) and counts (X, P, S) to (X, …).
        resamples: X in all.
        level: Of the interval.
    """
    value = statistic(scores, every_seed(scores))[0]
    samples = np.concatenate([statistic(scores, counts) for counts in _counts(scores, resamples)])
    tails = [(1 - level) / 2, (1 + level) / 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # arms that never met: NaN, as it should be
        low, high = (np.nanquantile(samples, tail, axis=0) for tail in tails)
    return Estimate(value, low, high)


def every_seed(scores: Array) -> Array:
    """The counts of the scores as they are: each seed that a protocol has, once; (1, P, S)."""
    present = ~np.isnan(scores).all(axis=1)
    return np.asarray(present, dtype=np.float64)[None]


def _counts(scores: Array, resamples: int) -> Iterator[Array]:
    """Blocks (X, P, S) of resamples; the same ones for the same shape and seeds."""
    num_protocols, _, num_seeds = scores.shape
    generator = np.random.default_rng(num_protocols * 1009 + num_seeds)
    (present,) = every_seed(scores)
    block = max(1, BLOCK_NUMBERS // max(1, scores.size, num_seeds**2))
    for start in range(0, resamples, block):
        counts = np.zeros((min(block, resamples - start), num_protocols, num_seeds))
        for p, seeds in enumerate(map(np.flatnonzero, present)):
            if len(seeds):
                fair = np.full(len(seeds), 1 / len(seeds))
                counts[:, p, seeds] = generator.multinomial(len(seeds), fair, size=len(counts))
        yield counts


def means(scores: Array, counts: Array) -> Array:
    """Mean over seeds of each arm in each protocol, NaN where it has none; (X, P, A)."""
    # No matrix product: its last bits depend on the arm's place, and equal arms share a rank.
    weights = counts[:, :, None] * ~np.isnan(scores)
    return _ratio((weights * np.nan_to_num(scores)).sum(axis=-1), weights.sum(axis=-1))


def mean_ranks(scores: Array, counts: Array) -> Array:
    """Mean over protocols of each arm's rank, 1 is best; (P, A, S) to (X, A).

    Arms are ranked by their mean over seeds; equal means share the average of their ranks. An arm
    that a protocol lacks has no rank there.
    """
    values = means(scores, counts)
    better = (values[..., None, :] > values[..., :, None]).sum(axis=-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(axis=-1)
    ranks = np.where(np.isnan(values), np.nan, 1 + better + (equal - 1) / 2)
    return _mean(ranks, axis=1)


def interquartile_mean(scores: Array, counts: Array) -> Array:
    """Mean of the middle half of each arm's scores, all protocols together.

    A quarter of the scores, rounded down to whole ones, is cut at either end: of 10 scores, 2. That
    is ``scipy.stats.trim_mean(scores, 0.25)``, hence what rliable calls IQM (Agarwal et al. 2021).

    Args:
        scores: (X, P, A, S) or, for all resamples, (1, P, A, S).
        counts: (X, P, S).

    Returns:
        (X, A).
    """
    flat, weights = _by_arm(scores, counts)
    order = flat.argsort(axis=-1, kind="stable")
    ordered = np.take_along_axis(flat, order, axis=-1)
    weights = np.take_along_axis(weights, np.broadcast_to(order, weights.shape), axis=-1)
    end = weights.cumsum(axis=-1)
    count = end[..., -1:]
    cut = np.floor(count / 4)
    # How often each score is among those that are left.
    inside = np.minimum(end, count - cut) - np.maximum(end - weights, cut)
    inside = np.clip(inside, 0.0, None)
    return _ratio((inside * ordered).sum(axis=-1), inside.sum(axis=-1))


def probability_of_improvement(scores: Array, counts: Array) -> Array:
    """How likely each arm beats each other; (P, A, S) to (X, A, A).

    Entry (a, b) is the probability, averaged over protocols, that a seed of arm a scores above one
    of arm b, ties counting half (Mann and Whitney's statistic).
    """
    num_arms, num_seeds = scores.shape[1:]
    by_protocol = np.full((len(counts), len(scores), num_arms, num_arms), np.nan)
    for p, values in enumerate(scores):
        pairs = counts[:, p, :, None] * counts[:, p, None, :]
        pairs = pairs.reshape(len(counts), num_seeds**2)
        for a, one in enumerate(values[:, None, :, None]):
            other = values[:, None, :]
            both = ~np.isnan(one) & ~np.isnan(other)  # (A, S, S)
            wins = (one > other) + 0.5 * (one == other)
            wins, both = (x.reshape(-1, num_seeds**2).astype(np.float64) for x in (wins, both))
            by_protocol[:, p, a] = _ratio(pairs @ wins.T, pairs @ both.T)
    return _mean(by_protocol, axis=1)


def performance_profile(scores: Array, counts: Array, thresholds: Array) -> Array:
    """Share of scores above each threshold, per arm.

    Args:
        scores: (X, P, A, S) or, for all resamples, (1, P, A, S).
        counts: (X, P, S).
        thresholds: (T,), rising.

    Returns:
        (X, A, T).
    """
    flat, weights = _by_arm(scores, counts)
    below = np.broadcast_to(np.searchsorted(thresholds, flat), weights.shape)  # thresholds below
    bins = len(thresholds) + 1
    rows = np.arange(weights[..., 0].size).reshape(*weights.shape[:-1], 1)
    histogram = np.bincount(
        (rows * bins + below).ravel(), weights.ravel(), minlength=rows.size * bins
    ).reshape(*weights.shape[:-1], bins)
    above = histogram[..., ::-1].cumsum(axis=-1)[..., ::-1]  # with at least so many below
    return above[..., 1:] / np.maximum(above[..., :1], 1.0)


def _by_arm(scores: Array, counts: Array) -> tuple[Array, Array]:
    """Scores (X or 1, A, P S) with 0 where there is none, and their weights (X, A, P S)."""
    rows = np.moveaxis(scores, 2, 1)  # (X, A, P, S)
    present = ~np.isnan(rows)
    weights = present * counts[:, None]
    flat = np.where(present, rows, 0.0)
    return flat.reshape(*flat.shape[:2], -1), weights.reshape(*weights.shape[:2], -1)


def penalties(values: Array, level: float = 0.05) -> Array:
    """Pairwise penalty matrix of one protocol (Ash et al. 2020, arXiv:1906.03671), (A, A).

    Entry (a, b) is the share of rounds in which arm a is significantly better than arm b by a
    two-sided paired t-test, each by itself: nothing is adjusted for the number of rounds and arms.
    Equal differences, which have no spread, are as significant as a sign-flip test finds them.
    NaN where the arms share two seeds in no round. Summed over protocols its columns are what an
    arm loses in all.

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
            spread = squares > 1e-24 * count * mean**2
            is_seen = spread | (2.0 ** (1 - count) <= level)
            share = ((count > 1) & (mean > bar) & is_seen).sum(axis=1) / max(num_rounds, 1)
            result[a] = np.where((count > 1).any(axis=1), share, np.nan)
    return result


def _mean(values: Array, axis: int) -> Array:
    """Mean of what is there; NaN where nothing is."""
    present = ~np.isnan(values)
    return _ratio(np.where(present, values, 0.0).sum(axis=axis), present.sum(axis=axis))


def _ratio(total: Array, count: Array) -> Array:
    """NaN where nothing was counted."""
    result: Array = np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)
    return result
