"""Networks that are a list of blocks: convolutions, then dense layers.

A block is: linear map, max-pool, ReLU, dropout mask. Published code often drops whole channels
*before* pooling; a mask is zero or positive and constant over a channel, so max-pool and ReLU give
the same numbers on either side of it, and pooling first leaves a quarter to be masked.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from al_bench.errors import ConfigError
from al_bench.models.base import Network


@dataclass(frozen=True)
class Conv:
    """A convolution with stride 1, then a max-pool over ``pool`` × ``pool``, ReLU and a mask."""

    channels: int
    kernel: int
    padding: int = 0
    pool: int = 1
    masked: bool = True


@dataclass(frozen=True)
class Dense:
    """A fully connected layer, then ReLU and a mask."""

    width: int
    masked: bool = True


Block = Conv | Dense


class BlockNetwork(Network):
    """A feed-forward network declared as a list of blocks, convolutions first.

    Args:
        input_shape: (channels, height, width), or any shape if there is no convolution.
        num_classes: C.
        blocks: Everything but the last linear layer.
        dropout: Probability with which a unit of a masked block is dropped; 0 removes all masks.

    Attributes:
        blocks: The declared blocks.
        layers: Their convolutions and linear maps, in the same order.
        shapes: Shape of each block's output for one point, after pooling.
        masked_blocks: Which blocks have a mask.
        split: Number of blocks in the prefix.

    Raises:
        ConfigError: The feature maps vanish.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_classes: int,
        blocks: Sequence[Block],
        dropout: float,
    ) -> None:
        super().__init__()
        self.blocks = tuple(blocks)
        self.dropout = dropout
        self.layers = nn.ModuleList()
        shape = tuple(input_shape)
        shapes: list[tuple[int, ...]] = []
        for block in self.blocks:
            if isinstance(block, Conv):
                channels, *size = shape
                self.layers.append(
                    nn.Conv2d(channels, block.channels, block.kernel, padding=block.padding)
                )
                grown = (s + 2 * block.padding - block.kernel + 1 for s in size)
                shape = (block.channels, *(s // block.pool for s in grown))
                if min(shape) < 1:
                    raise ConfigError(
                        f"Inputs of shape {tuple(input_shape)} are too small for {block}, "
                        f"whose feature maps would be {shape}."
                    )
            else:
                self.layers.append(nn.Linear(math.prod(shape), block.width))
                shape = (block.width,)
            shapes.append(shape)
        self.shapes = tuple(shapes)
        self.output = nn.Linear(math.prod(shape), num_classes)
        masked = [i for i, block in enumerate(self.blocks) if block.masked and dropout > 0]
        self.mask_units = tuple(self.shapes[i][0] for i in masked)
        self.masked_blocks = frozenset(masked)
        self.split = masked[0] + 1 if masked else len(self.blocks)
        self.to(memory_format=torch.channels_last)  # 1.3 to 1.4 times faster on a CPU

    def prefix(self, inputs: Tensor) -> Tensor:
        """Everything before the first mask: (n, *input_shape) to (n, channels, h, w) or (n, D)."""
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        for i in range(self.split):
            inputs = self.block(i, inputs)
        return inputs

    def body(self, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """From the prefix's output to the features (n, D)."""
        remaining = iter(masks or ())
        for i in range(self.split - 1, len(self.blocks)):
            if i >= self.split:
                hidden = self.block(i, hidden)
            if i in self.masked_blocks and masks is not None:
                mask = next(remaining)  # (n, units) or (1, units)
                hidden = hidden * mask.view(*mask.shape, *(1,) * (hidden.ndim - 2))
        return hidden.flatten(1)

    def linear(self, i: int) -> nn.Linear | nn.Conv2d:
        """The linear map of block ``i``; the output layer for the ``i`` after the last."""
        layer = self.layers[i] if i < len(self.blocks) else self.output
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        return layer

    def block(self, i: int, hidden: Tensor) -> Tensor:
        """Block ``i`` without its mask."""
        block, layer = self.blocks[i], self.layers[i]
        if isinstance(block, Conv):
            hidden = layer(hidden)
            if block.pool > 1:
                hidden = F.max_pool2d(hidden, block.pool)
        else:
            hidden = layer(hidden.flatten(1))
        return F.relu(hidden)
