"""Data files found, fetched and checked, so that a damaged one is named and never trained on."""

import contextlib
import gzip
import hashlib
import importlib
import os
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from al_bench.errors import ConfigError, DataError, keyed, words_of
from al_bench.paths import opened

REFETCH = f"Delete it and add {keyed('download')}=true, or copy it again."


def check_source(root: str, download: bool) -> None:
    """Raise ConfigError unless ``root`` and ``download`` can be meant."""
    if not isinstance(root, str) or not root:
        raise ConfigError(
            f"{keyed('root')} must be a folder, got {root!r}.", f"Use {keyed('root')}=data."
        )
    if not isinstance(download, bool):
        raise ConfigError(f"{keyed('download')} must be true or false, got {download!r}.")


def locate(
    root: str, folder: str, names: Sequence[str], *, download: bool, using: str, **arguments: Any
) -> Path:
    """The folder ``root/folder`` with all files ``names`` in it, downloaded if allowed and needed.

    Args:
        root: The data folder, relative to the current directory.
        folder: Where torchvision keeps the data set below its root.
        names: File names.
        download: Whether the network may be asked.
        using: Name of the torchvision class that can download them.
        **arguments: Its other constructor arguments.

    Raises:
        DataError: A file is missing, or could not be downloaded.
    """
    path = (opened(root) / folder).absolute()
    if download and missing(path, names):
        _download(path, opened(root), folder, using, arguments)
    absent = missing(path, names)
    if absent:
        what = f"{path} lacks {absent[0]}." if path.is_dir() else f"There is no folder {path}."
        holds = f"the folder that holds {folder or absent[0]}"
        raise DataError(
            what, f"Set {keyed('root')}=... to {holds}, or add {keyed('download')}=true."
        )
    return path


def missing(folder: Path, names: Sequence[str]) -> list[str]:
    """Which of the files ``names`` are in ``folder`` neither as they are nor packed with gzip."""
    return [name for name in names if not (folder / name).exists() and not _packed(folder / name)]


def _packed(path: Path) -> Path | None:
    packed = path.with_name(path.name + ".gz")
    return packed if packed.exists() else None


def _download(path: Path, root: Path, folder: str, using: str, arguments: dict[str, Any]) -> None:
    """Let torchvision fetch and unpack its files beside ``path``, then move them there."""
    try:
        datasets = importlib.import_module("torchvision.datasets")
    except Exception as error:  # a torchvision that does not fit torch raises what it likes
        raise DataError(
            f"{keyed('download')}=true needs torchvision, which cannot be imported: "
            f"{_line(error)}.",
            "Install the torchvision that fits the installed torch: pip install torchvision.",
        ) from error
    created = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        # A folder of its own: what is cut short, or fetched by two jobs at once, harms nobody.
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as temporary:
            getattr(datasets, using)(temporary, download=True, **arguments)
            path.mkdir(parents=True, exist_ok=True)
            for file in sorted((Path(temporary) / folder).iterdir()):
                if file.is_file() and file.suffix not in (".gz", ".zip"):
                    os.replace(file, path / file.name)
    except Exception as error:  # the network, the disk, an archive: all end the same way
        raise DataError(
            f"{using} could not be downloaded to {path}: {_line(error)}.",
            "Check the network, or put the files there by hand.",
        ) from error
    finally:
        for empty in created:  # innermost first; one that holds something stays
            with contextlib.suppress(OSError):
                empty.rmdir()


def _line(error: Exception) -> str:
    """The error as one short line."""
    text = words_of(error) or type(error).__name__
    return (text[:197] + "..." if len(text) > 200 else text).rstrip(".")


def read_checked(
    path: Path, size: int | None = None, md5: str | None = None, sha256: str | None = None
) -> NDArray[np.uint8]:
    """The bytes of a file; ``None`` leaves a property unchecked.

    Args:
        path: The file; where only ``path``.gz exists, that is unpacked.
        size: Its length in bytes.
        md5: In hexadecimal.
        sha256: In hexadecimal.

    Raises:
        DataError: The file cannot be read, or is not what it should be.
    """
    packed = None if path.exists() else _packed(path)
    path = packed or path
    if path.exists() and not path.is_file():
        raise DataError(f"{path} cannot be read: it is no regular file.")
    try:
        if packed:
            data = np.frombuffer(bytearray(gzip.decompress(path.read_bytes())), np.uint8)
        else:
            data = np.fromfile(path, dtype=np.uint8)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise damaged(path, _line(error)) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {_line(error)}.") from error
    if size is not None and len(data) != size:
        raise damaged(path, f"it has {len(data):,} bytes and should have {size:,}")
    for algorithm, expected in (("md5", md5), ("sha256", sha256)):
        if expected is not None:
            found = hashlib.new(algorithm, data.data, usedforsecurity=False).hexdigest()
            if found != expected:
                raise damaged(path, f"its {algorithm} is {found} and should be {expected}")
    return data


def damaged(path: Path, what: str) -> DataError:
    """The error of a file that is there but wrong."""
    return DataError(f"{path} is damaged: {what}.", REFETCH)
