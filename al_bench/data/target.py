"""Target inputs: the points whose predictions matter (EPIG and its relatives).

M target inputs, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from al_bench.data.array_files import read_array
from al_bench.data.base import Dataset, Inputs, Pool, TensorInputs
from al_bench.data.class_counts import of_each_class, require_one_a_class
from al_bench.data.pool import Stage, copies_of, first_copies
from al_bench.data.subset import part_of
from al_bench.errors import ConfigError, DataError, keyed, require_counts
from al_bench.seeding import Streams

GOLDEN = (5**0.5 - 1) / 2  # its multiples modulo 1 are evenly spread, however many are taken


@dataclass(frozen=True)
class Targets:
    """A population of target inputs.

    Args:
        inputs: The inputs.
        indices: (M,) int64, which of ``inputs``.
        groups: (M,) int64, the group of each of them, where groups have shares of their own.
        shares: (S,) float64, at least 0, the share of draws of each group; one with no members has
            share 0.
    """

    inputs: Inputs
    indices: Tensor
    groups: Tensor | None = None
    shares: Tensor | None = None

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(T,) indices into ``inputs``; the first of a larger draw are those of a smaller one.

        T is ``count``, or the number of target inputs where there are fewer.

        Without groups they are distinct, and every input is as likely as any other. With groups,
        each draw is of group s with chance ``shares[s]``, and any of its members is as likely as
        the others, so an average over the draws is unbiased whatever the sizes of the groups. Draws
        keep close to the shares (a golden-ratio sequence with a random start), and a group's
        members come in a random order, from the start again once all have come.
        """
        if count < 1:
            raise ValueError(f"cannot draw {count} target inputs")
        count = min(count, len(self.indices))
        times = torch.empty(len(self.indices), dtype=torch.float64)
        times.exponential_(generator=generator)
        order = times.argsort()
        if self.groups is None or self.shares is None:
            return self.indices[order[:count]]
        start = torch.rand(1, dtype=torch.float64, generator=generator)
        places = (start + GOLDEN * torch.arange(count, dtype=torch.float64)) % 1.0
        until = self.shares.cumsum(0)
        drawn = torch.searchsorted(until / until[-1], places, right=True)  # (count,) groups
        chosen = torch.empty(count, dtype=torch.int64)
        for group in torch.unique(drawn):
            members = self.indices[order[self.groups[order] == group]]
            turns = (drawn == group).nonzero().squeeze(1)
            chosen[turns] = members[torch.arange(len(turns)) % len(members)]
        return chosen


def effective_number(drawn: Tensor) -> float:
    """How many distinct targets an average over ``drawn`` (T,) is worth: 1 to T.

    T² / Σ n², where n is how often each was drawn (Kish 1965).
    """
    times = torch.unique(drawn, return_counts=True)[1].double()
    return float(times.sum() ** 2 / times.square().sum())


class TargetDistribution(Protocol):
    """What a file under ``conf/target`` builds."""

    def of(self, dataset: Dataset, pool: Pool) -> Targets:
        """The targets of one trial; raises ConfigError or DataError when they don't fit."""


@runtime_checkable
class HoldsOut(Protocol):
    """Targets that are points of the pool and leave it: nobody can buy them.

    Such a distribution is asked for the targets of the part that it holds out.
    """

    def held_out(self, pool: Pool, streams: Streams) -> Tensor:
        """(M,) int64 indices of the pool's points that leave it, with their copies.

        Raises:
            ConfigError: The pool lacks them.
        """

    def of(self, dataset: Dataset, pool: Pool) -> Targets:
        """The targets; ``pool`` is made of the points held out."""


def apart(target: TargetDistribution, pool: Pool, streams: Streams) -> tuple[Pool, Pool]:
    """The pool that is left once the targets have left it, and the one that targets come from.

    Both are the same where none leave it.
    """
    if not isinstance(target, HoldsOut):
        return pool, pool
    held = target.held_out(pool, streams)
    left = torch.ones(len(pool), dtype=torch.bool)
    left[copies_of(pool, held)] = False
    if not left.any():
        raise ConfigError("All points of the pool are held out as targets.", "Hold out fewer.")
    return part_of(pool, left.nonzero().squeeze(1)), part_of(pool, held)


@dataclass(frozen=True)
class PoolTargets:
    """Every point of the pool, labeled or not, is as likely a target as any other."""

    def of(self, dataset: Dataset, pool: Pool) -> Targets:
        """All pool points."""
        return Targets(pool.inputs, torch.arange(len(pool)))


