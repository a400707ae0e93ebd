"""Is one arm better than another, seed by seed?

S seeds, each a difference d between two arms that shared split, initial set and initial weights.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

BOOTSTRAP_SEEDS = 20  # from here on intervals and p values are the studentised bootstrap's
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
        p: The two-sided p that decides, of the procedure that also gives the interval: the
            interval at 95 % leaves 0 out where p is below 0.05. NaN for one seed.
        p_t: Two-sided paired t-test, whatever decides; NaN for one seed.
        p_sign_flip: Two-sided sign-flip test of the mean, whatever decides.
        p_smallest: The smallest p that a sign-flip test of S seeds can give.
        p_equivalence: The larger p of two one-sided tests, of the same procedure, that the mean
            lies within the margin: below 0.025 where the interval at 95 % does. NaN for one seed.
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
    p: float
    p_t: float
    p_sign_flip: float
    p_smallest: float
    p_equivalence: float
    seeds_needed: float


def paired(differences: ArrayLike, margin: float, level: float = 0.95) -> Paired:
    """All that is said of one arm against another.

    Interval, p and equivalence come from one procedure: Student's t below 20 seeds, from there on
    the symmetric studentised bootstrap (Hall 1988), which keeps its level with skewed differences
    and, unlike the one with equal tails, with outliers. Where most differences are equal, so that
    a resample may have no spread, it is Student's t with any number of seeds. The order of the
    seeds doesn't matter.

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
    law = _law(d)
    low, high = law.interval(level)
    signs = np.sign(d)
    return Paired(
        num_seeds=len(d),
        mean=float(d.mean()),
        low=low,
        high=high,
        wins=int((signs > 0).sum()),
        ties=int((signs == 0).sum()),
        losses=int((signs < 0).sum()),
        p=law.p(0.0),
        p_t=t_test(d),
        p_sign_flip=sign_flip_test(d),
        p_smallest=2.0 ** (1 - len(d)),
        p_equivalence=law.p_within(margin),
        seeds_needed=seeds_needed(d),
    )


def interval(d: Array, level: float = 0.95) -> tuple[float, float]:
    """The interval of the mean difference that ``paired`` gives.

    Args:
        d: (S,) differences.
        level: Between 0 and 1.
    """
    return _law(d).interval(level)


def decide(d: Array, margin: float) -> tuple[Array, Array]:
    """The p that decides and that of equivalence, as ``paired`` gives them, of many at once.

    Args:
        d: (…, S) differences.
        margin: Of equivalence.

    Returns:
        Both of shape (…).
    """
    if d.shape[-1] < BOOTSTRAP_SEEDS:
        return _t_p(d, 0.0), _t_p_within(d, margin)
    rows = d.reshape(-1, d.shape[-1])
    both = np.array([(law.p(0.0), law.p_within(margin)) for law in map(_law, rows)])
    p, within = both.T.reshape(2, *d.shape[:-1])
    return p, within


class _Student:
    """What Student's t says of the mean of differences."""

    def __init__(self, d: Array) -> None:
        self.d = d

    def interval(self, level: float) -> tuple[float, float]:
        from scipy.special import stdtrit

        if len(self.d) < 2:
            return math.nan, math.nan
        half = float(stdtrit(len(self.d) - 1, (1 + level) / 2) * _error(self.d))
        return float(self.d.mean()) - half, float(self.d.mean()) + half

    def p(self, center: float) -> float:
        return float(_t_p(self.d, center))

    def p_within(self, margin: float) -> float:
        return equivalence_test(self.d, margin)


class _Bootstrap:
    """What the symmetric studentised bootstrap says of the mean of differences.

    Args:
        d: (S,) differences.
        studentised: (X,), (mean of a resample - mean of d) / spread of the resample.
    """

    def __init__(self, d: Array, studentised: Array) -> None:
        self.mean, self.spread = float(d.mean()), float(d.std())
        self.sizes = np.abs(studentised)

    def interval(self, level: float) -> tuple[float, float]:
        """The centers whose p is at least 1 - level."""
        total = len(self.sizes) + 1
        beyond = max(math.ceil((1 - level) * total * (1 - 1e-12)) - 2, 0)
        place = total - 2 - beyond
        half = float(np.partition(self.sizes, place)[place]) * self.spread
        return self.mean - half, self.mean + half

    def p(self, center: float) -> float:
        size = abs(self.mean - center) / self.spread
        return (int((self.sizes >= size).sum()) + 1) / (len(self.sizes) + 1)

    def p_within(self, margin: float) -> float:
        half = self.p(margin if self.mean > 0 else -margin) / 2
        return half if abs(self.mean) < margin else 1 - half


