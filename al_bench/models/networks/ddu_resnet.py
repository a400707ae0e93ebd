"""The residual networks of DDU, whose features keep distances: bounded above and below.

n points, D features.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from al_bench.models.base import Network
from al_bench.models.networks.shapes import require
from al_bench.models.networks.spectral import convolution, require_spectral, strided

Stage = tuple[int, int]  # channels and stride of a residual block


class PooledBlock(nn.Module):
    """Two 3×3 convolutions with batch normalization around a shortcut without weights.

    Where the stride is not 1, the shortcut is an average over stride × stride pixels, or every
    stride-th pixel where a side is odd; channels that the block adds are zero in it.
    """

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
        self.conv1 = convolution(channels_in, channels, input_size, stride, spectral)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, inner, spectral=spectral)
        self.norm2 = nn.BatchNorm2d(channels)
        self.stride = stride

    def forward(self, hidden: Tensor) -> Tensor:
        """(n, channels_in, h, w) to (n, channels, h / stride, w / stride)."""
        inner = F.leaky_relu(self.norm1(self.conv1(hidden)))
        inner = self.norm2(self.conv2(inner))
        return F.leaky_relu(inner + shortcut(hidden, inner.shape[1], self.stride))


def shortcut(hidden: Tensor, channels: int, stride: int) -> Tensor:
    """``hidden`` (n, c, h, w) averaged over stride × stride, with zeros up to ``channels``."""
    if stride > 1:
        odd = any(side % stride for side in hidden.shape[2:])
        hidden = F.avg_pool2d(hidden, 1 if odd else stride, stride)
    return F.pad(hidden, (0, 0, 0, 0, 0, channels - hidden.shape[1]))


class DDUResNet(Network):
    """A 3×3 stem, residual blocks, global average pooling, one linear layer.

    Args:
        input_shape: (channels, height, width).
        num_classes: C.
        stem: Channels of the stem, whose stride is 1.
        stages: Channels and stride of each block; D is the channels of the last.
        spectral: The bound of each convolution's operator norm; ``None`` for none. The linear layer
            is free.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_classes: int,
        stem: int,
        stages: Sequence[Stage],
        spectral: float | None,
    ) -> None:
        super().__init__()
        channels_in, height, width = input_shape
        size = height, width
        self.stem = convolution(channels_in, stem, size, spectral=spectral)
        self.norm = nn.BatchNorm2d(stem)
        blocks: list[nn.Module] = []
        channels = stem
        for wider, stride in stages:
            blocks.append(PooledBlock(channels, wider, size, stride, spectral))
            channels, size = wider, strided(size, stride)
        self.blocks = nn.Sequential(*blocks)
        self.output = nn.Linear(channels, num_classes)
        self.to(memory_format=torch.channels_last)

    def prefix(self, inputs: Tensor) -> Tensor:
        """Averaged features of the last block: (n, channels, h, w) to (n, D)."""
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        hidden: Tensor = self.blocks(F.leaky_relu(self.norm(self.stem(inputs))))
        return hidden.mean(dim=(2, 3))

    def body(self, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """The same features: nothing is dropped."""
        return hidden


def ddu_resnet18(
    *, input_shape: tuple[int, ...], num_classes: int, spectral: float | None = 3.0
) -> DDUResNet:
    """ResNet-18 of DDU (Mukhoti et al. 2023, arXiv:2102.11582).

    Four stages of two blocks with 64, 128, 256 and 512 channels, leaky ReLU of slope 0.01 and
    shortcuts by average pooling; the authors' code calls these two changes "mod". D = 512.

    Args:
        input_shape: (channels, height, width), at least 8×8.
        num_classes: C.
        spectral: The bound c of soft spectral normalization, above 0; ``None`` for none.

    Raises:
        ConfigError: The inputs are not images of that size, or the bound is not above 0.
    """
    require("ddu_resnet18", input_shape, num_classes)
    require_spectral(spectral)
    stages = [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]
    return DDUResNet(input_shape, num_classes, 64, stages, spectral)


def ddu_resnet8(
    *, input_shape: tuple[int, ...], num_classes: int, spectral: float | None = 3.0
) -> DDUResNet:
    """A small sibling of ``ddu_resnet18``, fifty times as fast on MNIST images.

    Three blocks of stride 2 with 16, 32 and 64 channels, else the same. D = 64.

    Args:
        input_shape: (channels, height, width), at least 8×8.
        num_classes: C.
        spectral: The bound c of soft spectral normalization, above 0; ``None`` for none.

    Raises:
        ConfigError: The inputs are not images of that size, or the bound is not above 0.
    """
    require("ddu_resnet8", input_shape, num_classes)
    require_spectral(spectral)
    return DDUResNet(input_shape, num_classes, 16, [(16, 2), (32, 2), (64, 2)], spectral)
