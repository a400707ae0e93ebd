"""Reading of a user's ``.npz`` and ``.npy`` files."""

import pickle
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from al_bench.errors import DataError

KEYS = ("x_train", "y_train", "x_test", "y_test")
OPTIONAL = ("class_names",)
NEEDED = f"Needed: {', '.join(KEYS)}; optional: {', '.join(OPTIONAL)}."
RESIDENT_BYTES = 2**30  # a .npy file above this is memory-mapped


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays in an ``.npz`` file or in a folder of ``.npy`` files, by key.

    Raises:
        DataError: There is nothing at ``path``, a key is missing, or a file cannot be read.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise DataError(
            f"There is no file or folder {path}.", "Set dataset.path=... to your arrays."
        )
    archive = _load(path)
    if isinstance(archive, np.ndarray):
        raise DataError(f"{path} holds one array instead of several with names.", NEEDED)
    with archive:
        _require(path, archive.files, "")
        return {key: _member(path, archive, key) for key in _wanted(archive.files)}


def _read_folder(path: Path) -> dict[str, NDArray[np.generic]]:
    files = {file.stem: file for file in sorted(path.glob("*.npy"))}
    _require(path, files, ".npy")
    return {
        key: _load(files[key], "r" if files[key].stat().st_size > RESIDENT_BYTES else None)
        for key in _wanted(files)
    }


def _wanted(found: Iterable[str]) -> list[str]:
    return [key for key in (*KEYS, *OPTIONAL) if key in found]


def _require(path: Path, found: Iterable[str], ending: str) -> None:
    missing = [key + ending for key in KEYS if key not in found]
    if missing:
        there = ", ".join(key + ending for key in found) or "nothing"
        raise DataError(f"{path} lacks {', '.join(missing)}; it has {there}.", NEEDED)


def _load(path: Path, mmap_mode: Any = None) -> Any:
    try:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise _unreadable(path, error) from error


def _member(path: Path, archive: Any, key: str) -> NDArray[np.generic]:
    try:
        return archive[key]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(f"{key} in {path}", error) from error


def _unreadable(what: Path | str, error: Exception) -> DataError:
    if "allow_pickle" in str(error):
        reason = "it is not an array of numbers or strings, or not a NumPy file at all"
    else:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return DataError(
        f"{what} cannot be read: {reason}.", "Write it again with np.savez or np.save."
    )
