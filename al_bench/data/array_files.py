"""How a user's ``.npz`` and ``.npy`` files are read, and refused where they are none."""

import contextlib
import pickle
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from al_bench.data.classes import RENUMBER
from al_bench.errors import DataError, choose, keyed, words_of
from al_bench.paths import opened

Array = NDArray[np.generic]

KEYS = ("x_train", "y_train", "x_test", "y_test")
OPTIONAL = ("class_names",)
NEEDED = f"Needed: {', '.join(KEYS)}; optional: {', '.join(OPTIONAL)}."
DAMAGED = (zipfile.BadZipFile, zlib.error, pickle.UnpicklingError)
_TABLES = (".csv", ".tsv")
_FROM_TABLE = (
    "Read its columns with pandas.read_csv, and write them as numbers with np.savez('data.npz', "
    "x_train=…, y_train=…, x_test=…, y_test=…)."
)
ZIP = b"PK\x03\x04"  # how an .npz file begins
RESIDENT_BYTES = 2**30  # a .npy file above this is memory-mapped


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays in an ``.npz`` file or in a folder of ``.npy`` files, by key.

    Raises:
        DataError: There is nothing at ``path``, a key is missing, or a file cannot be read.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise DataError(
            f"There is no file or folder {path}.", f"Set {keyed('path')}=... to your arrays."
        )
    if path.suffix.lower() in _TABLES:
        raise DataError(f"{path} is a table, and arrays are read.", _FROM_TABLE)
    with _reading(path), _file(path) as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"{path} holds one array instead of several with names.", NEEDED)
        _require(path, archive.files, "")
        return {key: _member(path, archive, key) for key in _keys_among(archive.files)}


def read_array(typed: str, key: str, mapped: bool = False, name: str | None = None) -> Array:
    """The one array of a ``.npy`` file, or one of an ``.npz`` file by its name.

    Args:
        typed: Its path.
        key: Where that was given, for errors.
        mapped: Leave it on the disk.
        name: Of the array in an ``.npz`` file; ``None`` wants a ``.npy`` file.

    Raises:
        DataError: There is no such file, or it holds anything else.
    """
    path = opened(typed).absolute()
    said = f"{key}={typed} cannot be read"
    write = "Write it with np.save('array.npy', array)."
    if not typed or not path.exists():
        raise DataError(f"{said}: there is no file {path}.", f"Set {key}=… to where it is.")
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise DataError(f"{said}: it is {what}, not a .npy file.", f"Set {key}=… to a file.")
    with _reading(f"{key}={typed}", write), path.open("rb") as file:
        start = file.read(len(ZIP))
        file.seek(0)
        if name is not None:
            return _array_called(file, name, said, start == ZIP)
        if start == ZIP:
            names = ", ".join(zipfile.ZipFile(file).namelist()).replace(".npy", "")
            raise DataError(f"{said}: it holds several arrays ({names}), and one is needed.", write)
        if not start:
            raise DataError(f"{said}: it is empty.", write)
        if mapped:
            return np.lib.format.open_memmap(path, mode="r")
        return np.lib.format.read_array(file, allow_pickle=False)


def _array_called(file: BinaryIO, name: str, said: str, is_archive: bool) -> Array:
    if not is_archive:
        raise DataError(
            f"{said}: it is no .npz file, in which there could be an array called {name}.",
            "Set array=null for a .npy file.",
        )
    archive = np.load(file, allow_pickle=False)
    if name not in archive.files:
        raise DataError(f"{said}: it has no array {name!r}.", choose(name, archive.files))
    return np.asarray(archive[name])


def _read_folder(path: Path) -> dict[str, Array]:
    files = {file.stem: file for file in sorted(path.glob("*.npy"))}
    _require(path, files, ".npy")
    arrays = {}
    for key in _keys_among(files):
        with _reading(files[key], name=key):
            large = files[key].stat().st_size > RESIDENT_BYTES
            arrays[key] = _open(files[key], large)
    return arrays


def _open(path: Path, mapped: bool) -> Array:
    with _file(path) as file:
        if mapped:
            return np.lib.format.open_memmap(path, mode="r")
        return np.lib.format.read_array(file, allow_pickle=False)


def _of_objects(name: str) -> str:
    """How an array of objects is to be written instead."""
    if name.startswith("y_"):
        return f"Number the labels before np.savez: {RENUMBER}."
    kind = "str" if name == "class_names" else "np.float32"
    return f"Write it with {name}.astype({kind})."


def _file(path: Path) -> BinaryIO:
    """The file, opened; a pipe or a device would be waited for, or read, without end."""
    if not path.is_file():
        raise OSError("it is no regular file")
    return path.open("rb")


def _keys_among(names: Iterable[str]) -> list[str]:
    return [key for key in (*KEYS, *OPTIONAL) if key in names]


def _require(path: Path, names: Iterable[str], ending: str) -> None:
    missing = [key + ending for key in KEYS if key not in names]
    if missing:
        there = ", ".join(key + ending for key in names) or "nothing"
        raise DataError(f"{path} lacks {', '.join(missing)}; it has {there}.", NEEDED)


def _member(path: Path, archive: np.lib.npyio.NpzFile, key: str) -> Array:
    with _reading(f"{key} in {path}", name=key):
        return archive[key]


@contextlib.contextmanager
def _reading(
    what: Path | str, hint: str = "Write it again with np.savez or np.save.", name: str = ""
) -> Iterator[None]:
    """Turn what NumPy raises about a damaged file into DataError.

    Args:
        what: What is read, as a message begins.
        hint: How it is to be written.
        name: Of the array, where it is one of ``KEYS`` or ``OPTIONAL``.
    """
    try:
        yield
    except (OSError, ValueError, EOFError, *DAMAGED) as error:
        reason = words_of(error).rstrip(".") or type(error).__name__
        if name and str(error).startswith("Object arrays cannot be loaded"):
            reason = "it has dtype object, such as pandas gives to text, and is no array of numbers"
            hint = _of_objects(name)
        elif "it holds objects" in reason or "magic string" in reason or "Python object" in reason:
            reason = "it is not an array of numbers or strings, or not a NumPy file at all"
        raise DataError(f"{what} cannot be read: {reason}.", hint) from error
