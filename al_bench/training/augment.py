"""Random changes of training images: drawn on the CPU, made on the device.

They act on what ``gather`` returns, normalised inputs. What is evaluated, scored or watched for
early stopping is never changed.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from al_bench.errors import ConfigError, keyed, require_whole


class Augmentation(Protocol):
    """What a file under ``conf/training/augment`` builds."""

    @property
    def num_draws(self) -> int:
        """Uniform numbers that an input takes."""

    def __call__(self, inputs: Tensor, uniform: Tensor, zero: Tensor) -> Tensor:
        """New inputs of the same shape, each a function of its own input and numbers alone.

        Args:
            inputs: (n, *input_shape), normalised float32.
            uniform: (n, num_draws) on the same device, independent and uniform in [0, 1).
            zero: What a value of 0 is after normalising: (C, 1, 1) or (1, 1, 1) for images, else
                something that broadcasts against one input.

        Raises:
            ConfigError: Inputs of such a shape cannot be changed so.
        """


@dataclass(frozen=True)
class CropFlip:
    """A crop of the padded image, then, for every second image, its mirror image.

    The border is black *before* normalising, as if images were padded first and normalised
    afterwards. All (2 ``padding`` + 1)² crops are equally likely.

    Args:
        padding: Pixels added on each side before the crop, at least 0; 0 crops nothing.
        flip: Whether left and right are swapped with probability ½.
    """

    padding: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        require_whole("padding", self.padding, 0)
        if not isinstance(self.flip, bool):
            raise ConfigError(f"{keyed('flip')} must be true or false, got {self.flip!r}.")
        if not self.padding and not self.flip:
            raise ConfigError(
                f"{keyed('padding')}=0 and {keyed('flip')}=false change no image.",
                f"Set {keyed('padding')}=4, for example.",
            )

    @property
    def num_draws(self) -> int:
        """Where the crop begins, from above and from the left, and whether it is flipped."""
        return 3

    def __call__(self, inputs: Tensor, uniform: Tensor, zero: Tensor) -> Tensor:
        """Images (n, C, H, W) of the same size, each from its own three numbers."""
        if inputs.ndim != 4:
            raise ConfigError(
                "Crops and flips need images (channels, height, width), got inputs of shape "
                f"{tuple(inputs.shape[1:])}."
            )
        count, channels, height, width = inputs.shape
        padding, device = self.padding, inputs.device
        padded = zero.expand(count, channels, 1, 1).to(inputs.dtype)
        padded = padded.repeat(1, 1, height + 2 * padding, width + 2 * padding)
        padded[:, :, padding : padding + height, padding : padding + width] = inputs
        # The largest number below 1 times a count may be rounded up to the count.
        corner = (uniform[:, :2] * (2 * padding + 1)).long().clamp_(max=2 * padding)  # (n, 2)
        rows = corner[:, :1] + torch.arange(height, device=device)  # (n, H)
        columns = torch.arange(width, device=device).expand(count, width)
        if self.flip:
            flipped = uniform[:, 2:] < 0.5  # (n, 1)
            columns = torch.where(flipped, columns.flip(1), columns)
        columns = corner[:, 1:] + columns  # (n, W)
        image = torch.arange(count, device=device)[:, None, None]
        cropped = padded[image, :, rows[:, :, None], columns[:, None, :]]  # (n, H, W, C)
        return cropped.permute(0, 3, 1, 2)
