"""Inputs that stay on the disk, as memory maps, and are read where they are asked for."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from al_bench.data.base import Moments


@dataclass(frozen=True, eq=False)
class MappedInputs:
    """Inputs in a ``.npy`` file too large to keep in memory; read when gathered.

    Args:
        path: The file, (n, *input_shape).
        mean: Subtracted; broadcasts against one input.
        std: Divided by afterwards.
        unit: What counts as 1 in the file: 255 in uint8 images.
    """

    path: Path
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    unit: float = 1.0
    _opened: list[NDArray[np.generic]] = field(default_factory=list, repr=False)

    @property
    def values(self) -> NDArray[np.generic]:
        """The memory-mapped file."""
        if not self._opened:
            self._opened.append(np.load(self.path, mmap_mode="r", allow_pickle=False))
        return self._opened[0]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.values.shape[1:]

    @property
    def zero(self) -> Tensor:
        """What a value of 0 is after normalising."""
        return torch.from_numpy((-self.mean / self.std).astype(np.float32))

    @property
    def moments(self) -> Moments:
        """By what the values are normalised."""
        mean, std = (tuple((part / self.unit).ravel().tolist()) for part in (self.mean, self.std))
        return Moments(mean, std)

    def normalized_by(self, moments: Moments) -> "MappedInputs":
        """The same values, normalised by others' moments instead of their own."""
        shape = (-1,) + (1,) * (len(self.input_shape) - 1)
        mean, std = (np.array(part).reshape(shape) * self.unit for part in moments)
        return replace(self, mean=mean, std=std)

    def __len__(self) -> int:
        return len(self.values)

    def __getstate__(self) -> dict[str, Any]:
        # Another process opens the file itself, instead of being sent all of it.
        return {**self.__dict__, "_opened": []}

    def gather(self, indices: Tensor, device: torch.device) -> Tensor:
        """Normalised float32 inputs at ``indices``: (n, *input_shape)."""
        values = self.values[indices.cpu().numpy()].astype(np.float64)
        return torch.from_numpy(((values - self.mean) / self.std).astype(np.float32)).to(device)
