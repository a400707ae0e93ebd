"""Redundancy: several noisy copies of a pool, as in RepeatedMNIST."""

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.data.base import Inputs, Pool
from al_bench.data.noise import normal_noise
from al_bench.data.pool import Stage
from al_bench.errors import require_number, require_whole
from al_bench.seeding import Streams

BLOCK = 128  # points whose noise is made at once, so that it stays in a CPU's cache


@dataclass(frozen=True, eq=False)
class RepeatedInputs:
    """Copies of other inputs, each with its own noise; index = copy * n + position.

    Args:
        base: n inputs.
        copies: Copies of each.
        noise_std: Standard deviation of what is added to normalised inputs.
        key: Of the noise, between 0 and 2**64 - 1.
    """

    base: Inputs
    copies: int
    noise_std: float
    key: int

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.base.input_shape

    @property
    def zero(self) -> Tensor:
        """What a value of 0 is after normalising, without noise."""
        return self.base.zero

    def __len__(self) -> int:
        return self.copies * len(self.base)

    def gather(self, indices: Tensor, device: torch.device) -> Tensor:
        """Normalised float32 inputs at ``indices``, with their noise: (n, *input_shape)."""
        position = indices % len(self.base)
        copy = indices.div(len(self.base), rounding_mode="floor")
        inputs = self.base.gather(position, device)
        if self.noise_std == 0:
            return inputs
        position, copy = position.to(device), copy.to(device)
        noise = torch.empty(len(inputs), math.prod(self.input_shape), device=device)
        block = BLOCK if device.type == "cpu" else max(1, len(noise))
        for start in range(0, len(noise), block):
            part = slice(start, start + block)
            draws = normal_noise(self.key, copy[part], position[part], noise.shape[1])
            torch.mul(draws, self.noise_std, out=noise[part])
        return inputs + noise.view_as(inputs)


@dataclass(frozen=True)
class Repeat:
    """Copies of the pool with noise on the normalised inputs: RepeatedMNIST, Kirsch et al. (2019).

    Every copy is noisy, and no two alike. The noise of a copy is drawn once a seed, so a point
    looks the same whenever it is read.

    Args:
        copies: How often every point occurs.
        noise_std: Standard deviation of the noise, at least 0.
    """

    stage: ClassVar[Stage] = Stage.REPEAT
    copies: int = 3
    noise_std: float = 0.1

    def __post_init__(self) -> None:
        require_whole("copies", self.copies, 1)
        require_number("noise_std", self.noise_std, 0)

    def __call__(self, pool: Pool, streams: Streams) -> Pool:
        """The pool of ``copies`` x N points; copy 0 comes first."""
        key = streams.key("noise", member=self.stage)
        return dataclasses.replace(
            pool,
            inputs=RepeatedInputs(pool.inputs, self.copies, float(self.noise_std), key),
            labels=pool.labels.repeat(self.copies),
            true_labels=pool.true_labels.repeat(self.copies),
            source_index=pool.source_index.repeat(self.copies),
            origin=pool.origin.repeat(self.copies),
            refused=pool.refused.repeat(self.copies),
        )
