"""Pool transforms: what they are, in which order they act, and which points are copies."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from al_bench.data.base import Dataset, Examples, Pool
from al_bench.data.classes import check_kept, check_known, check_labels, gaps_in_words, present
from al_bench.errors import ConfigError, placed
from al_bench.seeding import Streams


class Stage(IntEnum):
    """When a pool transform acts, and which member of the "split" stream is its own.

    The last two are no transforms: what they draw is drawn when the pool is made.
    """

    REMAP = 1
    SUBSET = 2
    IMBALANCE = 3
    CONTAMINATE = 4
    LABEL_NOISE = 5
    REPEAT = 6
    HELD_OUT = 7
    TEST = 8


class PoolTransform(Protocol):
    """What a file under ``conf/pool`` builds."""

    stage: ClassVar[Stage]

    def __call__(self, pool: Pool, streams: Streams) -> Pool:
        """The transformed pool; raises ConfigError when this pool cannot be transformed so."""


@runtime_checkable
class ReadsData(Protocol):
    """A pool transform with data of its own: cheap to make, expensive to load."""

    def load(self, dataset: Dataset) -> tuple[PoolTransform, str | None]:
        """The transform that holds its data, and the fingerprint of these (``None``: nothing read).

        Args:
            dataset: What the pool is made of.
        """


@runtime_checkable
class ChangesClasses(Protocol):
    """A pool transform that changes what the classes are, for the test set too."""

    @property
    def num_classes(self) -> int:
        """C, afterwards."""

    def of_test(self, test: Examples, num_classes: int) -> Examples:
        """The test set in the new classes; ``num_classes`` is the old C."""


@runtime_checkable
class EmptiesClasses(Protocol):
    """A pool transform that may leave a class without any point in every seed's pool."""

    def emptied(self, num_classes: int) -> Collection[int]:
        """Classes that keep no point; ``num_classes`` is C."""


@dataclass(frozen=True)
class Loaded:
    """Pool transforms with their data, and what they mean for the rest of a run.

    Args:
        transforms: Ready to be applied to a pool.
        test: The test set.
        num_classes: C.
        fingerprint: Of the data set and all that the transforms have read.
        known_classes: Classes that the data set has an example of; ``None`` is all.
        notes: Sentences on classes that lack training examples, or have none at all.
    """

    transforms: Sequence[PoolTransform]
    test: Examples
    num_classes: int
    fingerprint: str
    known_classes: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()


def load_transforms(transforms: Iterable[PoolTransform], dataset: Dataset) -> Loaded:
    """Load what the transforms of this data set's pools need.

    Raises:
        ConfigError: A transform does not fit the data set.
        DataError: A transform's data are missing or damaged, labels are no classes, or nothing has
            an example of a class and nobody has said that it is meant.
    """
    check_labels(dataset)
    ordered = sorted(transforms, key=lambda transform: transform.stage)
    names = [transform.stage.name.lower() for transform in ordered]
    ready, fingerprints = [], [dataset.fingerprint]
    test, num_classes = dataset.test, dataset.num_classes
    train = present(dataset.train.labels)
    for transform in ordered:
        if isinstance(transform, ChangesClasses):
            with placed(transform):
                pool = Pool.of(dataset.train, num_classes, "")
                train = present(transform(pool, Streams(0)).labels)
                test = transform.of_test(test, num_classes)
            num_classes = transform.num_classes
        if isinstance(transform, EmptiesClasses) and not dataset.classes_given:
            check_kept(num_classes, train & set(transform.emptied(num_classes)), test, names)
        if isinstance(transform, ReadsData):
            with placed(transform):
                transform, fingerprint = transform.load(dataset)
            fingerprints += [fingerprint] if fingerprint is not None else []
        ready.append(transform)
    tested = present(test.labels)
    known = tuple(sorted(train | tested))
    if not dataset.classes_given:
        check_known(num_classes, known, names)
    notes = gaps_in_words(num_classes, train, tested)
    return Loaded(ready, test, num_classes, "+".join(fingerprints), known, notes)


def apply_transforms(pool: Pool, transforms: Iterable[PoolTransform], streams: Streams) -> Pool:
    """The pool after all transforms, applied in the order of their stages.

    Raises:
        ConfigError: Two transforms belong to the same stage, or one does not fit the pool.
    """
    by_stage: dict[Stage, PoolTransform] = {}
    for transform in transforms:
        other = by_stage.setdefault(transform.stage, transform)
        if other is not transform:
            raise ConfigError(
                f"{type(other).__name__} and {type(transform).__name__} are both pool transforms "
                f"of the stage {transform.stage.name.lower()}; a pool can have one of each stage."
            )
    for stage in sorted(by_stage):
        with placed(by_stage[stage]):
            pool = by_stage[stage](pool, streams)
    return pool


def copies_of(pool: Pool, indices: Tensor) -> Tensor:
    """Pool indices of all copies of the given points, themselves included, ascending.

    Copies share their data set and their index in it.

    Args:
        pool: The pool.
        indices: (n,) int64 pool indices.
    """
    numbers = copy_numbers(pool)
    return torch.isin(numbers, numbers[indices]).nonzero().squeeze(1)


def copy_numbers(pool: Pool) -> Tensor:
    """(N,) int64, the same for copies of one point and different for different points."""
    stride = int(pool.source_index.max()) + 1 if len(pool) else 1
    return pool.origin * stride + pool.source_index


def first_copies(pool: Pool, order: Tensor) -> Tensor:
    """(n,) bool: whether each place of ``order`` is the first with its source point."""
    if len(order) == 0:
        return torch.empty(0, dtype=torch.bool)
    _, group = torch.unique(copy_numbers(pool)[order], return_inverse=True)
    first = torch.full((int(group.max()) + 1,), len(order), dtype=torch.int64)
    places = torch.arange(len(order))
    first.scatter_reduce_(0, group, places, reduce="amin")
    return first[group] == places
