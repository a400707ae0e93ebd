"""What a data set and a pool are.

``gather`` is the only way to inputs, so a tensor on the device, a memory map and a folder of images
look the same to everyone else. N points of a pool, C classes.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor


class Inputs(Protocol):
    """A fixed collection of model inputs, read by index."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: (channels, height, width) for images, (features,) for tables."""

    @property
    def zero(self) -> Tensor:
        """What a value of 0 is after normalising, float32: (C, 1, 1) or (1, 1, 1) for images.

        Of tables and others whatever broadcasts against one input. Only augmentations ask for it.
        """

    def __len__(self) -> int: ...

    def gather(self, indices: Tensor, device: torch.device) -> Tensor:
        """Inputs at ``indices`` (n,), normalised, float32, on ``device``: (n, *input_shape)."""


class Moments(NamedTuple):
    """By what values are normalised: (value - mean) / std.

    Args:
        mean: A number, or one for each channel or feature; of uint8 images after division by 255.
        std: The same, positive.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def zero(self) -> tuple[float, ...]:
        """What a value of 0 becomes."""
        return tuple(-mean / std for mean, std in zip(self.mean, self.std, strict=True))

    def followed_by(self, then: "Moments") -> "Moments":
        """By what values are normalised that are normalised by these and by ``then``."""
        (mean, std), (then_mean, then_std) = map(_columns, (self, then))
        return _moments(mean + then_mean * std, std * then_std)

    def following(self, first: "Moments") -> "Moments":
        """By what values are yet to be normalised that were normalised by ``first``."""
        (mean, std), (first_mean, first_std) = map(_columns, (self, first))
        return _moments((mean - first_mean) / first_std, std / first_std)


def _columns(moments: Moments) -> tuple[Tensor, Tensor]:
    mean, std = (torch.tensor(part, dtype=torch.float64) for part in moments)
    return mean, std


def _moments(mean: Tensor, std: Tensor) -> Moments:
    return Moments(tuple(mean.tolist()), tuple(std.tolist()))


@runtime_checkable
class Normalized(Inputs, Protocol):
    """Inputs of which it is known how they were normalised."""

    @property
    def moments(self) -> Moments:
        """By what their values, as they are stored, are normalised."""

    def normalized_by(self, moments: Moments) -> Inputs:
        """The same values, normalised by others' moments instead of their own."""


@dataclass(frozen=True)
class TensorInputs:
    """Inputs held in one tensor, moved to a device once and kept there.

    Args:
        values: (n, *input_shape), uint8 (read as value / 255) or floating point.
        mean: Subtracted per channel (axis 1) after the division; a number or one a channel.
        std: Divided by afterwards.
        before: By what ``values`` were normalised before ``mean`` and ``std``; ``None`` where they
            were not.
    """

    values: Tensor
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    before: Moments | None = None
    _resident: dict[torch.device, tuple[Tensor, Tensor, Tensor]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.values.shape[1:])

    @property
    def zero(self) -> Tensor:
        """What a value of 0 is after normalising."""
        return torch.tensor(self.moments.zero).view(-1, *(1,) * (self.values.ndim - 2))

    @property
    def moments(self) -> Moments:
        """By what the values, as they were stored, are normalised."""
        own = Moments(self.mean, self.std)
        return own if self.before is None else self.before.followed_by(own)

    def normalized_by(self, moments: Moments) -> "TensorInputs":
        """The same values, normalised by others' moments instead of their own."""
        own = moments if self.before is None else moments.following(self.before)
        return replace(self, mean=own.mean, std=own.std, _resident={})

    def __len__(self) -> int:
        return len(self.values)

    def gather(self, indices: Tensor, device: torch.device) -> Tensor:
        """Normalised float32 inputs at ``indices``: (n, *input_shape)."""
        if device not in self._resident:
            self._resident[device] = (self.values.to(device), *self._affine(device))
        values, factor, shift = self._resident[device]
        return values[indices.to(device)].to(torch.float32) * factor + shift

    def _affine(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """(v / scale - mean) / std as one multiplication and one addition."""
        scale = 255.0 if self.values.dtype == torch.uint8 else 1.0
        shape = (1, -1) + (1,) * (self.values.ndim - 2)
        factor = [1.0 / (scale * s) for s in self.std]
        shift = [-m / s for m, s in zip(self.mean, self.std, strict=True)]
        return (
            torch.tensor(factor, device=device).view(shape),
            torch.tensor(shift, device=device).view(shape),
        )


@dataclass(frozen=True)
class Examples:
    """Inputs with their labels, (n,) int64 in 0 … C-1."""

    inputs: Inputs
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A data set with its fixed test set.

    Args:
        train: What pools are made of.
        test: Held out; only ``evaluate`` ever sees it.
        class_names: C names.
        fingerprint: Changes when the content does (hash of inputs, labels and normalisation).
        classes_given: Whether someone has said what the classes are. Then one may have no example;
            otherwise that is taken for a mistake in the labels.
    """

    train: Examples
    test: Examples
    class_names: tuple[str, ...]
    fingerprint: str
    classes_given: bool = False

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)


class DatasetSource(Protocol):
    """What a file under ``conf/dataset`` builds: cheap to make, expensive to load."""

    def load(self) -> Dataset:
        """Read the data set; raises DataError when it is missing, damaged or misshapen."""


@dataclass(frozen=True)
class Pool:
    """The points that can be labeled, after all pool transforms.

    Args:
        inputs: N inputs.
        labels: (N,) int64, what the annotator answers.
        true_labels: (N,) int64, the answer before label noise; of a point of another data set,
            its class there.
        source_index: (N,) int64, the point's index in its data set before any transform; copies of
            one point share it.
        origin: (N,) int64, position in ``origins``.
        refused: (N,) bool, points that the annotator declines to label.
        origins: Names of the data sets that the points come from.
        num_classes: C.
        known_classes: Those of the C classes (as they are after all transforms) that the data set
            has an example of, for training or for testing, ascending; ``None`` is all. Nobody ever
            answers another.
    """

    inputs: Inputs
    labels: Tensor
    true_labels: Tensor
    source_index: Tensor
    origin: Tensor
    refused: Tensor
    origins: tuple[str, ...]
    num_classes: int
    known_classes: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def answers(self) -> Tensor:
        """(A,) int64, the classes that an annotator may answer: the known ones."""
        known = range(self.num_classes) if self.known_classes is None else self.known_classes
        return torch.tensor(list(known), dtype=torch.int64)

    @classmethod
    def of(
        cls,
        examples: Examples,
        num_classes: int,
        name: str,
        known_classes: tuple[int, ...] | None = None,
    ) -> "Pool":
        """The pool of all ``examples`` of the data set ``name``, untransformed."""
        n = len(examples)
        return cls(
            inputs=examples.inputs,
            labels=examples.labels,
            true_labels=examples.labels,
            source_index=torch.arange(n),
            origin=torch.zeros(n, dtype=torch.int64),
            refused=torch.zeros(n, dtype=torch.bool),
            origins=(name,),
            num_classes=num_classes,
            known_classes=known_classes,
        )
