"""Soft spectral normalization: convolutions whose operator norm is kept below a bound.

A convolution is a linear map from maps (channels_in, h, w) to maps (channels, h', w'), zero padding
and stride included. σ is the largest singular value of *that* map, which depends on the size of its
input and is not the norm of the reshaped kernel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from al_bench.errors import require_number


class SpectralConv2d(nn.Conv2d):
    """A convolution with the weight W / max(1, σ(W) / c); its parameter ``weight`` is W.

    As in DDU (Mukhoti et al. 2023, arXiv:2102.11582): a weight within the bound is left alone,
    where ``torch.nn.utils.parametrizations.spectral_norm`` sets the norm of the reshaped kernel to
    1. σ is estimated from below by a power iteration, of which each pass in training mode takes one
    step, and none in evaluation mode. Gradients flow through σ with its vectors held fixed.

    Args:
        channels_in: Channels of what it is shown.
        channels: Its own.
        kernel: Side of the kernel, padded with zeros by half of it.
        input_size: (h, w) of what it is shown.
        stride: Its step.
        bound: c, above 0.

    Attributes:
        left: (1, channels, h', w'), the left singular vector of the largest singular value so far.
        right: (1, channels_in, h, w), the right one.
    """

    left: Tensor
    right: Tensor

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel: int,
        input_size: tuple[int, int],
        stride: int,
        bound: float,
    ) -> None:
        super().__init__(
            channels_in, channels, kernel, stride=stride, padding=kernel // 2, bias=False
        )
        self.bound = bound
        # Where each position is taken by itself, σ is that of the matrix.
        size = (1, 1) if kernel == 1 else input_size
        self.register_buffer("right", _unit(torch.randn(1, channels_in, *size)))
        with torch.no_grad():
            self.register_buffer("left", _unit(self._image(self.right)))

    def forward(self, inputs: Tensor) -> Tensor:
        """(n, channels_in, h, w) to (n, channels, h', w')."""
        return self._conv_forward(inputs, self.bounded_weight(), None)

    def bounded_weight(self) -> Tensor:
        """W / max(1, σ / c), after a step of the power iteration in training mode."""
        # In bfloat16 a power iteration would end at the third digit.
        with torch.autocast(self.weight.device.type, enabled=False):
            left, right = self.left, self.right
            if self.training:
                with torch.no_grad():
                    right = _unit(self._preimage(left))
                    self.right.copy_(right)
            image = self._image(right)
            if self.training:
                left = _unit(image.detach())
                self.left.copy_(left)
            sigma = (left * image).sum()
            bounded: Tensor = self.weight / (sigma / self.bound).clamp_min(1.0)
        return bounded

    def _image(self, right: Tensor) -> Tensor:
        return F.conv2d(right, self.weight, stride=self.stride, padding=self.kernel_size[0] // 2)

    def _preimage(self, left: Tensor) -> Tensor:
        """The transposed map, from outputs to inputs."""
        padding = self.kernel_size[0] // 2
        inputs: Tensor = conv2d_input(  # type: ignore[no-untyped-call]
            self.right.shape, self.weight, left, self.stride, padding
        )
        return inputs


def convolution(
    channels_in: int,
    channels: int,
    input_size: tuple[int, int],
    stride: int = 1,
    spectral: float | None = None,
) -> nn.Conv2d:
    """A 3×3 convolution with a border of zeros and without a bias, bounded where asked.

    Args:
        channels_in: Channels of what it is shown.
        channels: Its own.
        input_size: (h, w) of what it is shown.
        stride: Its step.
        spectral: The bound c of its operator norm; ``None`` leaves it free.
    """
    if spectral is None:
        return nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
    return SpectralConv2d(channels_in, channels, 3, input_size, stride, spectral)


def strided(input_size: tuple[int, int], stride: int) -> tuple[int, int]:
    """(h, w) of what such a convolution gives."""
    h, w = input_size
    return -(-h // stride), -(-w // stride)


def require_spectral(spectral: float | None) -> None:
    """Raise ConfigError unless ``spectral`` is a bound above 0, or ``None``."""
    if spectral is not None:
        require_number("spectral", spectral, above=0, hint="Use null for no normalization.")


def bake(network: nn.Module) -> None:
    """Put ordinary convolutions with the same weights in the place of bounded ones."""
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, SpectralConv2d):
                setattr(parent, name, _ordinary(layer))


def _ordinary(layer: SpectralConv2d) -> nn.Conv2d:
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    plain = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        kernel,
        stride,
        kernel // 2,
        bias=False,
        device="meta",  # draws no weights
    )
    weight = layer.bounded_weight().detach()
    plain.weight = nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
    return plain.train(layer.training)


def _unit(vector: Tensor) -> Tensor:
    return vector / torch.linalg.vector_norm(vector).clamp_min(1e-12)
