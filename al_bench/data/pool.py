"""Pool transforms: what they are, in which order they act, and which points are copies."""

from collections.abc import Iterable
from enum import IntEnum
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from al_bench.data.base import Pool
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
