"""Inputs in chunks that a posterior can be shown within a memory budget, and what comes of them."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from al_bench.data.base import Inputs
from al_bench.models.base import Posterior


def chunked(
    posterior: Posterior,
    inputs: Inputs,
    indices: Tensor,
    device: torch.device,
    chunk_bytes: int,
) -> Iterator[Tensor]:
    """Inputs at ``indices`` in chunks that the posterior can be shown within ``chunk_bytes``."""
    size = posterior.chunk_size(inputs.input_shape, chunk_bytes)
    for chunk in torch.split(indices, size):
        yield inputs.gather(chunk, device)


def joined(parts: Sequence[Any]) -> Any:
    """What was given for each chunk, a tensor or a named tuple of tensors, in one."""
    if isinstance(parts[0], Tensor):
        return torch.cat(list(parts))
    return type(parts[0])(*(torch.cat(rows) for rows in zip(*parts, strict=True)))


def rows_at(values: Any, positions: Tensor) -> Any:
    """The rows at ``positions`` of a tensor, or of each tensor of a named tuple."""
    if isinstance(values, Tensor):
        return values[positions]
    return type(values)(*(rows[positions] for rows in values))
