"""What posterior samples keep of each linear map, and how maps become matrices.

n points, K samples. *Rows* are units; maps (rows, h, w, n) have the points last.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from al_bench.models.networks.blocks import Block, BlockNetwork, Conv


@dataclass(frozen=True)
class LinearSlices:
    """The linear map of a block with the dropout factor of its input, float32.

    ``weight`` is (outputs, inputs, taps): kernel positions, or the positions that are flattened.
    """

    weight: Tensor
    bias: Tensor
    block: Block | None  # None: the output layer, which has no ReLU
    input_shape: tuple[int, ...]  # (units, h, w)
    kept_in: Tensor  # (K, inputs) bool
    kept_out: Tensor  # (K, outputs) bool

    @property
    def columns(self) -> int:
        """Values of one output before pooling, a point."""
        _, h, w = self.input_shape
        if isinstance(self.block, Conv):
            pool, grown = self.block.pool, 2 * self.block.padding - self.block.kernel + 1
            return (h + grown) // pool * ((w + grown) // pool) * pool**2
        return 1


def linear_slices(network: BlockNetwork, masks: Sequence[Tensor]) -> list[LinearSlices]:
    """The linear maps after the first mask, each with what its samples keep on either side."""
    num_samples = len(masks[0])
    remaining = iter(masks)
    factor = 1.0 / (1.0 - network.dropout)
    kept_in, scale = next(remaining) != 0, factor
    shape = network.shapes[network.split - 1]
    linears = []
    for i in range(network.split, len(network.blocks) + 1):
        is_output = i == len(network.blocks)
        layer = network.linear(i)
        block = None if is_output else network.blocks[i]
        assert layer.bias is not None  # our blocks all have one
        weight = layer.weight.detach().to(torch.float32)
        outputs = weight.shape[0]
        if i in network.masked_blocks:
            kept_out = next(remaining) != 0
        else:
            kept_out = torch.ones(num_samples, outputs, dtype=torch.bool, device=weight.device)
        input_shape = (*shape, 1, 1)[:3]
        linears.append(
            LinearSlices(
                weight=(weight * scale).reshape(outputs, shape[0], -1),
                bias=layer.bias.detach().to(torch.float32),
                block=block,
                input_shape=input_shape,
                kept_in=kept_in,
                kept_out=kept_out,
            )
        )
        if not is_output:
            kept_in, shape = kept_out, network.shapes[i]
            scale = factor if i in network.masked_blocks else 1.0
    return linears


class Workspace:
    """Memory for intermediate results, used again from tile to tile.

    Fresh memory costs more than the products that fill it: its pages have to be mapped each time.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """An uninitialised tensor; what was taken under the same name before is overwritten."""
        size = math.prod(shape)
        if name not in self._buffers or len(self._buffers[name]) < size:
            self._buffers[name] = torch.empty(size, device=self._device, dtype=self._dtype)
        return self._buffers[name][:size].view(shape)


def patches(maps: Tensor, block: Block | None, workspace: Workspace) -> tuple[Tensor, int]:
    """What each output value sees: (rows, h, w, n) to (rows, taps, pool² · positions · n).

    The positions pooled together are the slowest of the last axis. Returns pool² as well.
    """
    if not isinstance(block, Conv):
        return maps.flatten(1, 2), 1
    if block.padding:
        maps = F.pad(maps, (0, 0, *(block.padding,) * 4))
    kernel, pool = block.kernel, block.pool
    window = kernel + pool - 1
    # (rows, y, x, n, window, window) to (rows, y, x, n, pool, pool, kernel, kernel), all views
    maps = maps.unfold(1, window, pool).unfold(2, window, pool)
    maps = maps.unfold(4, kernel, 1).unfold(5, kernel, 1)
    maps = maps.permute(0, 6, 7, 4, 5, 1, 2, 3)
    columns = workspace.take("patches", *maps.shape).copy_(maps)
    return columns.view(maps.shape[0], kernel**2, -1), pool**2
