"""Pool transforms: what they are, in which order they act, and which points are copies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from al_bench.data.base import Dataset, Examples, Pool
from al_bench.errors import ConfigError
from al_bench.seeding import Streams


class Stage(IntEnum):
    """When a pool transform acts, and which member of the "split" stream is its own."""

    REMAP = 1
    SUBSET = 2
    IMBALANCE = 3
    CONTAMINATE = 4
    LABEL_NOISE = 5
    REPEAT = 6


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


@dataclass(frozen=True)
class Loaded:
    """Pool transforms with their data, and what they mean for the rest of a run.

    Args:
        transforms: Ready to be applied to a pool.
        test: The test set.
        num_classes: C.
        fingerprint: Of the data set and all that the transforms have read.
    """

    transforms: Sequence[PoolTransform]
    test: Examples
    num_classes: int
    fingerprint: str


def load_transforms(transforms: Iterable[PoolTransform], dataset: Dataset) -> Loaded:
    """Load what the transforms of this data set's pools need.

    Raises:
        ConfigError: A transform does not fit the data set.
        DataError: A transform's data are missing or damaged.
    """
    ready, fingerprints = [], [dataset.fingerprint]
    test, num_classes = dataset.test, dataset.num_classes
    for transform in sorted(transforms, key=lambda transform: transform.stage):
        if isinstance(transform, ChangesClasses):
            test = transform.of_test(test, num_classes)
            num_classes = transform.num_classes
        if isinstance(transform, ReadsData):
            transform, fingerprint = transform.load(dataset)
            fingerprints += [fingerprint] if fingerprint is not None else []
        ready.append(transform)
    return Loaded(ready, test, num_classes, "+".join(fingerprints))


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
        pool = by_stage[stage](pool, streams)
    return pool


def copies_of(pool: Pool, indices: Tensor) -> Tensor:
    """Pool indices of all copies of the given points, themselves included, ascending.

    Copies share their data set and their index in it.

    Args:
        pool: The pool.
        indices: (n,) int64 pool indices.
    """
    stride = int(pool.source_index.max()) + 1 if len(pool) else 1
    identity = pool.origin * stride + pool.source_index  # (N,)
    return torch.isin(identity, identity[indices]).nonzero().squeeze(1)
