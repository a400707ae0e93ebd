"""The neural tangent kernel of three convolutions and global average pooling, wide and infinite.

The network is ``gap_cnn``: 3×3 convolutions that keep the size of the image, each with ReLU, then
the average over positions and a linear layer. Convolutions begin at N(0, 2 / fan-in), the linear
layer at N(0, 1 / fan-in), biases at zero and untrained; every weight is its deviation times a
standard normal parameter, which is what gradient descent moves. The tangent kernel Θ(x, x') of
an output then has a limit at infinite width, which all outputs share (Jacot et al. 2018,
arXiv:1806.07572; for convolutions and average pooling Arora et al. 2019, arXiv:1904.11955).

n and m images, P positions of an image, C classes.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from al_bench.models.networks.gap_cnn import CHANNELS, GapCNN

PAIRS = 16  # of images at once, which stay in a processor's cache: 32 KiB each at 64 positions
TINY = 1e-300


def infinite_width(
    first: Tensor, second: Tensor | None = None, depth: int = len(CHANNELS)
) -> Tensor:
    """The limit of the kernel: (n, m) float64.

    It takes n·m·P² values a layer, computed in blocks.

    Args:
        first: (n, channels, height, width).
        second: (m, channels, height, width); ``None`` is the first, and half of the work.
        depth: Convolutions.
    """
    first = first.double()
    other = first if second is None else second.double()
    kernel = first.new_empty(len(first), len(other))
    size = math.isqrt(PAIRS)
    starts = itertools.product(range(0, len(first), size), range(0, len(other), size))
    for row, column in starts:
        if second is None and column < row:
            continue
        block = _block(first[row : row + size], other[column : column + size], depth)
        kernel[row : row + size, column : column + size] = block
        if second is None:
            kernel[column : column + size, row : row + size] = block.T
    return kernel


def _block(first: Tensor, second: Tensor, depth: int) -> Tensor:
    """(n, m) of few images."""
    height, width = first.shape[2:]
    product = torch.einsum("nchw,mcij->nmhwij", first, second) / first.shape[1]
    squares = [images.square().mean(dim=1) for images in (first, second)]  # (n, h, w)
    tangent = torch.zeros_like(product)
    for _ in range(depth):
        covariance, squares = _patches(product), [_own_patches(one) for one in squares]
        tangent = _patches(tangent).add_(covariance)
        one, other = (variances.sqrt() for variances in squares)
        scale = one[:, None, :, :, None, None] * other[None, :, None, None]
        cosine = (covariance / scale.clamp(min=TINY)).clamp_(-1, 1)
        both = cosine.acos().neg_().add_(math.pi).div_(2 * math.pi)  # chance of two above zero
        product = _product_of_relus(cosine, both).mul_(scale)
        tangent.mul_(both)
        squares = [variances / 2 for variances in squares]
    return tangent.add_(product).sum(dim=(2, 3, 4, 5)) / (height * width) ** 2


def _product_of_relus(cosine: Tensor, both: Tensor) -> Tensor:
    """Mean product of two rectified normal variables of variance one (Cho and Saul 2009)."""
    sine = (cosine * cosine).neg_().add_(1).sqrt_()
    return torch.addcmul(sine.div_(2 * math.pi), both, cosine)


def _own_patches(squares: Tensor) -> Tensor:
    """Variances of a convolution's outputs, from the mean squares of its inputs: (n, h, w)."""
    return 2 * F.avg_pool2d(squares[:, None], 3, stride=1, padding=1)[:, 0]


def _patches(product: Tensor) -> Tensor:
    """Covariances of a convolution's outputs, from the mean products of its inputs.

    Both are (n, m, h, w, h', w'): two positions move through their patches together.
    """
    rows = product.clone()
    rows[:, :, 1:, :, 1:] += product[:, :, :-1, :, :-1]
    rows[:, :, :-1, :, :-1] += product[:, :, 1:, :, 1:]
    summed = rows.clone()
    summed[..., 1:, :, 1:] += rows[..., :-1, :, :-1]
    summed[..., :-1, :, :-1] += rows[..., 1:, :, 1:]
    return summed.mul_(2 / 9)


def at_width(channels: int, images: Tensor, generator: torch.Generator) -> Tensor:
    """The kernel of one freshly drawn network: (n, n) float64, of its first output.

    Args:
        channels: Of each convolution.
        images: (n, channels, height, width).
        generator: Of the weights.
    """
    network = drawn(channels, images.shape[1], 1, generator)
    weights = [weight.requires_grad_() for weight in network.parameters() if weight.ndim > 1]
    slopes = [
        torch.autograd.grad(network(image[None]).squeeze(), weights) for image in images.double()
    ]
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64)
    for weight, parts in zip(weights, zip(*slopes, strict=True), strict=True):
        flat = _deviation(weight) * torch.stack(parts).flatten(1)
        kernel += flat @ flat.T
    return kernel


def drawn(channels: int, channels_in: int, num_classes: int, generator: torch.Generator) -> GapCNN:
    """A network of some width, begun as the limit is, in float64."""
    network = GapCNN(channels_in, num_classes, dropout=0.0, channels=(channels,) * len(CHANNELS))
    network = network.double().requires_grad_(False)
    for weight in network.parameters():
        if weight.ndim == 1:
            weight.zero_()
        else:
            weight.normal_(0, _deviation(weight), generator=generator)
    return network


def _deviation(weight: Tensor) -> float:
    """Of a weight at its beginning: He's for a convolution, one over fan-in for the last layer."""
    fed = weight[0].numel()
    return math.sqrt((2 if weight.ndim > 2 else 1) / fed)
