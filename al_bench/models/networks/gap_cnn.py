"""Three convolutions and global average pooling: the network of dynamicAL's theory."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from al_bench.models.base import Network
from al_bench.models.networks.shapes import require, require_dropout

CHANNELS = (32, 64, 128)


class GapCNN(Network):
    """3×3 convolutions, each with ReLU, averaged over all positions."""

    def __init__(
        self,
        channels_in: int,
        num_classes: int,
        dropout: float,
        channels: Sequence[int] = CHANNELS,
    ) -> None:
        super().__init__()
        before = (channels_in, *channels)
        self.layers = nn.ModuleList(
            nn.Conv2d(fed, given, 3, padding=1)
            for fed, given in zip(before, channels, strict=False)
        )
        self.output = nn.Linear(channels[-1], num_classes)
        self.dropout = dropout
        self.mask_units = (channels[-1],) if dropout > 0 else ()
        self.to(memory_format=torch.channels_last)

    def prefix(self, inputs: Tensor) -> Tensor:
        """Averaged features of the last convolution: (n, channels, h, w) to (n, D)."""
        hidden = inputs.contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            hidden = F.relu(layer(hidden))
        return hidden.mean(dim=(2, 3))

    def body(self, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """The same features, some of them dropped: (n, D)."""
        return hidden * masks[0] if masks else hidden


def gap_cnn(*, input_shape: tuple[int, ...], num_classes: int, dropout: float = 0.0) -> GapCNN:
    """The CNN with global average pooling of dynamicAL's theory (arXiv:2110.08611).

    Nothing is pooled between the convolutions, and padding keeps the size of the image, so that
    every position counts alike. It costs 90 million multiplications an image of CIFAR-10, 150 times
    as many as ``tutorial_cnn`` does.

    Args:
        input_shape: (channels, height, width), any size.
        num_classes: C.
        dropout: Probability with which a feature is dropped before the last layer; MC dropout needs
            some.

    Raises:
        ConfigError: The inputs are not images.
    """
    require("gap_cnn", input_shape, num_classes)
    require_dropout(dropout)
    return GapCNN(input_shape[0], num_classes, dropout)
