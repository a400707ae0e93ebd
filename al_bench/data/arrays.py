"""A user's own data, as NumPy arrays."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from al_bench.data.array_checks import (
    check_class_names,
    check_inputs,
    check_labels,
    count_classes,
)
from al_bench.data.array_files import read_arrays
from al_bench.data.base import Dataset, Examples, Inputs, Moments, TensorInputs
from al_bench.data.build import blocks, fingerprint
from al_bench.data.mapped import MappedInputs
from al_bench.errors import ConfigError, DataError, keyed, require_whole
from al_bench.paths import opened

Array = NDArray[np.generic]
Columns = NDArray[np.float64]  # broadcasts against one input


@dataclass(frozen=True)
class Arrays:
    """Your own arrays: one ``.npz`` file, or a folder with one ``.npy`` file for each key.

    ``x_train`` and ``x_test`` are tables (n, features) or images (n, channels, height, width):
    uint8 images are read as value / 255, everything else as the numbers it holds. ``y_train`` and
    ``y_test`` (n,) are whole numbers from 0, stored as integers or as floats; every class must have
    an example in one of them. ``class_names`` (C,) or ``num_classes`` say that classes are meant
    even if some have none. Other keys are ignored. In a folder, inputs above 1 GiB stay on the
    disk.

    Args:
        path: The file or the folder, relative to the current directory.
        standardize: Whether each feature, or each channel of images, gets mean 0 and standard
            deviation 1 over the training inputs.
        name: Of the data set in results; ``None`` is the name of the file or folder.
        num_classes: C, where some classes have no example; ``None`` is as many as ``class_names``
            has, or the largest label says.
    """

    path: str
    standardize: bool = True
    name: str | None = None
    num_classes: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not self.path:
            raise ConfigError(
                f"{keyed('path')} must be a file or a folder, got {self.path!r}.",
                f"Use {keyed('path')}=my_data.npz.",
            )
        if not isinstance(self.standardize, bool):
            raise ConfigError(
                f"{keyed('standardize')} must be true or false, got {self.standardize!r}."
            )

        if self.name is not None and (not isinstance(self.name, str) or not self.name):
            raise ConfigError(
                f"{keyed('name')} must be text, got {self.name!r}.", "Use null for the file's name."
            )
        if self.num_classes is not None:
            require_whole("num_classes", self.num_classes, 2)

    @property
    def title(self) -> str:
        """The data set's name in results."""
        file = os.path.basename(os.path.abspath(self.path)).removesuffix(".npz")
        return self.name or re.sub(r"[^\w.+=@-]+", "_", file)

    def load(self) -> Dataset:
        """Read and check the arrays; raises DataError that names the one that is wrong."""
        path = opened(self.path).absolute()
        arrays = read_arrays(path)
        try:
            return self._checked(arrays, path)
        except DataError as error:
            raise DataError(f"{self.path}: {error.message}", error.hint) from error

    def _checked(self, arrays: Mapping[str, Array], path: Path) -> Dataset:
        """The data set of these arrays."""
        names = check_class_names(arrays.get("class_names"), self.num_classes)
        said = f"class_names has {len(names or ())} names"
        if names is None and self.num_classes is not None:
            names = tuple(map(str, range(self.num_classes)))
            said = f"{keyed('num_classes')} is {self.num_classes}"
        check_inputs(arrays)
        for part in ("train", "test"):
            check_labels(
                f"y_{part}",
                arrays[f"y_{part}"],
                len(arrays[f"x_{part}"]),
                None if names is None else len(names),
                said,
            )
        y_train, y_test = (arrays[key].astype(np.int64) for key in ("y_train", "y_test"))
        given = names is not None
        if names is None:
            names = tuple(str(label) for label in range(count_classes(y_train, y_test)))
        x_train, x_test = arrays["x_train"], arrays["x_test"]
        mean, std = _moments(x_train) if self.standardize else _identity(x_train)
        return Dataset(
            train=Examples(
                _inputs(x_train, path / "x_train.npy", mean, std), torch.from_numpy(y_train)
            ),
            test=Examples(
                _inputs(x_test, path / "x_test.npy", mean, std), torch.from_numpy(y_test)
            ),
            class_names=names,
            # The moments follow from the inputs, but their last digits from the machine too.
            fingerprint=fingerprint(
                (x_train, y_train, x_test, y_test),
                names,
                "standardized" if self.standardize else "as it is",
            ),
            classes_given=given,
        )


def _identity(x: Array) -> tuple[Columns, Columns]:
    """Mean and standard deviation that leave table and float inputs as they are."""
    shape = (x.shape[1],) + (1,) * (x.ndim - 2)
    return np.zeros(shape), np.full(shape, _unit(x))


def _unit(x: Array) -> float:
    """What counts as 1 in ``x``: 255 in uint8 images."""
    return 255.0 if x.dtype == np.uint8 and x.ndim == 4 else 1.0


def _moments(x: Array) -> tuple[Columns, Columns]:
    """Mean and standard deviation of each feature or channel; 1 for a constant one's deviation."""
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    count = 0
    mean = np.zeros(1)
    squares = np.zeros(1)  # summed squared distances from the mean
    for _, block in blocks(x):  # parts are combined as in Chan, Golub and LeVeque (1983)
        values = block.astype(np.float64)
        size = values.size // x.shape[1]
        block_mean = values.mean(axis=axes, keepdims=True)[0]
        distance = block_mean - mean
        squares = squares + np.square(values - block_mean).sum(axis=axes, keepdims=True)[0]
        squares = squares + np.square(distance) * (count * size / (count + size))
        mean = mean + distance * (size / (count + size))
        count += size
    std = np.sqrt(squares / count)
    return mean, np.where(std > 1e-10 * np.abs(mean), std, _unit(x))


def _inputs(x: Array, path: Path, mean: Columns, std: Columns) -> Inputs:
    """Inputs that standardise ``x``: from the disk, from uint8, or at once."""
    unit = _unit(x)
    if isinstance(x, np.memmap):
        return MappedInputs(path, mean, std, unit)
    moments = Moments(tuple((mean / unit).ravel().tolist()), tuple((std / unit).ravel().tolist()))
    if unit != 1.0:
        return TensorInputs(torch.from_numpy(np.ascontiguousarray(x)), *moments)
    values = np.empty(x.shape, dtype=np.float32)
    for part, block in blocks(x):
        values[part] = (block.astype(np.float64) - mean) / std
    return TensorInputs(torch.from_numpy(values), before=moments)
