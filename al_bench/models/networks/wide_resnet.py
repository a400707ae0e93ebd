"""Wide ResNet-28-10 as DDU trains it.

n points, D features.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from al_bench.models.base import Network
from al_bench.models.networks.ddu_resnet import shortcut
from al_bench.models.networks.shapes import require, require_dropout
from al_bench.models.networks.spectral import convolution, require_spectral, strided

BLOCKS = 4  # of each stage: depth 28 = 6 · 4 + 4
STEM = 16
STAGES = ((160, 1), (320, 2), (640, 2))  # channels at ten times the usual width, and stride
MOMENTUM = 0.01  # of a batch in the running statistics


class WideBlock(nn.Module):
    """Normalization, leaky ReLU and a 3×3 convolution, twice, beside a shortcut without weights."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        input_size: tuple[int, int],
        stride: int,
        spectral: float | None,
    ) -> None:
        super().__init__()
        inner = strided(input_size, stride)
        self.norm1 = nn.BatchNorm2d(channels_in, momentum=MOMENTUM)
        self.conv1 = convolution(channels_in, channels, input_size, stride, spectral)
        self.norm2 = nn.BatchNorm2d(channels, momentum=MOMENTUM)
        self.conv2 = convolution(channels, channels, inner, spectral=spectral)
        self.stride = stride

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """(n, channels_in, h, w) to (n, channels, h / stride, w / stride).

        Args:
            hidden: What the block before has given.
            mask: (n, channels) or (1, channels), of the maps between the two convolutions.
        """
        inner = self.conv1(F.leaky_relu(self.norm1(hidden)))
        inner = F.leaky_relu(self.norm2(inner))
        if mask is not None:
            inner = inner * mask[:, :, None, None]
        outer: Tensor = self.conv2(inner)
        return outer + shortcut(hidden, outer.shape[1], self.stride)


class WideResNet(Network):
    """A stem, three stages of four blocks with a dropout layer each, global average pooling.

    The prefix is the stem alone, since every block drops something.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_classes: int,
        spectral: float | None,
        dropout: float,
    ) -> None:
        super().__init__()
        channels_in, height, width = input_shape
        size = height, width
        self.stem = convolution(channels_in, STEM, size, spectral=spectral)
        channels = STEM
        self.blocks = nn.ModuleList()
        widths = []
        for wider, first in STAGES:
            for i in range(BLOCKS):
                stride = first if i == 0 else 1
                self.blocks.append(WideBlock(channels, wider, size, stride, spectral))
                channels, size = wider, strided(size, stride)
                widths.append(wider)
        self.norm = nn.BatchNorm2d(channels, momentum=MOMENTUM)
        self.output = nn.Linear(channels, num_classes)
        self.dropout = dropout
        self.mask_units = tuple(widths) if dropout > 0 else ()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="leaky_relu")
        self.to(memory_format=torch.channels_last)

    def prefix(self, inputs: Tensor) -> Tensor:
        """The stem: (n, channels, h, w) to (n, 16, h, w)."""
        hidden: Tensor = self.stem(inputs.contiguous(memory_format=torch.channels_last))
        return hidden

    def body(self, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Averaged features of the last block, (n, D)."""
        for i, block in enumerate(self.blocks):
            hidden = block(hidden, masks[i] if masks else None)
        return F.leaky_relu(self.norm(hidden)).mean(dim=(2, 3))


def wide_resnet28_10(
    *,
    input_shape: tuple[int, ...],
    num_classes: int,
    spectral: float | None = 3.0,
    dropout: float = 0.3,
) -> WideResNet:
    """WRN-28-10 of DDU (Mukhoti et al. 2023, arXiv:2102.11582).

    The network of Zagoruyko and Komodakis (2016, arXiv:1605.07146) with soft spectral
    normalization, leaky ReLU of slope 0.01 and shortcuts by average pooling. D = 640. Dropout
    between the convolutions of a block drops whole channels here, single values in the authors'
    code.

    Args:
        input_shape: (channels, height, width), at least 8×8.
        num_classes: C.
        spectral: The bound c of soft spectral normalization, above 0; ``None`` for none.
        dropout: Probability with which a channel is dropped between the convolutions of a block.

    Raises:
        ConfigError: The inputs are not images of that size, or the bound is not above 0.
    """
    require("wide_resnet28_10", input_shape, num_classes)
    require_spectral(spectral)
    require_dropout(dropout)
    return WideResNet(input_shape, num_classes, spectral, dropout)
