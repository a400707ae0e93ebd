"""Whether a number that was measured here agrees with a published one.

S seeds.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from al_bench.stats.intervals import mean_interval, quartiles
from reproductions.published import Value

Array = NDArray[np.float64]

LEVEL = 0.95
WIDEST_FRACTION = 4.0  # points
WIDEST_SHARE = 0.1  # of the published value, of all that is no fraction

AGREES, UNDECIDED, DIFFERS, SHAPE = "agrees", "undecided", "differs", "shape"


@dataclass(frozen=True)
class Measured:
    """A statistic over seeds with its 95 % interval.

    Args:
        values: (S,), infinite for a seed that never gets there.
        center: Their mean or median.
        low: Of the interval; NaN where there are too few seeds for one.
        high: Likewise.
    """

    values: Array
    center: float
    low: float
    high: float


def measured(values: Array, statistic: str) -> Measured:
    """Mean with Student's t interval, or median with the interval of order statistics.

    The latter needs six seeds: of fewer, even the least and the greatest value hold the median
    between them in less than 95 % of cases.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if statistic == "median":
        return Measured(ordered, quartiles(ordered)[1], *_around_median(ordered))
    interval = mean_interval(ordered, LEVEL)
    return Measured(ordered, float(interval.mean), float(interval.low), float(interval.high))


def _around_median(ordered: Array) -> tuple[float, float]:
    size = len(ordered)
    inside = 0  # values left out on either side
    if 1 - 2 * stats.binom.cdf(inside, size, 0.5) < LEVEL:
        return math.nan, math.nan
    while 1 - 2 * stats.binom.cdf(inside + 1, size, 0.5) >= LEVEL:
        inside += 1
    return float(ordered[inside]), float(ordered[size - 1 - inside])


def verdict(
    published: Value, ours: Measured, statistic: str, fraction: bool, same_protocol: bool
) -> str:
    """What may be said of a pair of numbers.

    *agrees*: the published value lies in our interval or, of a mean whose deviation and seeds are
    published, Welch's interval of the difference holds zero; and that interval is narrow enough,
    four points for a fraction and else a tenth of the published value. *undecided*: it is wider, or
    there are too few seeds for one. *differs*: the published value lies outside. *shape*: another
    protocol, whose numbers need not agree.
    """
    if not same_protocol:
        return SHAPE
    low, high = _difference(published, ours, statistic)
    if math.isnan(low):
        return UNDECIDED
    if not low <= 0 <= high:
        return DIFFERS
    widest = WIDEST_FRACTION if fraction else WIDEST_SHARE * abs(published.value)
    return AGREES if high - low <= widest else UNDECIDED


def _difference(published: Value, ours: Measured, statistic: str) -> tuple[float, float]:
    """Interval of our value less the published one."""
    if statistic == "median" or published.deviation is None or published.seeds is None:
        return ours.low - published.value, ours.high - published.value
    size = len(ours.values)
    if size < 2:
        return math.nan, math.nan
    mine = ours.values.var(ddof=1) / size
    theirs = published.deviation**2 / published.seeds
    gap = ours.center - published.value
    if mine + theirs == 0:
        return gap, gap
    freedom = (mine + theirs) ** 2 / (
        mine**2 / (size - 1) + theirs**2 / (published.seeds - 1)
    )  # Welch and Satterthwaite
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * math.sqrt(mine + theirs)
    return gap - half, gap + half
