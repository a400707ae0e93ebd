"""Fewer points: a random part of a pool."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.data.base import Inputs, Pool
from al_bench.data.pool import Stage
from al_bench.errors import ConfigError, keyed, require_whole
from al_bench.seeding import Streams


@dataclass(frozen=True, eq=False)
class IndexedInputs:
    """The part ``indices`` (n,) of other inputs, in that order; nothing is copied."""

    base: Inputs
    indices: Tensor

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.base.input_shape

    @property
    def zero(self) -> Tensor:
        """What a value of 0 is after normalising."""
        return self.base.zero

    def __len__(self) -> int:
        return len(self.indices)

    def gather(self, indices: Tensor, device: torch.device) -> Tensor:
        """Normalised float32 inputs at ``indices``: (n, *input_shape)."""
        return self.base.gather(self.indices[indices.to(self.indices.device)], device)


def part_of(pool: Pool, kept: Tensor) -> Pool:
    """The points of ``pool`` at ``kept`` (n,), in that order, with all that belongs to them."""
    return dataclasses.replace(
        pool,
        inputs=IndexedInputs(pool.inputs, kept),
        labels=pool.labels[kept],
        true_labels=pool.true_labels[kept],
        source_index=pool.source_index[kept],
        origin=pool.origin[kept],
        refused=pool.refused[kept],
    )


@dataclass(frozen=True)
class Subset:
    """A uniform sample of the pool, drawn anew for every seed.

    Args:
        size: Points kept, in their old order.
    """

    stage: ClassVar[Stage] = Stage.SUBSET
    size: int = 1000

    def __post_init__(self) -> None:
        require_whole("size", self.size, 1)

    def __call__(self, pool: Pool, streams: Streams) -> Pool:
        """The pool of ``size`` points; raises ConfigError when it has fewer."""
        if self.size > len(pool):
            raise ConfigError(
                f"{keyed('size')} is {self.size} and the pool has {len(pool)} points.",
                f"Use {keyed('size')}={len(pool)} or less.",
            )
        generator = streams.generator("split", member=self.stage)
        kept = torch.randperm(len(pool), generator=generator)[: self.size].sort().values
        return part_of(pool, kept)