@dataclass(frozen=True)
class ClassTargets:
    """Pool points drawn by class: the task at hand has other class proportions than the pool.

    Bickford Smith et al. (2023), arXiv:2304.08151, whose pools are messier than their targets. The
    classes of target inputs are known here; the strategy sees the inputs only. Points of another
    data set are never targets.

    A class has its share of the draws however few points of it the pool has: they are drawn again
    then. The note ``effective_targets`` of a round says how many distinct targets its draws are
    worth.

    Args:
        proportions: One a class, at least 0, with a positive sum.
    """

    proportions: Sequence[float]
    numerics_version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        wrong = [p for p in self.proportions if not 0 <= p < float("inf")]
        if wrong or not sum(self.proportions) > 0:
            raise ConfigError(
                f"{keyed('proportions')} must be numbers from 0, not all 0, got "
                f"{self.proportions}.",
                f"Give one a class, for example {keyed('proportions')}=[1,1,0].",
            )

    def of(self, dataset: Dataset, pool: Pool) -> Targets:
        """The pool points of the wanted classes."""
        require_one_a_class(self.proportions, pool.num_classes, keyed("proportions", self))
        own = pool.origin == 0
        counts = torch.bincount(pool.true_labels[own], minlength=pool.num_classes)
        wanted = torch.tensor(self.proportions, dtype=torch.float64)
        absent = ((wanted > 0) & (counts == 0)).nonzero().flatten().tolist()
        if absent:
            raise ConfigError(
                f"{keyed('proportions')} wants class {absent[0]}, which the pool lacks."
            )
        labels = pool.true_labels.where(own, 0)  # others have classes of their own
        indices = (own & (wanted[labels] > 0)).nonzero().squeeze(1)
        return Targets(pool.inputs, indices, labels[indices], wanted / wanted.sum())


@dataclass(frozen=True)
class HeldOutTargets(PoolTargets):
    """So many points of each class are targets and leave the pool, drawn anew for every seed.

    Bickford Smith et al. (2023), arXiv:2304.08151, whose target sets are of this kind. The classes
    are the true ones; the strategy sees the inputs only. Copies of targets leave the pool too, and
    points of another data set are never targets.

    Args:
        counts: Points of each class, at least 0, not all of them 0.
    """

    counts: Sequence[int]

    def __post_init__(self) -> None:
        require_counts("counts", self.counts)

    def held_out(self, pool: Pool, streams: Streams) -> Tensor:
        """(M,) int64 indices of the points that become targets, no two copies of one another."""
        require_one_a_class(self.counts, pool.num_classes, keyed("counts", self))
        order = torch.randperm(
            len(pool), generator=streams.generator("split", member=Stage.HELD_OUT)
        )
        order = order[pool.origin[order] == 0]
        order = order[first_copies(pool, order)]
        said = f"{keyed('counts', self)}={list(self.counts)}"
        return torch.cat(of_each_class(order, pool.true_labels, self.counts, said))


@dataclass(frozen=True)
class FileTargets:
    """Target inputs of one's own, read once for all trials of a data set.

    Args:
        path: A ``.npy`` file (M, *input_shape): uint8 images, normalised as the data set's are, or
            floating point as the model takes them.
    """

    path: str
    _read: dict[str, Targets] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, dataset: Dataset, pool: Pool) -> Targets:
        """The inputs of the file."""
        if dataset.fingerprint not in self._read:
            self._read[dataset.fingerprint] = self._of(dataset, pool)
        return self._read[dataset.fingerprint]

    def _of(self, dataset: Dataset, pool: Pool) -> Targets:
        values = read_array(self.path, keyed("path", self))
        shape = pool.inputs.input_shape
        integer = values.dtype == np.uint8
        if values.shape[1:] != shape or len(values) == 0:
            raise DataError(
                f"{keyed('path')}={self.path} has shape {values.shape}; the data set needs "
                f"(M, {', '.join(map(str, shape))})."
            )
        if not integer and not (values.dtype.kind == "f" and np.isfinite(values).all()):
            raise DataError(
                f"{keyed('path')}={self.path} must hold uint8 or finite floating point "
                f"numbers, got {values.dtype}."
            )
        tensor = torch.from_numpy(values if integer else values.astype(np.float32))
        known = dataset.train.inputs
        if not integer:
            inputs = TensorInputs(tensor)
        elif isinstance(known, TensorInputs) and known.values.dtype == torch.uint8:
            inputs = replace(known, values=tensor, _resident={})
        else:
            raise DataError(
                f"{keyed('path')}={self.path} holds uint8 images; the data set's inputs are not.",
                "Write floating point numbers as the model takes them.",
            )
        return Targets(inputs, torch.arange(len(tensor)))
