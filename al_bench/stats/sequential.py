"""Looking several times while seeds are added, without deciding by chance more often than stated.

A group-sequential sign-flip test: S seeds, each with the difference d of an arm to the baseline;
looks after n₁ < n₂ < … of at most N seeds. Where an arm and its baseline are exchangeable, the sign
of every difference is as likely as the other. So the sums |±d₁ ± … ± d_n| over all sign flips are
what the sum |d₁ + … + d_n| was drawn from, and a flip of all S signs is a path through the looks.

At each look a boundary is put where the paths that have crossed it, at this look or at an earlier
one, are no more than a share α · n / N of all (a linear spending of the level: Lan and DeMets
1983; AdaStop, Mathieu et al. 2023, does the same with permutations of two groups). An arm is
decided once its own path has crossed and is on that side of 0 still. Over the J arms of a protocol
the level is Holm's: α / r where r arms are still open, at all looks so far. That keeps the
family-wise error whatever the arms have in common, since the decisions of a smaller level are among
those of a larger one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LEVEL = 0.05  # of all decisions about the arms of a protocol together
EXACT_SEEDS = 20  # all 2**n sign flips are looked at up to here
PATHS = 100_000  # random flips from there on, the given signs among them

BETTER, WORSE = "better", "worse"


@dataclass(frozen=True)
class Decided:
    """A decision about an arm.

    Args:
        verdict: ``better`` or ``worse`` than the baseline.
        look: The look at which it fell, from 0.
        num_seeds: Seeds in pairs with the baseline at that look.
        difference: Their mean difference.
    """

    verdict: str
    look: int
    num_seeds: int
    difference: float


def decide(
    differences: Mapping[str, ArrayLike],
    counts: Mapping[str, Sequence[int]],
    max_seeds: int,
    level: float = LEVEL,
) -> dict[str, Decided]:
    """Which arms are decided after the looks that there have been.

    Args:
        differences: Arm to its differences to the baseline, (S,), in the order in which seeds were
            added, oriented so that more is better; J arms.
        counts: Arm to the number of these that there were at each look, never falling; the same
            number of looks for every arm.
        max_seeds: N, the seeds at which the last look would be.
        level: The chance of deciding anything about arms that are exchangeable with the baseline.

    Returns:
        The arms that are decided, each with the look at which that happened; the others are open.

    Raises:
        ValueError: A difference is not finite, or there are more pairs than ``max_seeds``.
    """
    levels = [level / r for r in range(1, len(differences) + 1)]
    of_arm = {arm: _checked(d) for arm, d in differences.items()}
    crossed = {arm: _crossed(d, counts[arm], max_seeds, levels) for arm, d in of_arm.items()}
    decisions: dict[str, Decided] = {}
    for look in range(max((len(looks) for looks in counts.values()), default=0)):
        while more := [
            arm
            for arm in of_arm
            if arm not in decisions
            and _is_decided(
                of_arm[arm],
                counts[arm][: look + 1],
                crossed[arm][len(of_arm) - len(decisions) - 1],
            )
        ]:
            for arm in more:  # Holm: the others are judged at the level of those that remain
                d = of_arm[arm][: counts[arm][look]]
                verdict = BETTER if d.sum() > 0 else WORSE
                decisions[arm] = Decided(verdict, look, len(d), float(d.mean()))
    return decisions


def _is_decided(d: Array, counts: Sequence[int], crossed: NDArray[np.bool_]) -> bool:
    """Whether the path has crossed by the last of these looks, and is on the same side now.

    A level that other arms' decisions have freed may find that a path crossed at an earlier look;
    it may have turned since.
    """
    if not crossed[len(counts) - 1]:
        return False
    then, now = (float(d[:count].sum()) for count in (counts[int(crossed.argmax())], counts[-1]))
    return then * now > 0


def boundaries(
    differences: ArrayLike, counts: Sequence[int], max_seeds: int, levels: Sequence[float]
) -> Array:
    """What the absolute sum of the differences must exceed at each look to decide.

    Args:
        differences: (S,) in the order in which seeds were added.
        counts: (K,) how many of them there were at each look, never falling.
        max_seeds: N; the level is spent in proportion to the seeds.
        levels: (L,) falling; boundaries of a smaller level are nowhere below those of a larger.

    Returns:
        (L, K); the largest sum that any flip gives where too few flips exist to decide anything.
    """
    return _walk(_checked(differences), counts, max_seeds, levels)[0]


def first_deciding(num_arms: int, max_seeds: int, level: float = LEVEL) -> int | None:
    """The fewest seeds at which one of J open arms can be decided; ``None`` if no number does.

    The two flips that keep all signs or turn them all are 2**(1 - n) of all; that must be no more
    than has been spent of the arm's level.
    """
    for n in range(1, max_seeds + 1):
        if 2.0 ** (1 - n) <= level / num_arms * n / max_seeds:
            return n
    return None


def _crossed(
    d: Array, counts: Sequence[int], max_seeds: int, levels: Sequence[float]
) -> NDArray[np.bool_]:
    """(L, K): whether the differences as they are had crossed at each look, by level."""
    return _walk(d, counts, max_seeds, levels)[1]


def _walk(
    d: Array, counts: Sequence[int], max_seeds: int, levels: Sequence[float]
) -> tuple[Array, NDArray[np.bool_]]:
    """Boundaries and, of the path that flips nothing, what it has crossed; both (L, K)."""
    if max(counts, default=0) > min(max_seeds, len(d)):
        raise ValueError(f"{max(counts)} pairs of {len(d)}, at most {max_seeds} were planned")
    bounds = np.zeros((len(levels), len(counts)))
    crossed = np.zeros((len(levels), len(counts)), dtype=bool)
    sums = np.zeros(1)  # of each path, the given signs first; mirrored ones have the same size
    over = np.zeros((len(levels), 1), dtype=bool)  # paths that have crossed, by level
    num_seeds = 0
    for k, n in enumerate(counts):
        if n <= EXACT_SEEDS:
            for value in d[num_seeds:n]:
                sums = np.concatenate([sums + value, sums - value]) if num_seeds else sums + value
                over = np.hstack([over, over]) if num_seeds else over
                num_seeds += 1
        elif num_seeds < n:
            sums, over = _random_paths(d, counts[: k + 1], bounds)
            num_seeds = n
        size = np.abs(sums)
        slack = 1e-12 * float(np.abs(d[:n]).sum())  # sums in another order differ in last bits
        for row, level in enumerate(levels):
            allowed = math.floor(level * n / max_seeds * len(size) + 1e-9) - int(over[row].sum())
            rest = size[~over[row]]
            place = max(len(rest) - 1 - max(allowed, 0), 0)
            bounds[row, k] = np.partition(rest, place)[place] if len(rest) else 0.0
            if row:
                bounds[row, k] = max(bounds[row, k], bounds[row - 1, k])
            over[row] |= size > bounds[row, k] + slack
            crossed[row, k] = over[row, 0]
    return bounds, crossed


def _random_paths(
    d: Array, counts: Sequence[int], bounds: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Sums of random paths at the last of the looks, and which had crossed at the looks before.

    The same signs whenever they are drawn, so that a look repeated is the same look.
    """
    sums = np.zeros(PATHS)
    over = np.zeros((len(bounds), PATHS), dtype=bool)
    num_seeds = 0
    for k, n in enumerate(counts):
        for place in range(num_seeds, n):
            signs = 1.0 - 2.0 * np.random.default_rng([place, PATHS]).integers(0, 2, PATHS)
            signs[0] = 1.0
            sums += signs * d[place]
        num_seeds = max(num_seeds, n)
        if k < len(counts) - 1:
            slack = 1e-12 * float(np.abs(d[:n]).sum())
            over |= np.abs(sums) > bounds[:, k, None] + slack
    return sums, over


def _checked(differences: ArrayLike) -> Array:
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or not np.isfinite(d).all():
        raise ValueError(f"differences must be finite and in one row, got {differences!r}")
    return d
