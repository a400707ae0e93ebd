"""Data sets from arrays in memory, and the fingerprint of any data set's content."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from al_bench.data.base import Dataset, Examples, TensorInputs

BLOCK_BYTES = 2**24  # read at once, so that memory-mapped arrays never have to fit into memory


def fingerprint(
    inputs: Sequence[NDArray[np.generic]],
    labels: Sequence[NDArray[np.int64]],
    class_names: Sequence[str],
    normalization: str,
) -> str:
    """32 hexadecimal digits that change when the content of a data set does.

    The same on every machine, and the same for arrays in memory and memory-mapped ones.

    Args:
        inputs: Training and test inputs, hashed as uint8 or else as float32.
        labels: Training and test labels.
        class_names: C names.
        normalization: How raw inputs become what a model sees.
    """
    hasher = hashlib.blake2b(digest_size=16)
    for array in inputs:
        _update(hasher, array, "|u1" if array.dtype == np.uint8 else "<f4")
    for array in labels:
        _update(hasher, array, "<i8")
    hasher.update(repr((tuple(class_names), normalization)).encode())
    return hasher.hexdigest()


def _update(hasher: "hashlib.blake2b", array: NDArray[np.generic], dtype: str) -> None:
    hasher.update(f"{dtype}{array.shape}".encode())
    for block in blocks(array):
        hasher.update(np.ascontiguousarray(block, dtype=dtype).data)


def blocks(array: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    """Consecutive parts of ``array`` along its first axis, each about ``BLOCK_BYTES`` large."""
    rows = max(1, BLOCK_BYTES // max(1, array.nbytes // max(1, len(array))))
    return [array[start : start + rows] for start in range(0, len(array), rows)]


def in_memory(
    x_train: NDArray[np.generic],
    y_train: NDArray[np.int64],
    x_test: NDArray[np.generic],
    y_test: NDArray[np.int64],
    class_names: Sequence[str],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    normalization: str | None = None,
) -> Dataset:
    """The data set of checked arrays, uint8 or float32, held in memory.

    Args:
        x_train: (n, *input_shape).
        y_train: (n,).
        x_test: (m, *input_shape).
        y_test: (m,).
        class_names: C names.
        mean: Subtracted per channel or feature, from uint8 images after division by 255.
        std: Divided by afterwards.
        normalization: What the fingerprint records instead of ``mean`` and ``std``, where these
            are computed from the training inputs and may differ by rounding between machines.
    """
    return Dataset(
        train=Examples(_inputs(x_train, mean, std), torch.from_numpy(y_train)),
        test=Examples(_inputs(x_test, mean, std), torch.from_numpy(y_test)),
        class_names=tuple(class_names),
        fingerprint=fingerprint(
            (x_train, x_test), (y_train, y_test), class_names, normalization or repr((mean, std))
        ),
    )


def _inputs(
    values: NDArray[np.generic], mean: tuple[float, ...], std: tuple[float, ...]
) -> TensorInputs:
    return TensorInputs(torch.from_numpy(np.ascontiguousarray(values)), mean, std)
