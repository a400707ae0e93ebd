"""MC-dropout samples as smaller networks, many of them in one matrix product.

The masks of all K samples are known before the pass, so what they drop is never computed. Three
things save work, and none changes a result beyond the order of a sum:

- The layer after the first masks is linear and sees the same maps in every sample, switched on and
  off by unit. So each unit's share of every output is computed once a point, and a sample is a sum
  of the shares of the units it keeps: its mask times the shares. For a 5×5 convolution that takes
  the 25 taps out of the work that is done K times.
- An output is computed only for the samples that keep it.
- Later layers are sliced to the units kept on either side, a quarter of their products at a dropout
  of 0.5. Samples of similar size are padded to a common one and multiplied together.

Points are the last axis throughout, so every inner loop runs over neighbors in memory. They come in
tiles of one size, the last filled up with zeros, so results don't depend on how callers cut them.

n points, K samples, C classes. *Rows* are units of a sample, maps (h, w) of all points of a tile.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from al_bench.models.frozen import normalized
from al_bench.models.networks.blocks import BlockNetwork
from al_bench.models.slices import LinearSlices, Workspace, linear_slices
from al_bench.models.stacked_layers import (
    CPU_TILING,
    DEVICE_TILING,
    MixedLayer,
    SlicedLayers,
    Tiling,
)

MAX_WEIGHT_BYTES = 512 * 2**20


class StackedForm:
    """K samples of a block network under known masks.

    Args:
        network: Float32, in evaluation mode.
        masks: One a dropout layer, (K, units), zero where a unit is dropped.
        precision: Of the matrix products; weights are rounded once, here.
        tiling: ``None`` chooses by the network's device.
    """

    def __init__(
        self,
        network: BlockNetwork,
        masks: Sequence[Tensor],
        precision: torch.dtype = torch.float32,
        tiling: Tiling | None = None,
    ) -> None:
        device = network.output.weight.device
        self._tiling = tiling or tiling_for(device)
        self._num_classes = network.output.out_features
        linears = linear_slices(network, masks)
        kept = linears[0].kept_in
        first = linears[0]
        self._mixture: MixedLayer | None = None
        if first.weight.shape[2] > 1 and first.block is not None:
            self._mixture = MixedLayer(first, precision, self._tiling)
            linears = linears[1:]
            rows = self._mixture.rows
        else:  # one tap: there is nothing that samples could share
            rows = torch.arange(kept.shape[1], device=device).expand(len(kept), -1)
        self._order, sizes = _similar(linears, self._tiling, precision)
        self._groups = [
            SlicedLayers(linears, samples, rows, precision)
            for samples in torch.split(self._order, sizes)
        ]
        self._inverse = self._order.argsort()
        self._workspace = Workspace(device, precision)

    @property
    def points(self) -> int:
        """Points of a tile."""
        return self._tiling.points

    def log_probs(self, hidden: Tensor) -> Tensor:
        """Log-probabilities (n, K, C), float32, from the prefix's output of one tile."""
        points = len(hidden)
        rows = hidden.movedim(0, -1).contiguous()  # (units, …, n)
        if self._mixture is not None:
            rows = self._mixture(rows, self._workspace)
        rows = rows.flatten(1)
        logits = self._workspace.take("logits", len(self._order), self._num_classes, points)
        start = 0
        for group in self._groups:
            found = group(rows, points, self._workspace)
            logits[start : start + len(found)] = found
            start += len(found)
        return normalized(logits.permute(2, 0, 1))[:, self._inverse]


def tiling_for(device: torch.device) -> Tiling:
    """The tiling for products on ``device``."""
    return CPU_TILING if device.type == "cpu" else DEVICE_TILING


def fits_in_memory(network: BlockNetwork, num_samples: int) -> bool:
    """Whether the weights of ``num_samples`` slices stay below half a gibibyte."""
    weights = [network.linear(i).weight.numel() for i in range(network.split, len(network.blocks))]
    kept = 1.0 - network.dropout
    return 4 * num_samples * kept**2 * sum(weights) <= MAX_WEIGHT_BYTES


def _similar(
    linears: Sequence[LinearSlices], tiling: Tiling, precision: torch.dtype
) -> tuple[Tensor, int]:
    """Samples ordered by their number of products, and how many of them make a group."""
    work = torch.zeros(len(linears[0].kept_in), device=linears[0].kept_in.device)
    most = 1.0
    for linear in linears:
        taps, kept = linear.weight.shape[2], linear.kept_in.sum(dim=1)
        work += kept * linear.kept_out.sum(dim=1) * float(taps * linear.columns)
        most = max(most, float(kept.max()) * taps * linear.columns)
    item = torch.empty((), dtype=precision).itemsize
    size = tiling.block_bytes // int(most * tiling.points * item)
    return work.argsort(stable=True), max(1, min(tiling.group, size))
