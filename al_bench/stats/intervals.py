"""Intervals for means over seeds.

S seeds, R columns (label counts, strategies, anything).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Interval(NamedTuple):
    """A mean with its interval, and over how many seeds; each of shape () or (R,)."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    num_seeds: NDArray[np.int64]


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean over seeds with Student's t interval, mean ± t · s / √S.

    The interval covers the expected value over seeds with probability ``level`` where the values
    of a column are independent and roughly normal. Equal values give an interval of width 0, one
    seed gives none (NaN), no seed gives no mean either.

    Args:
        values: (S,) or (S, R); NaN marks a seed that has no value in that column.
        level: Between 0 and 1.

    Returns:
        Mean, low end, high end and number of seeds, each of shape () or (R,).
    """
    from scipy.special import stdtrit

    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    array = np.asarray(values, dtype=np.float64)  # (S,) or (S, R)
    present = ~np.isnan(array)
    count = present.sum(axis=0)
    filled = np.where(present, array, 0.0)
    mean = _divide(filled.sum(axis=0), count)
    # A sum of equal numbers divided by their count can be a last bit off, hence no interval of 0.
    constant = np.where(present, array, -np.inf).max(axis=0, initial=-np.inf)
    is_constant = np.where(present, array, np.inf).min(axis=0, initial=np.inf) == constant
    mean = np.where(is_constant & (count > 0), constant, mean)
    squares = np.where(present, (filled - mean) ** 2, 0.0).sum(axis=0)
    error = np.sqrt(_divide(_divide(squares, count - 1), count))  # NaN for one seed
    half = stdtrit(np.maximum(count - 1, 1), (1 + level) / 2) * error
    return Interval(mean, mean - half, mean + half, count.astype(np.int64))


def quartiles(values: ArrayLike) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile, interpolated linearly between ordered values.

    The median of an even number of values is the mean of the middle two. This is the rule wherever
    a median or quartile over seeds is shown.

    Args:
        values: (S,), S at least 1; may be infinite, and what lies between a finite and an infinite
            one is infinite.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cuts = []
    for part in (0.25, 0.5, 0.75):
        place = part * (len(ordered) - 1)
        below, share = int(place), place - int(place)
        value = float(ordered[below])
        if share and ordered[below + 1] != value:  # also spares inf - inf
            value = value * (1 - share) + float(ordered[below + 1]) * share
        cuts.append(value)
    return cuts[0], cuts[1], cuts[2]


def _divide(numerator: Any, denominator: Any) -> NDArray[np.float64]:
    """The quotient where the denominator is positive, else NaN."""
    valid = np.asarray(denominator) > 0
    quotient = np.asarray(numerator) / np.where(valid, denominator, 1)
    result: NDArray[np.float64] = np.where(valid, quotient, np.nan)
    return result
