"""Areas under learning curves: the mean of a metric over a range of labels or steps.

S seeds, R stored counts of these.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def normalized_area(counts: Array, values: Array, low: float, high: float) -> Array:
    """Area under piecewise linear curves from ``low`` to ``high``, divided by the width.

    The exact integral of the straight lines between stored counts (trapezoids), so it is in units
    of the metric: what a curve is worth on average over the range. Over a single count that is the
    value there, the limit of ever narrower ranges.

    Args:
        counts: (R,) ascending, distinct.
        values: (S, R) or (R,); NaN makes the areas that need it NaN.
        low: Where the range begins, at least ``counts[0]``.
        high: Where it ends, at least ``low`` and at most ``counts[-1]``.

    Returns:
        (S,) or ().

    Raises:
        ValueError: The range ends before it begins or reaches beyond the curve.
    """
    counts = np.asarray(counts, dtype=np.float64)
    values = np.asarray(values, dtype=np.float64)
    if not counts[0] <= low <= high <= counts[-1]:
        raise ValueError(f"no area from {low} to {high} under a curve over {counts}")
    if low == high:
        return _at(counts, values, low)
    inside = (counts > low) & (counts < high)
    ends = [_at(counts, values, low)[..., None], _at(counts, values, high)[..., None]]
    x = np.concatenate([[low], counts[inside], [high]])
    y = np.concatenate([ends[0], values[..., inside], ends[1]], axis=-1)
    area: Array = ((y[..., 1:] + y[..., :-1]) / 2) @ np.diff(x) / (high - low)
    return area


def thirds(low: float, high: float) -> list[tuple[float, float]]:
    """The low, middle and high third of a range of counts."""
    edges = [low + (high - low) * part / 3 for part in range(4)]
    edges[-1] = high
    return list(itertools.pairwise(edges))


def arrival(counts: Array, values: Array, target: Array | float) -> Array:
    """Counts from which curves stay at ``target`` or better, up to their last count.

    Between stored counts curves are straight lines. Reaching the target and falling below it again
    is no arrival.

    Args:
        counts: (R,) ascending.
        values: (…, R), higher is better, finite.
        target: Broadcast against the shape without R.

    Returns:
        The count, (…): the first one where the curve is never below; infinite where it ends below.
    """
    values = np.asarray(values, dtype=np.float64)
    goal = np.broadcast_to(np.asarray(target, dtype=np.float64), values.shape[:-1])[..., None]
    below = values < goal
    last = values.shape[-1] - 1 - below[..., ::-1].argmax(axis=-1)  # the last count below
    after = np.minimum(last + 1, len(counts) - 1)
    was = np.take_along_axis(values, last[..., None], -1)[..., 0]
    at = np.take_along_axis(values, after[..., None], -1)[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(at > was, (goal[..., 0] - was) / (at - was), 1.0)
    crossing = counts[last] + share * (counts[after] - counts[last])
    crossing = np.where(below.any(axis=-1), crossing, counts[0])
    result: Array = np.where(below[..., -1], np.inf, crossing)
    return result


def _at(counts: Array, values: Array, place: float) -> Array:
    """Values of the curves at one place between the first and the last count."""
    right = int(np.searchsorted(counts, place))
    if counts[right] == place:
        exact: Array = values[..., right]
        return exact
    share = (place - counts[right - 1]) / (counts[right] - counts[right - 1])
    between: Array = (1 - share) * values[..., right - 1] + share * values[..., right]
    return between
