"""Readers of the file formats of the classic data sets, which check what they read."""

import bz2
import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from al_bench.data.files import damaged, read_checked

CIFAR_RECORDS = 10_000  # per file
CIFAR_SHAPE = (3, 32, 32)


def read_idx(path: Path, shape: tuple[int, ...], sha256: str | None = None) -> NDArray[np.uint8]:
    """The uint8 array of an uncompressed IDX file.

    Args:
        path: The file.
        shape: What its header must say.
        sha256: Of the whole file, where it is known.

    Raises:
        DataError: The file is truncated, or is not that file.
    """
    header = np.array([0x0800 + len(shape), *shape], dtype=">u4")  # 0x08: unsigned bytes
    data = read_checked(path, header.nbytes + math.prod(shape), sha256=sha256)
    start = data[: header.nbytes].view(">u4")
    if (start != header).any():
        raise damaged(path, f"its header is {start.tolist()} and should be {header.tolist()}")
    return data[header.nbytes :].reshape(shape)


def read_libsvm(
    path: Path, rows: int, features: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Values (rows, features) and labels (rows,) of a dense libsvm text file packed with bzip2.

    bzip2 carries its own checksums, so no digest is needed to find a damaged file.

    Raises:
        DataError: The file is truncated, damaged, or of another size.
    """
    try:
        text = bz2.decompress(read_checked(path).tobytes())
    except (OSError, ValueError, EOFError) as error:
        raise damaged(path, "it is not a complete bzip2 file") from error
    try:
        numbers = np.array(text.replace(b":", b" ").split(), dtype=np.float64)
        table = numbers.reshape(rows, 1 + 2 * features)
    except ValueError as error:
        raise damaged(path, f"it does not hold {rows:,} rows of {features} features") from error
    if (table[:, 1::2] != np.arange(1, features + 1)).any():
        raise damaged(path, f"its features are not numbered 1 to {features}")
    return table[:, 2::2].astype(np.float32), table[:, 0].astype(np.int64)


def read_table(path: Path, rows: int, columns: int) -> NDArray[np.str_]:
    """The words (rows, columns) of a text file: a row a line, apart by blanks or commas.

    Raises:
        DataError: The file is cut, or of another size.
    """
    text = read_checked(path).tobytes().decode("latin-1")
    lines = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    if len(lines) != rows:
        raise damaged(path, f"it has {len(lines):,} rows and should have {rows:,}")
    for number, line in enumerate(lines, start=1):
        if len(line) != columns:
            raise damaged(path, f"row {number} has {len(line)} columns and should have {columns}")
    return np.array(lines)


def read_cifar_binary(path: Path, md5: str | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (10000, 3, 32, 32) and labels of one file of CIFAR-10's binary version.

    Raises:
        DataError: The file is truncated, or is not that file.
    """
    record = 1 + math.prod(CIFAR_SHAPE)  # label, red plane, green plane, blue plane
    data = read_checked(path, CIFAR_RECORDS * record, md5=md5).reshape(CIFAR_RECORDS, record)
    return data[:, 1:].reshape(-1, *CIFAR_SHAPE), data[:, 0].astype(np.int64)


def read_pickle(path: Path, md5: str) -> Any:
    """What one file of CIFAR's Python versions holds.

    Unpickling runs what the file says, so the checksum is not optional.

    Raises:
        DataError: The file is not that file.
    """
    return pickle.loads(read_checked(path, md5=md5).tobytes(), encoding="latin1")


def read_cifar_pickle(path: Path, md5: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (10000, 3, 32, 32) and labels of one file of CIFAR-10's Python version.

    Raises:
        DataError: The file is not that file.
    """
    batch = read_pickle(path, md5)
    images = np.asarray(batch["data"], dtype=np.uint8).reshape(-1, *CIFAR_SHAPE)
    return images, np.asarray(batch["labels"], dtype=np.int64)


def read_cifar100(path: Path, count: int, md5: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (count, 3, 32, 32) and fine labels of one file of CIFAR-100's Python version.

    Raises:
        DataError: The file is not that file.
    """
    batch = read_pickle(path, md5)
    images = np.asarray(batch["data"], dtype=np.uint8).reshape(count, *CIFAR_SHAPE)
    return images, np.asarray(batch["fine_labels"], dtype=np.int64)


def read_svhn(path: Path, md5: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, 3, 32, 32) and digits (n,) of one MATLAB file of SVHN.

    The file's label 10 is the digit 0.

    Raises:
        DataError: The file is not that file.
    """
    from scipy.io import loadmat

    content = loadmat(io.BytesIO(read_checked(path, md5=md5).tobytes()))
    images = np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1), dtype=np.uint8)
    return images, content["y"].reshape(-1).astype(np.int64) % 10
