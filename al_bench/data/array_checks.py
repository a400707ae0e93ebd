"""What a user's arrays must be, each refused in one line that names the key."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from al_bench.data.build import blocks
from al_bench.data.classes import RENUMBER
from al_bench.errors import DataError, keyed

Array = NDArray[np.generic]


def check_inputs(arrays: Mapping[str, Array]) -> None:
    """Raise DataError unless ``x_train`` and ``x_test`` are finite tables or images of one form."""
    for key in ("x_train", "x_test"):
        _check_form(key, arrays[key])
    train, test = arrays["x_train"], arrays["x_test"]
    if train.shape[1:] != test.shape[1:]:
        raise DataError(
            f"x_test has inputs of shape {test.shape[1:]} and x_train of {train.shape[1:]}; "
            "they must be equal."
        )
    if train.ndim == 4 and (train.dtype == np.uint8) != (test.dtype == np.uint8):
        raise DataError(
            f"x_test has dtype {test.dtype} and x_train {train.dtype}; only uint8 images are "
            "divided by 255, so both must be uint8 or neither."
        )
    for key in ("x_train", "x_test"):
        _check_finite(key, arrays[key])


def _check_form(key: str, x: Array) -> None:
    if x.dtype.kind not in "biuf":
        raise DataError(f"{key} has dtype {x.dtype}; it must hold numbers: uint8 images or floats.")
    if x.ndim not in (2, 4):
        raise DataError(
            f"{key} has shape {x.shape}; it must be (n, features), or images "
            "(n, channels, height, width).",
            "Add a channel axis to grey images: x[:, None]." if x.ndim == 3 else None,
        )
    if 0 in x.shape:
        raise DataError(f"{key} is empty: its shape is {x.shape}.")
    if x.ndim == 4 and _looks_channels_last(x.shape):
        raise DataError(
            f"{key} has shape {x.shape}, which looks like (n, height, width, channels); it must be "
            "(n, channels, height, width).",
            "Use np.moveaxis(x, -1, 1).",
        )


def _looks_channels_last(shape: tuple[int, ...]) -> bool:
    _, height, width, channels = shape
    few = channels in (3, 4) or (channels == 1 and height == width)
    return few and min(height, width) > 4


def _check_finite(key: str, x: Array) -> None:
    if x.dtype.kind != "f":
        return
    for part, block in blocks(x):
        with np.errstate(over="ignore"):
            finite = np.isfinite(block.astype(np.float32)).reshape(len(block), -1).all(axis=1)
        if not finite.all():
            row = part.start + int(finite.argmin())
            axes = 1 if x.ndim == 2 else tuple(range(1, x.ndim))
            raise DataError(
                f"{key} has NaN, infinity or a number too large for float32 in row {row}; "
                "every input must be finite.",
                f"Leave such rows out: keep = np.isfinite({key}.astype(np.float32)).all(axis={axes}"
                f"); {key}, y{key[1:]} = {key}[keep], y{key[1:]}[keep].",
            )


def check_class_names(names: Array | None, num_classes: int | None) -> tuple[str, ...] | None:
    """The names of the classes, where given; raises DataError unless they are distinct strings.

    Args:
        names: What was given.
        num_classes: C, where told.
    """
    if names is None:
        return None
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DataError(
            f"class_names has shape {names.shape} and dtype {names.dtype}; it must be a list of "
            "strings.",
            "Use np.array(['cat', 'dog']).",
        )
    found = tuple(names.tolist())
    if len(set(found)) < len(found) or len(found) < 2:
        raise DataError(f"class_names must be two or more different names, got {list(found)}.")
    if num_classes not in (None, len(found)):
        raise DataError(
            f"class_names has {len(found)} names and {keyed('num_classes')} is {num_classes}.",
            f"Use {keyed('num_classes')}={len(found)}, or leave it out.",
        )
    return found


def check_labels(
    key: str, labels: Array, count: int, num_classes: int | None, said: str = ""
) -> None:
    """Raise DataError unless ``labels`` are ``count`` whole numbers from 0.

    Args:
        key: ``y_train`` or ``y_test``.
        labels: What was given.
        count: Inputs that they belong to.
        num_classes: C, where it was told.
        said: How it was told.
    """
    if labels.ndim != 1:
        raise DataError(
            f"{key} has shape {labels.shape}; it must be (n,), one label for each input.",
            "Use y.argmax(axis=1) for one-hot labels, y.ravel() for a column."
            if labels.ndim == 2
            else None,
        )
    if labels.dtype.kind not in "iuf":
        raise DataError(
            f"{key} has dtype {labels.dtype}; labels must be whole numbers from 0.",
            "Use y.astype(np.int64)." if labels.dtype.kind == "b" else f"Number them: {RENUMBER}.",
        )
    if labels.dtype.kind == "f":
        values = labels.astype(np.float64)
        whole = np.isfinite(values) & (np.floor(values) == values)
        if not whole.all():
            row = int(whole.argmin())
            raise DataError(
                f"{key} has the label {values[row]:g} in row {row}; labels must be whole numbers "
                "from 0."
            )
    if len(labels) != count:
        raise DataError(
            f"{key} has {len(labels)} labels and x{key[1:]} has {count} inputs; "
            "they must be equally many."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        raise DataError(
            f"{key} has the label {low}; labels must be whole numbers from 0.",
            f"Number them: {RENUMBER}.",
        )
    if num_classes is not None and high >= num_classes:
        raise DataError(
            f"{key} has the label {high}; {said}, so labels must be 0 to {num_classes - 1}."
        )


def count_classes(y_train: Array, y_test: Array) -> int:
    """C without class names: the largest label plus 1; raises DataError when that is absurd."""
    num_classes = max(int(y_train.max()), int(y_test.max())) + 1
    if num_classes < 2:
        raise DataError("y_train and y_test hold one class only; there must be two or more.")
    if num_classes > len(y_train) + len(y_test):
        raise DataError(
            f"The largest label in y_train and y_test is {num_classes - 1}, with only "
            f"{len(y_train) + len(y_test)} labels; classes must be numbered 0, 1, 2, …",
            f"Number them: {RENUMBER}.",
        )
    return num_classes
