"""Is one arm better than another, seed by seed?

S seeds, each a difference d between two arms that shared split, initial set and initial weights.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from al_bench.stats.intervals import mean_interval

Array = NDArray[np.float64]

BOOTSTRAP_SEEDS = 20  # from here on intervals are bootstrapped and the sign-flip test decides
EXACT_SEEDS = 16  # all 2**S sign flips are looked at up to here
RESAMPLES = 50_000
POWER = 0.8


@dataclass(frozen=True)
class Paired:
    """What the differences of S seeds say.

    Args:
        num_seeds: S.
        mean: Of the differences.
        low: End of the interval of the mean; NaN for one seed.
        high: The other end.
        wins: Seeds with a positive difference.
        ties: Seeds with none.
        losses: Seeds with a negative one.
        p_t: Two-sided paired t-test; NaN for one seed.
        p_sign_flip: Two-sided sign-flip test of the mean.
        p_smallest: The smallest p that a sign-flip test of S seeds can give.
        p_equivalence: Two one-sided t-tests that the mean lies within the margin.
        seeds_needed: Seeds that would show a difference of this size with a chance of 80 % at the
            5 % level, which a comparison of several arms divides by the arm's factor of Holm;
            infinite where the differences are 0, NaN for one seed.
    """

    num_seeds: int
    mean: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int
    p_t: float
    p_sign_flip: float
    p_smallest: float
    p_equivalence: float
    seeds_needed: float

    @property
    def p(self) -> float:
        """The p that decides: of the t-test below 20 seeds, of the sign-flip test from there on."""
        return self.p_t if self.num_seeds < BOOTSTRAP_SEEDS else self.p_sign_flip


def paired(differences: ArrayLike, margin: float, level: float = 0.95) -> Paired:
    """All that is said of one arm against another.

    The interval is that of ``interval``. The order of the seeds doesn't matter.

    Args:
        differences: (S,), S at least 1.
        margin: Differences within ± this count as equivalent, above 0.
        level: Of the interval.

    Raises:
        ValueError: There are no differences, or one isn't finite.
    """
    d = np.sort(np.asarray(differences, dtype=np.float64))
    if d.ndim != 1 or len(d) == 0 or not np.isfinite(d).all():
        raise ValueError(f"differences must be finite, at least one, got {differences!r}")
    low, high = interval(d, level)
    signs = np.sign(d)
    return Paired(
        num_seeds=len(d),
        mean=float(d.mean()),
        low=low,
        high=high,
        wins=int((signs > 0).sum()),
        ties=int((signs == 0).sum()),
        losses=int((signs < 0).sum()),
        p_t=t_test(d),
        p_sign_flip=sign_flip_test(d),
        p_smallest=2.0 ** (1 - len(d)),
        p_equivalence=equivalence_test(d, margin),
        seeds_needed=seeds_needed(d),
    )


def interval(d: Array, level: float = 0.95) -> tuple[float, float]:
    """The interval of the mean difference that ``paired`` gives.

    Below 20 seeds Student's t; from there on the studentised bootstrap (Efron and Tibshirani 1993),
    which needs no normal differences and, unlike percentiles, covers what it says with 20 seeds.

    Args:
        d: (S,) differences.
        level: Between 0 and 1.
    """
    n = len(d)
    if n < BOOTSTRAP_SEEDS or _constant(d):
        student = mean_interval(d, level)
        return float(student.low), float(student.high)
    weights = resampling_weights(n, RESAMPLES)
    means = weights @ d
    spreads = np.sqrt(np.maximum(weights @ d**2 - means**2, 0.0))
    kept = spreads > 0
    studentised = (means[kept] - d.mean()) / spreads[kept]
    low, high = np.quantile(studentised, [(1 - level) / 2, (1 + level) / 2])
    return float(d.mean() - high * d.std()), float(d.mean() - low * d.std())


@cache
def resampling_weights(num_seeds: int, resamples: int) -> Array:
    """Bootstrap resamples of S seeds as weights that sum to one, (resamples, S).

    Always the same ones: a comparison repeated is the same comparison.
    """
    generator = np.random.default_rng(num_seeds)
    uniform = np.full(num_seeds, 1 / num_seeds)
    return generator.multinomial(num_seeds, uniform, size=resamples) / num_seeds


def t_test(d: Array) -> float:
    """Two-sided p of the paired t-test; 1 where all differences are 0, NaN for one seed."""
    return _two_sided(d, 0.0)


def _two_sided(d: Array, center: float) -> float:
    from scipy.special import stdtr

    n = len(d)
    if n < 2:
        return math.nan
    error = float(d.std(ddof=1)) / math.sqrt(n)
    distance = abs(float(d.mean()) - center)
    if _constant(d):
        return 1.0 if distance <= 1e-15 else 0.0
    return float(2 * stdtr(n - 1, -distance / error))


def equivalence_test(d: Array, margin: float) -> float:
    """Two one-sided t-tests: p is small where the mean lies within ± ``margin`` (Schuirmann 1987).

    NaN for one seed.
    """
    from scipy.special import stdtr

    n = len(d)
    if n < 2:
        return math.nan
    mean = float(d.mean())
    if _constant(d):
        return 0.0 if abs(mean) < margin else 1.0
    error = float(d.std(ddof=1)) / math.sqrt(n)
    return float(stdtr(n - 1, (abs(mean) - margin) / error))


def sign_flip_test(d: Array) -> float:
    """Two-sided p of the mean when the sign of every difference is as likely as the other.

    Exact up to 16 seeds; beyond that 50,000 random flips, the given signs among them.
    """
    n = len(d)
    observed = abs(float(d.sum()))
    slack = 1e-12 * float(np.abs(d).sum())  # sums in another order differ in their last bits
    if n <= EXACT_SEEDS:
        sums = np.zeros(1)
        for value in d:
            sums = np.concatenate([sums + value, sums - value])
        return float((np.abs(sums) >= observed - slack).mean())
    generator = np.random.default_rng(n)
    signs = 1 - 2 * generator.integers(0, 2, size=(RESAMPLES, n))
    return float(((np.abs(signs @ d) >= observed - slack).sum() + 1) / (RESAMPLES + 1))


def seeds_needed(d: Array, level: float = 0.95, power: float = POWER) -> float:
    """Seeds with which a paired t-test would find a mean like this one, with chance ``power``.

    From the noncentral t distribution; the differences at hand stand for those to come, so with
    few seeds the number is rough.
    """
    from scipy.special import nctdtr, stdtrit

    if len(d) < 2:
        return math.nan
    mean, spread = abs(float(d.mean())), float(d.std(ddof=1))
    if mean == 0:
        return math.inf
    if _constant(d):
        return 2.0

    def reaches(n: int) -> bool:
        bar = float(stdtrit(n - 1, (1 + level) / 2))
        shift = mean / spread * math.sqrt(n)
        return bool(1 - nctdtr(n - 1, shift, bar) >= power)

    high = 2
    while not reaches(high):
        high *= 2
        if high > 10**6:
            return math.inf
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle > 1 and reaches(middle) else (middle, high)
    return float(high)


def noise_floor(values: Array, level: float = 0.95) -> float:
    """Half of the interval in which the difference of two groups like this one would lie.

    Two groups of S seeds of the same arm differ by chance alone: what cannot be told from that is
    no finding.

    Args:
        values: (S,) of one arm, S at least 2; else NaN.
        level: Of the interval.
    """
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return math.nan
    error = float(np.std(values, ddof=1)) * math.sqrt(2 / n)
    return float(stdtrit(2 * n - 2, (1 + level) / 2)) * error


def holm(p: ArrayLike) -> Array:
    """P values adjusted for being several (Holm 1979); NaN stays NaN and doesn't count."""
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(len(values), np.nan)
    factors = holm_factors(values)
    order = np.argsort(values, kind="stable")[: (~np.isnan(values)).sum()]  # NaN comes last
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors[order]), 1.0)
    return adjusted


def holm_factors(p: ArrayLike) -> Array:
    """How often each p counts: the smallest as often as there are any, the largest once; or NaN."""
    values = np.asarray(p, dtype=np.float64)
    factors = np.full(len(values), np.nan)
    order = np.argsort(values, kind="stable")[: (~np.isnan(values)).sum()]
    factors[order] = np.arange(len(order), 0, -1)
    return factors


def _constant(d: Array) -> bool:
    return bool(np.ptp(d) <= 1e-15 * max(1.0, float(np.abs(d).max())))
