"""What is compared: arms, their curves, and which rows belong to which.

S seeds, R stored counts of what was spent, labels or steps.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.stats.against_itself import AgainstItself
from al_bench.stats.paired import Paired
from al_bench.stats.speed_up import SpeedUp
from al_bench.stats.spent import LABELS, Axis
from al_bench.stats.summary import by_seed
from al_bench.stats.verdicts import EQUIVALENCE_LEVEL

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """The curves of one arm.

    Args:
        counts: (R,) stored counts.
        values: (S, R), NaN where a seed has no round there.
        seeds: (S,) ascending.
    """

    counts: Array
    values: Array
    seeds: tuple[int, ...]

    @property
    def of_all_seeds(self) -> Array:
        """The counts at which no seed is missing."""
        return self.counts[~np.isnan(self.values).any(axis=0)]

    def over(self, counts: Sequence[float]) -> "Curves":
        """The seeds that lack none of these counts, and their curves over them."""
        inside = np.isin(self.counts, counts)
        values = self.values[:, inside]
        places = np.flatnonzero(~np.isnan(values).any(axis=1))
        seeds = tuple(self.seeds[place] for place in places)
        return Curves(self.counts[inside], values[places], seeds)

    def within(self, low: float, high: float) -> tuple[Array, Array]:
        """Counts between ``low`` and ``high``, and the values there."""
        inside = (self.counts >= low) & (self.counts <= high)
        return self.counts[inside], self.values[:, inside]

    def only(self, seeds: Sequence[int]) -> "Curves":
        """Those of these seeds that are there."""
        shared = tuple(seed for seed in self.seeds if seed in seeds)
        return Curves(self.counts, self.of(shared), shared)

    def of(self, seeds: Sequence[int]) -> Array:
        """(S', R) values of these seeds, in their order."""
        return self.values[[self.seeds.index(seed) for seed in seeds]]


@dataclass(frozen=True)
class ArmResult:
    """One arm beside the baseline.

    Args:
        arm: Its name.
        baseline: Name of the arm that it is compared with, its own for a baseline; None where the
            protocol lacks one for it.
        seeds: Its seeds with whole curves.
        areas: Their normalised areas, (S,), in units of the metric; at a single count
            (``ProtocolResult.is_one_count``) the values there.
        paired: Differences to the baseline, oriented so that more is better, if either is; None for
            the baseline and where no seed is shared.
        p_holm: The deciding p, adjusted for all arms of the protocol (Holm).
        p_equivalence_holm: The p of equivalence, adjusted likewise, over the arms' tests of it.
        verdict: better, worse, equivalent, not distinguishable; higher or lower where the metric
            has no direction; None for the baseline.
        third_differences: Mean difference in the low, middle and high third of the counts; None
            for the baseline and at a single count.
        labels_to: Target to the labels, or steps, at which each seed first gets there, (S,),
            infinite for never; without the seeds that have not come so far yet.
        labels_before: Target to the stored count before that one, of the same seeds.
        saved: Labels, or steps, saved at the baseline's final value, with its interval; see
            ``saved.labels_saved``.
        saved_at_most: The arm ends below the baseline and never has that value: it saves no more.
        saved_at_start: Both have that value from the initial set, or the untrained network, on,
            which they share, in every resample: there is nothing to save, and ``saved`` is all
            zeros.
        speed_up: Of steps, where these are spent; see ``speed_up.speed_up``.
        speed_up_published: Of passes; see ``speed_up.speed_up_published``.
        speed_up_time: Of seconds, with the training of irreducible-loss models; None where the
            times are not known.
        sees_labels: A control that looks at labels before they are bought.
        against_itself: A baseline's seeds compared with themselves, where that was asked for and
            there are enough.
    """

    arm: str
    baseline: str | None
    seeds: tuple[int, ...]
    areas: Array
    paired: Paired | None = None
    p_holm: float = math.nan
    p_equivalence_holm: float = math.nan
    verdict: str | None = None
    third_differences: tuple[float, float, float] | None = None
    labels_to: Mapping[float, Array] = field(default_factory=dict)
    labels_before: Mapping[float, Array] = field(default_factory=dict)
    saved: tuple[float, float, float] | None = None
    saved_at_most: bool = False
    saved_at_start: bool = False
    speed_up: SpeedUp | None = None
    speed_up_published: SpeedUp | None = None
    speed_up_time: SpeedUp | None = None
    sees_labels: bool = False
    against_itself: AgainstItself | None = None

    @property
    def is_baseline(self) -> bool:
        """Whether others are compared with it."""
        return self.arm == self.baseline

    @property
    def within_margin(self) -> bool:
        """Its difference is shown to lie within the margin, which a better or worse one may too."""
        return self.p_equivalence_holm < EQUIVALENCE_LEVEL


@dataclass(frozen=True)
class ProtocolResult:
    """All arms of one protocol.

    Args:
        baseline: The baseline's name, or what the arms' own baselines have in common ("random");
            None where the protocol lacks it.
        low: Where the common range of labels, or steps, begins; NaN where there is none.
        high: Where it ends; ``low`` where the budgets are spent in one round.
        noise_floor: Half of the interval of baseline against baseline; of several the widest.
        margin: Of equivalence, in units of the metric.
        arms: The baseline first, then by area.
        curves: Of each arm.
        key: The protocol's id.
        title: Its name.
        dataset: Its data set.
        compared: A sentence on which arm is the baseline of which, where arms are told apart by
            more than their strategy; else empty.
        axis: What was spent.
    """

    baseline: str | None
    low: float
    high: float
    noise_floor: float
    margin: float
    arms: tuple[ArmResult, ...]
    curves: Mapping[str, Curves]
    key: str = ""
    title: str = ""
    dataset: str = ""
    compared: str = ""
    axis: Axis = LABELS

    @property
    def is_one_count(self) -> bool:
        """Values at a single count are compared, since one round is all that the budgets buy."""
        return self.low == self.high

    @property
    def is_compared(self) -> bool:
        """Whether there is a difference at all: an arm that shares seeds with its baseline."""
        return any(arm.paired is not None for arm in self.arms)


def speed_ups(arm: ArmResult) -> dict[str, SpeedUp | None]:
    """The speed-ups of an arm by the columns that they are stored in."""
    return {
        "speed_up": arm.speed_up,
        "speed_up_published": arm.speed_up_published,
        "speed_up_time": arm.speed_up_time,
    }


def curves_of(rows: pd.DataFrame) -> Curves:
    """The curves of one arm from its rows of ``tidy``."""
    seeds, counts, values = by_seed(rows, "value")
    return Curves(counts.astype(float), values, tuple(seeds.tolist()))
