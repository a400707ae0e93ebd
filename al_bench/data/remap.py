"""Other classes than the data set's: merged, renamed or left out."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.data.base import Examples, Pool
from al_bench.data.pool import Stage
from al_bench.data.subset import IndexedInputs, part_of
from al_bench.errors import ConfigError, keyed, require_list, require_whole
from al_bench.seeding import Streams

DROPPED = -1  # in the lookup table only


@dataclass(frozen=True)
class Remap:
    """New classes made of the data set's, in the pool and in the test set alike.

    As in Redundant MNIST (Bickford Smith et al. 2023, arXiv:2304.08151): 1 against 7, everything
    else a third class that the test set does not ask about.

    Args:
        classes: The new class of each old one, 0 … C-1 without gaps; ``None`` drops the old
            class's points.
        test_classes: New classes that stay in the test set; ``None`` is all.
    """

    stage: ClassVar[Stage] = Stage.REMAP
    classes: Sequence[int | None]
    test_classes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        require_list("classes", self.classes)
        if self.test_classes is not None:
            require_list("test_classes", self.test_classes)
        used = {label for label in self.classes if label is not None}
        for label in used:
            require_whole("classes", label, 0)
        gaps = sorted(set(range(max(used, default=0) + 1)) - used)
        if gaps or len(used) < 2:
            raise ConfigError(
                f"{keyed('classes')} must use at least the classes 0 and 1, without gaps, "
                f"got {list(self.classes)}.",
                f"Give class {gaps[0] if gaps else 1} to an old class.",
            )
        for label in self.test_classes or ():
            require_whole("test_classes", label, 0)
        if self.test_classes is not None and not set(self.test_classes) <= used:
            unknown = min(set(self.test_classes) - used)
            raise ConfigError(
                f"{keyed('test_classes')} has {unknown}; the new classes are 0 to {max(used)}."
            )

    @property
    def num_classes(self) -> int:
        """C, after the mapping."""
        return 1 + max(label for label in self.classes if label is not None)

    def __call__(self, pool: Pool, streams: Streams) -> Pool:
        """The pool of the points that have a new class."""
        table = self._table(pool.num_classes)
        pool = part_of(pool, _remaining(table[pool.labels]))
        labels = table[pool.labels]
        return dataclasses.replace(
            pool,
            labels=labels,
            true_labels=labels,
            num_classes=self.num_classes,
        )

    def of_test(self, test: Examples, num_classes: int) -> Examples:
        """The test points that have a new class among ``test_classes``.

        Args:
            test: The data set's, labels 0 … num_classes - 1.
            num_classes: The data set's.

        Raises:
            ConfigError: The numbers don't fit the classes, or nothing is left.
        """
        table = self._table(num_classes)
        if self.test_classes is not None:
            table[~torch.isin(table, torch.tensor(list(self.test_classes)))] = DROPPED
        labels = table[test.labels]
        kept = _remaining(labels)
        if len(kept) == 0:
            raise ConfigError(f"{keyed('classes')} leaves no test points.")
        if len(kept) == len(test):
            return Examples(test.inputs, labels)
        return Examples(IndexedInputs(test.inputs, kept), labels[kept])

    def _table(self, num_classes: int) -> Tensor:
        """Old class to new."""
        if len(self.classes) != num_classes:
            raise ConfigError(
                f"{keyed('classes')} has {len(self.classes)} entries for {num_classes} classes.",
                "Give one a class; null drops its points.",
            )
        new = [DROPPED if label is None else label for label in self.classes]
        return torch.tensor(new, dtype=torch.int64)


def _remaining(labels: Tensor) -> Tensor:
    return (labels != DROPPED).nonzero().squeeze(1)
