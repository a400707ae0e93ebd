"""Inputs of two data sets, one after the other, as one collection."""

from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.data.base import Inputs


@dataclass(frozen=True, eq=False)
class ConcatInputs:
    """The inputs of ``first`` and, after them, those of ``second``; nothing is copied.

    Args:
        first: n inputs.
        second: m inputs of the same shape.
    """

    first: Inputs
    second: Inputs

    def __post_init__(self) -> None:
        if self.first.input_shape != self.second.input_shape:
            raise ValueError(f"{self.first.input_shape} inputs before {self.second.input_shape}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.first.input_shape

    @property
    def zero(self) -> Tensor:
        """What a value of 0 is after normalising."""
        return self.first.zero

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def gather(self, indices: Tensor, device: torch.device) -> Tensor:
        """Normalised float32 inputs at ``indices``: (n, *input_shape)."""
        from_second = indices >= len(self.first)  # (n,)
        if not bool(from_second.any()):
            return self.first.gather(indices, device)
        places = from_second.nonzero().squeeze(1)
        second = self.second.gather(indices[places] - len(self.first), device)
        if len(places) == len(indices):
            return second
        gathered = torch.empty((len(indices), *self.input_shape), device=device)
        gathered[places.to(device)] = second
        places = (~from_second).nonzero().squeeze(1)
        gathered[places.to(device)] = self.first.gather(indices[places], device)
        return gathered
