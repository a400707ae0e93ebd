"""Files of a run, opened only where they lie in its folder as regular files.

Folders of results come from others too. A link in a run's folder might lead to any file of whoever
reads it, and a pipe in the place of a file would be waited for without end: neither is opened, for
reading or writing. A folder of results, or of a run, may be a link itself: whoever names it has
chosen it.
"""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from al_bench.errors import ResultsError

logger = logging.getLogger(__name__)

FOLDERS = ("curves", "acquisitions", "manifests", "locks", "checkpoints")  # of a run
LINK = "is a link, and links in the folder of a run are not followed"
SPECIAL = "is no regular file"

_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_FOLDER = _FLAGS | getattr(os, "O_DIRECTORY", 0)


class LedOutside(ResultsError):
    """A file or folder of a run is a link, or something else that is not what should be there."""


def descriptor(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a file of a run: ``os.open``, with its errors and OSError for what is no such file.

    Args:
        path: The file, in a run's folder or one of ``FOLDERS`` below it.
        flags: As for ``os.open``.
    """
    folder, name = os.path.split(path)
    try:
        if os.path.basename(folder) in FOLDERS and os.open in os.supports_dir_fd:
            parent = os.open(folder, os.O_RDONLY | _FOLDER)
            try:
                handle = os.open(name, flags | _FLAGS, 0o666, dir_fd=parent)
            finally:
                os.close(parent)
        else:
            handle = os.open(path, flags | _FLAGS, 0o666)
    except OSError:
        if what := wrong(path):
            raise OSError(errno.EINVAL, f"it {what}", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, f"it {SPECIAL}", str(path))
    return handle


def read(path: Path) -> bytes:
    """The content of a file of a run; errors as in ``descriptor``."""
    handle = descriptor(path)
    try:
        parts = []
        while part := os.read(handle, 1 << 24):
            parts.append(part)
    finally:
        os.close(handle)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def size(path: Path) -> int:
    """The bytes of a file of a run, without opening it; errors as in ``descriptor``."""
    status = os.lstat(path)
    lies_elsewhere = os.path.islink(os.path.dirname(path)) or not stat.S_ISREG(status.st_mode)
    if lies_elsewhere and (what := wrong(path)):
        raise OSError(errno.EINVAL, f"it {what}", str(path))
    return status.st_size


def wrong(path: Path) -> str | None:
    """Why a file of a run is not opened, as in "is a link"; ``None`` if it is, or there is none."""
    folder = os.path.dirname(path)
    if os.path.basename(folder) in FOLDERS and os.path.islink(folder):
        return f"lies in {os.path.basename(folder)}, which {LINK}"
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return None
    if stat.S_ISLNK(mode):
        return LINK
    return None if stat.S_ISREG(mode) else SPECIAL


def walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Folders below a results folder: each with the names of folders and of files in it.

    What begins with a dot is left out, and so are links among ``FOLDERS`` and folders that may not
    be read, which are named in a warning. Whoever iterates may shorten the list of folders.
    """
    for folder, below, names in os.walk(root, onerror=_tell_unread):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in below:
            if name in FOLDERS and os.path.islink(os.path.join(folder, name)):
                logger.warning(
                    "Left out: %s %s.", os.path.abspath(os.path.join(folder, name)), LINK
                )
        yield folder, below, names


def _tell_unread(error: OSError) -> None:
    path = os.path.abspath(error.filename)
    logger.warning("Left out: %s cannot be read (%s).", path, error.strerror)


def require(folder: Path, name: str) -> None:
    """Refuse to work on a trial whose places lead elsewhere.

    Args:
        folder: The run's folder.
        name: The trial's name, ``"seed=3"``.

    Raises:
        LedOutside: ``config.yaml``, one of ``FOLDERS`` or a file of the trial there is a link or no
            regular file.
    """
    for kind in FOLDERS:
        if os.path.islink(folder / kind):
            _refuse(folder / kind, LINK)
    endings = {"curves": "parquet", "acquisitions": "parquet", "manifests": "json"}
    files = [folder / kind / f"{name}.{ending}" for kind, ending in endings.items()]
    locks = [folder / "locks" / f"{name}.{ending}" for ending in ("lock", "lease")]
    for path in (folder / "config.yaml", *files, *locks):
        require_regular(path)


def require_regular(path: Path) -> None:
    """Raise LedOutside where a file of a run is there, and is a link or no regular file."""
    if what := wrong(path):
        _refuse(path, what)


def _refuse(path: Path, what: str) -> None:
    raise LedOutside(f"{path} {what}.", "Remove it, or put there what it stands for.")
