"""Inputs in chunks that a posterior can be shown within a memory budget."""

from collections.abc import Iterator

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
