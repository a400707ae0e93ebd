"""Labeled points of a pool, and how their batches reach a device.

M labeled points, n of a batch.
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.data.base import Inputs


@dataclass(frozen=True)
class LabeledSet:
    """Some inputs of a pool with their labels.

    Args:
        inputs: The pool's inputs.
        indices: (M,) int64, which of them.
        labels: (M,) int64.
    """

    inputs: Inputs
    indices: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    def on(self, device: torch.device, chunk_bytes: int) -> "Batches":
        """Reader of batches on ``device``; a set within ``chunk_bytes`` is gathered only once."""
        return Batches(self, device, chunk_bytes)


class Batches:
    """Reads batches of a labeled set by place in the set."""

    def __init__(self, points: LabeledSet, device: torch.device, chunk_bytes: int) -> None:
        self._points = points
        self._device = device
        self._labels = points.labels.to(device)
        size = 4 * math.prod(points.inputs.input_shape) * len(points)
        self._held = points.inputs.gather(points.indices, device) if size <= chunk_bytes else None
        # activations of a small network take some 64 times the bytes of its input
        self._chunk = max(1, chunk_bytes // (256 * math.prod(points.inputs.input_shape)))

    def __call__(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (n, …) and labels (n,) at ``places`` (n,)."""
        labels = self._labels[places.to(self._device)]
        if self._held is not None:
            return self._held[places.to(self._device)], labels
        return self._points.inputs.gather(self._points.indices[places], self._device), labels

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All points once, in order, in chunks: inputs (n, …) and labels (n,)."""
        for places in torch.split(torch.arange(len(self)), self._chunk):
            if len(places):
                yield self(places)

    def __len__(self) -> int:
        return len(self._points)

    @functools.cached_property
    def zero(self) -> Tensor:
        """What a value of 0 is after normalising, on the device."""
        return self._points.inputs.zero.to(self._device)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self._points.inputs.input_shape
