"""Data sets from arrays in memory, and the fingerprint of any data set's content."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from al_bench.data.base import Dataset, Examples, TensorInputs

BLOCK_BYTES = 2**22  # read at once, so that memory-mapped arrays need not fit into memory


def blocks(array: NDArray[np.generic]) -> Iterator[tuple[slice, NDArray[np.generic]]]:
    """Consecutive parts of ``array`` along its first axis, with where they are."""
    rows = max(1, BLOCK_BYTES * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), rows):
        part = slice(start, start + rows)
        yield part, array[part]


def fingerprint(
    arrays: Sequence[NDArray[np.generic]], class_names: Sequence[str], normalization: str
) -> str:
    """32 hexadecimal digits that change when the content of a data set does.

    The same on every machine, and for arrays in memory and memory-mapped ones.

    Args:
        arrays: Training inputs and labels, test inputs and labels; shape and dtype count.
        class_names: C names.
        normalization: How these inputs become what a model sees.
    """
    hasher = hashlib.blake2b(digest_size=16)
    for array in arrays:
        dtype = array.dtype.newbyteorder("<")
        hasher.update(f"{dtype.str}{array.shape}".encode())
        for _, block in blocks(array):
            hasher.update(np.ascontiguousarray(block, dtype=dtype).reshape(-1).view(np.uint8).data)
    hasher.update(repr((tuple(class_names), normalization)).encode())
    return hasher.hexdigest()


def in_memory(
    x_train: NDArray[np.generic],
    y_train: NDArray[np.int64],
    x_test: NDArray[np.generic],
    y_test: NDArray[np.int64],
    class_names: Sequence[str],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Dataset:
    """The data set of checked arrays held in memory.

    Args:
        x_train: (n, *input_shape), uint8 or float32.
        y_train: (n,), 0 … C-1.
        x_test: (m, *input_shape).
        y_test: (m,).
        class_names: C names.
        mean: Subtracted per channel or feature, from uint8 images after division by 255.
        std: Divided by afterwards.
    """
    arrays = [np.ascontiguousarray(array) for array in (x_train, y_train, x_test, y_test)]
    x_train, y_train, x_test, y_test = arrays
    return Dataset(
        train=Examples(
            TensorInputs(torch.from_numpy(x_train), mean, std), torch.from_numpy(y_train)
        ),
        test=Examples(TensorInputs(torch.from_numpy(x_test), mean, std), torch.from_numpy(y_test)),
        class_names=tuple(class_names),
        fingerprint=fingerprint(arrays, class_names, repr((mean, std))),
    )
