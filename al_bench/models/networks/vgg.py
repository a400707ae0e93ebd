"""VGG networks with batch normalization and one linear layer, for small images.

n points, D features.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from al_bench.models.base import Network
from al_bench.models.networks.shapes import require

VGG11 = ((64,), (128,), (256, 256), (512, 512), (512, 512))  # channels, with a max-pool after each
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
ALL_POOLS = 32  # pixels of a side from which all five fit


class VGG(Network):
    """3×3 convolutions with batch normalization and ReLU, 2×2 max-pools, their average, one layer.

    Args:
        input_shape: (channels, height, width).
        num_classes: C.
        groups: Channels of the convolutions, by the max-pools after them.
    """

    def __init__(
        self, input_shape: tuple[int, ...], num_classes: int, groups: Sequence[Sequence[int]]
    ) -> None:
        super().__init__()
        channels, *size = input_shape
        small = min(size) < ALL_POOLS
        layers: list[nn.Module] = []
        for number, group in enumerate(groups):
            for wider in group:
                layers += [
                    nn.Conv2d(channels, wider, 3, padding=1, bias=False),
                    nn.BatchNorm2d(wider),
                    nn.ReLU(),
                ]
                channels = wider
            if number > 0 or not small:
                layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(channels, num_classes)
        self.to(memory_format=torch.channels_last)

    def prefix(self, inputs: Tensor) -> Tensor:
        """Averaged features of the last max-pool: (n, channels, h, w) to (n, D)."""
        hidden: Tensor = self.layers(inputs.contiguous(memory_format=torch.channels_last))
        return hidden.mean(dim=(2, 3))

    def body(self, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """The same features: nothing is dropped."""
        return hidden


def vgg11(*, input_shape: tuple[int, ...], num_classes: int) -> VGG:
    """VGG-11 (Simonyan and Zisserman 2015, arXiv:1409.1556) with batch normalization.

    Eight convolutions and, as usual for CIFAR, one linear layer; D = 512. dynamicAL's code has it
    so. Images of less than 32 pixels a side, such as MNIST's, skip the first max-pool, as in DDU.

    Args:
        input_shape: (channels, height, width), at least 16×16.
        num_classes: C.

    Raises:
        ConfigError: The inputs are not images of that size.
    """
    require("vgg11", input_shape, num_classes)
    return VGG(input_shape, num_classes, VGG11)


def vgg16(*, input_shape: tuple[int, ...], num_classes: int) -> VGG:
    """VGG-16 (Simonyan and Zisserman 2015, arXiv:1409.1556) with batch normalization.

    Thirteen convolutions, else as ``vgg11``: the network without shortcuts and without spectral
    normalization that DDU compares its own with.

    Args:
        input_shape: (channels, height, width), at least 16×16.
        num_classes: C.

    Raises:
        ConfigError: The inputs are not images of that size.
    """
    require("vgg16", input_shape, num_classes)
    return VGG(input_shape, num_classes, VGG16)
