"""ResNet-18 with the stem for small images."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from al_bench.errors import require_whole
from al_bench.models.base import Network
from al_bench.models.networks.shapes import require, require_dropout


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with batch normalization around a shortcut (He et al. 2016)."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, hidden: Tensor) -> Tensor:
        """(n, channels_in, h, w) to (n, channels, h / stride, w / stride)."""
        inner = F.relu(self.norm1(self.conv1(hidden)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(hidden))


class ResNet(Network):
    """Four stages of two residual blocks, global average pooling, dropout, one linear layer."""

    def __init__(self, channels_in: int, num_classes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels_in, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )
        stages: list[nn.Module] = []
        channels = width
        for stage in range(4):
            wider = width * 2**stage
            stages.append(ResidualBlock(channels, wider, stride=1 if stage == 0 else 2))
            stages.append(ResidualBlock(wider, wider, stride=1))
            channels = wider
        self.stages = nn.Sequential(*stages)
        self.output = nn.Linear(channels, num_classes)
        self.dropout = dropout
        self.mask_units = (channels,) if dropout > 0 else ()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)

    def prefix(self, inputs: Tensor) -> Tensor:
        """Averaged features of the last stage: (n, channels, h, w) to (n, D)."""
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        hidden: Tensor = self.stages(F.relu(self.stem(inputs)))
        return hidden.mean(dim=(2, 3))

    def body(self, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """The same features, some of them dropped: (n, D)."""
        return hidden * masks[0] if masks else hidden


def resnet18(
    *, input_shape: tuple[int, ...], num_classes: int, width: int = 64, dropout: float = 0.5
) -> ResNet:
    """ResNet-18 (He et al. 2016, arXiv:1512.03385) with the stem for CIFAR.

    The stem is a 3×3 convolution of stride 1 without max-pool, as in the paper's CIFAR networks.

    Args:
        input_shape: (channels, height, width), at least 8×8.
        num_classes: C.
        width: Channels of the first stage; 64 in the paper.
        dropout: Probability with which a feature is dropped before the last layer. 0 is the paper's
            network; MC dropout needs some.

    Raises:
        ConfigError: The inputs are not images of that size, or the width is below 1.
    """
    require("resnet18", input_shape, num_classes)
    require_dropout(dropout)
    require_whole("width", width, 1)
    return ResNet(input_shape[0], num_classes, width, dropout)