def _law(d: Array) -> _Student | _Bootstrap:
    """The procedure that interval, p and equivalence come from."""
    if len(d) < BOOTSTRAP_SEEDS or _constant(d):
        return _Student(d)
    d = np.sort(d)
    weights = resampling_weights(len(d), RESAMPLES)
    centered = d - d.mean()
    means = weights @ centered
    spreads = np.sqrt(np.maximum(weights @ centered**2 - means**2, 0.0))
    if spreads.min() <= 1e-6 * d.std():
        return _Student(d)
    return _Bootstrap(d, means / spreads)


@cache
def resampling_weights(num_seeds: int, resamples: int) -> Array:
    """Bootstrap resamples of S seeds as weights that sum to one, (resamples, S).

    Always the same ones: a comparison repeated is the same comparison.
    """
    generator = np.random.default_rng(num_seeds)
    uniform = np.full(num_seeds, 1 / num_seeds)
    return generator.multinomial(num_seeds, uniform, size=resamples) / num_seeds


def t_test(d: Array) -> float:
    """Two-sided p of the paired t-test; 1 where all differences are 0, NaN for one seed.

    Where all differences are equal it is that of the sign-flip test: see ``_error``.
    """
    return float(_t_p(d, 0.0))


def equivalence_test(d: Array, margin: float) -> float:
    """Two one-sided t-tests: p is small where the mean lies within ± ``margin`` (Schuirmann 1987).

    NaN for one seed.
    """
    return float(_t_p_within(d, margin))


def _t_p(d: Array, center: float) -> Array:
    """Two-sided p of t-tests of (…, S) differences, (…)."""
    from scipy.special import stdtr

    if d.shape[-1] < 2:
        return np.full(d.shape[:-1], np.nan)
    distance, error = np.abs(d.mean(axis=-1) - center), _error(d)
    constant = np.where(distance <= 1e-15, 1.0, 2 * _chance(d))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(d.shape[-1] - 1, -distance / error)
    result: Array = np.where(error == 0, constant, p)
    return result


def _t_p_within(d: Array, margin: float) -> Array:
    """The larger p of two one-sided t-tests of (…, S) differences, (…)."""
    from scipy.special import stdtr

    if d.shape[-1] < 2:
        return np.full(d.shape[:-1], np.nan)
    distance, error = np.abs(d.mean(axis=-1)), _error(d)
    with np.errstate(divide="ignore"):
        p = stdtr(d.shape[-1] - 1, (distance - margin) / error)
    result: Array = np.where(error == 0, np.where(margin > 0, 0.0, 1.0), p)
    return result


def _error(d: Array) -> Array:
    """Standard error of the mean of (…, S) differences.

    Accuracies are multiples of one test point, so that a few equal differences are no rarity, and
    no sign that the mean is known. Where all are equal the error is the one with which a t-test
    finds what the sign-flip test finds; where all are 0, as of arms that bought the same, it is 0.
    """
    from scipy.special import stdtrit

    error = d.std(axis=-1, ddof=1) / math.sqrt(d.shape[-1])
    of_equal = np.abs(d.mean(axis=-1)) / -stdtrit(d.shape[-1] - 1, _chance(d))
    result: Array = np.where(_constant(d), of_equal, error)
    return result


def _chance(d: Array) -> float:
    """How likely it is that signs of (…, S) differences are all the one that is expected."""
    return float(2.0 ** -min(d.shape[-1], 40))


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
    few seeds the number is rough. Infinite where they are 0 on average, or where a million seeds
    would not do.
    """
    from scipy.special import nctdtr, stdtrit

    if len(d) < 2:
        return math.nan
    mean, spread = abs(float(d.mean())), float(d.std(ddof=1))
    if mean == 0:
        return math.inf
    if _constant(d):  # as many as a sign-flip test needs
        return float(math.ceil(1 - math.log2(1 - level)))

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
    no finding. The spread is known from the S seeds at hand only, hence Student's t of S - 1
    degrees of freedom. The groups are unpaired: pairs that share splits may differ by less.

    Args:
        values: (S,) of one arm, S at least 2; else NaN.
        level: Of the interval.
    """
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return math.nan
    error = float(np.std(values, ddof=1)) * math.sqrt(2 / n)
    return float(stdtrit(n - 1, (1 + level) / 2)) * error


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


def _constant(d: Array) -> NDArray[np.bool_]:
    """Whether (…, S) differences are equal, (…)."""
    result: NDArray[np.bool_] = np.ptp(d, axis=-1) <= 1e-15 * np.maximum(
        1.0, np.abs(d).max(axis=-1)
    )
    return result
