"""How many times sooner an arm has the best that the baseline ever has.

S seeds, in pairs; R places at which curves are known, be they steps, passes or seconds.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from al_bench.stats.paired import resampling_weights

Array = NDArray[np.float64]

RESAMPLES = 5_000
NEVER = 0.0  # the speed-up of a seed on which the arm never gets there


@dataclass(frozen=True)
class SpeedUp:
    """Speed-ups over seeds.

    Args:
        values: (S,), 0 where the arm never has the baseline's best.
        median: Of them; 0 where half of the seeds or more never get there.
        quartiles: The lower and the upper one.
        interval: Of the median, 95 %, by the bootstrap over pairs of seeds; NaN for one seed.
        never: Seeds that never get there.
    """

    values: Array
    median: float
    quartiles: tuple[float, float]
    interval: tuple[float, float]
    never: int


def speed_up(base_places: Array, base: Array, places: Array, mine: Array) -> SpeedUp:
    """Where the baseline first has its best value, over where the arm first has that value.

    Args:
        base_places: (R,) or, where seeds have places of their own, (S, R); ascending.
        base: (S, R) values of the baseline, higher is better, finite.
        places: The arm's, (R') or (S, R').
        mine: (S, R') its values of the same seeds.

    Returns:
        Of a seed on which both have that value at once, before anything is spent, it is 1; where
        the baseline alone has, 0, as where the arm never gets there.
    """
    best = base.max(axis=1)
    base_first, first = _first(base_places, base, best), _first(places, mine, best)
    at_once = (base[:, 0] >= best) & (mine[:, 0] >= best)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(at_once | (base_first == first), 1.0, base_first / first)
    return summarized(ratios)


def speed_up_published(passes: Array, base: Array, mine: Array) -> SpeedUp:
    """The figure of the RHO-LOSS paper's notebooks (Mindermann et al. 2022, arXiv:2206.07137).

    The last pass over the first one at which the arm has the best that the baseline has by then,
    both counted from zero; infinite for an arm that has it after the first pass. A baseline that is
    at its best before the end is not credited with it, so this is above ``speed_up`` as a rule.

    Args:
        passes: (R,) numbers of passes, counted from zero and ascending; the last is above 0.
        base: (S, R) values of the baseline at the ends of passes, higher is better, finite.
        mine: (S, R) the arm's of the same seeds.
    """
    first = _first(passes, mine, base.max(axis=1))
    with np.errstate(divide="ignore"):
        return summarized(passes[-1] / first)


def summarized(values: Array) -> SpeedUp:
    """Median, quartiles and interval of (S,) speed-ups, S at least 1.

    Between ordered seeds is interpolated linearly; where the lower of two never gets there, what
    lies between them doesn't either.
    """
    ordered, size = np.sort(values), len(values)
    interval = (math.nan, math.nan)
    if size > 1:
        counts = np.rint(resampling_weights(size, RESAMPLES) * size).cumsum(axis=1)  # (X, S)
        low, high = (
            ordered[(counts <= place).sum(axis=1)] for place in ((size - 1) // 2, size // 2)
        )
        medians = np.sort(np.where(low == NEVER, NEVER, (low + high) / 2))
        interval = (_quantile(medians, 0.025), _quantile(medians, 0.975))
    return SpeedUp(
        values=values,
        median=_quantile(ordered, 0.5),
        quartiles=(_quantile(ordered, 0.25), _quantile(ordered, 0.75)),
        interval=interval,
        never=int((values == NEVER).sum()),
    )


def ends_of_passes(counts: Array, steps_per_pass: int) -> tuple[Array, NDArray[np.intp]]:
    """Passes in which steps were evaluated, counted from zero, and the last evaluation of each.

    Args:
        counts: (R,) steps, ascending; what comes before the first step is in no pass.
        steps_per_pass: At least 1.

    Returns:
        Numbers of passes (P,), and positions in ``counts`` (P,).
    """
    number = np.ceil(counts / steps_per_pass) - 1
    last = np.flatnonzero((number >= 0) & (np.append(number[1:], np.inf) > number))
    return number[last], last


def _first(places: Array, values: Array, goal: Array) -> Array:
    """The first place at which each row of ``values`` has ``goal`` (S,) or better, or inf: (S,)."""
    reached = values >= goal[:, None]
    rows = np.broadcast_to(places, values.shape)
    first = np.take_along_axis(rows, reached.argmax(axis=1)[:, None], axis=1)[:, 0]
    result: Array = np.where(reached.any(axis=1), first, np.inf)
    return result


def _quantile(ordered: Array, part: float) -> float:
    """Of ascending speed-ups, linearly between two of them; never where the lower one is."""
    place = part * (len(ordered) - 1)
    below, share = int(place), place - int(place)
    low = float(ordered[below])
    if low == NEVER or share == 0 or ordered[below + 1] == low:
        return low
    return low * (1 - share) + float(ordered[below + 1]) * share
