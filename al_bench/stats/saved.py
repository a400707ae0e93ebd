"""Labels saved: what an arm's curve is worth in the baseline's labels, or its steps.

S seeds, R stored counts of what was spent, X resamples.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from al_bench.stats.areas import arrival
from al_bench.stats.arms import Curves
from al_bench.stats.paired import resampling_weights

Array = NDArray[np.float64]

RESAMPLES = 5_000
SLACK = 1e-12  # of the greatest value: sums in another order differ in their last bits


@dataclass(frozen=True)
class Saved:
    """Labels, or steps, that an arm takes less than the baseline.

    Args:
        value: Of the mean curves over seeds.
        low: End of the interval of the paired bootstrap; NaN for one seed.
        high: The other end.
        at_most: The arm ends below the baseline, which it never matches with the labels of the
            budget: it saves no more than ``value``, which is below 0.
        at_start: In every resample the arm doesn't end below the baseline, and both are at the
            baseline's final value from the initial set, or the untrained network, on, which they
            share: there is nothing to save, and the numbers are 0.
    """

    value: float
    low: float
    high: float
    at_most: bool
    at_start: bool


def labels_saved(mine: Curves, base: Curves, low: float, high: float) -> Saved:
    """Labels, or steps, saved at the baseline's final value, seeds resampled in pairs.

    The mean curves over seeds are compared, on the lines between stored counts. What counts is from
    which label count on a curve stays at a value or better up to ``high``: a lucky round before it
    is none.

    - Where the arm ends at least as good as the baseline, the value is what the baseline ends with:
      the labels from which the baseline has it, less the labels from which the arm has it.
    - Where the arm ends below, it never gets there, and how many labels it would take is not known
      (censored at the budget). For values just above the arm's own final one it takes more than all
      labels, so it saves at most the labels that the baseline takes to these, less all labels.

    The interval is that of the paired bootstrap (95 %, percentiles): seeds are drawn with
    replacement, both arms' alike, and a resample in which the arm ends below counts with its bound.

    Args:
        mine: The arm's curves over ``low`` to ``high``, higher is better.
        base: The baseline's of the same seeds.
        low: Where the common range of counts begins.
        high: Where it ends.
    """
    num_seeds = len(mine.seeds)
    weights = np.full((1, num_seeds), 1 / num_seeds)
    if num_seeds > 1:
        weights = np.vstack([weights, resampling_weights(num_seeds, RESAMPLES)])
    counts, values = mine.within(low, high)
    base_counts, base_values = base.within(low, high)
    means, base_means = weights @ values, weights @ base_values  # (X, R)
    slack = SLACK * max(float(np.abs(values).max()), float(np.abs(base_values).max()))
    end, goal = means[:, -1], base_means[:, -1]
    below = end < goal - slack
    base_needs = arrival(base_counts, base_means, goal - slack)
    needs = arrival(counts, means, goal - slack)
    bound = arrival(base_counts, base_means, end + slack) - high
    saved = bound.copy()
    saved[~below] = (base_needs - needs)[~below]
    ends = np.quantile(saved[1:], [0.025, 0.975]) if num_seeds > 1 else (math.nan, math.nan)
    start = _shared_start(counts, values, base_counts, base_values)
    at_start = not below.any() and bool((np.maximum(base_needs, needs) <= start).all())
    return Saved(float(saved[0]), float(ends[0]), float(ends[1]), bool(below[0]), at_start)


def _shared_start(counts: Array, values: Array, base_counts: Array, base_values: Array) -> float:
    """The count up to which both have the same labels, or no steps.

    The initial set is shared; one that a strategy bought comes after a round without labels.
    """
    shared, i, j = np.intersect1d(counts, base_counts, return_indices=True)
    alike = (values[:, i] == base_values[:, j]).all(axis=0).cumprod()
    return float(shared[int(alike[:2].sum()) - 1 if alike[0] else 0])
