"""Dropout masks drawn ahead of the pass."""

import torch
from torch import Tensor

from al_bench.models.base import Network


def draw_masks(
    network: Network, count: int, generator: torch.Generator, device: torch.device
) -> list[Tensor]:
    """Independent dropout masks for every dropout layer of ``network``.

    Row k takes the k-th block of draws, so it does not depend on ``count``, and it is drawn on the
    CPU, so it does not depend on the device.

    Args:
        network: Says how many units each layer has and how likely they are dropped.
        count: Rows to draw: examples when training, posterior samples when scoring.
        generator: A CPU generator.
        device: Where the masks are wanted.

    Returns:
        One tensor (count, units) a dropout layer: 0 for a dropped unit, 1 / (1 - dropout) for a
        kept one.
    """
    uniform = torch.rand(count, sum(network.mask_units), generator=generator)
    kept = (uniform >= network.dropout).to(torch.float32) / (1.0 - network.dropout)
    return list(torch.split(kept.to(device), list(network.mask_units), dim=1))
