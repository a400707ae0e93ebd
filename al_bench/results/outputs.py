"""Files that users ask for: pages, figures, tables, each there whole or as it was before."""

import contextlib
import errno
import glob
import io
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from al_bench.results import atomic

try:
    import fcntl
except ImportError:  # Windows: what a killed command leaves there stays
    fcntl = None  # type: ignore[assignment]

_DEVICES = ("/dev", "/dev/fd")  # where /dev/stdout and the like lie, which are links


@contextlib.contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content becomes the file at ``path`` where the block ends without an error.

    Until then, and for good if anything fails, whatever was there stays; no half of a file is ever
    at ``path``. A link at ``path`` is replaced, not followed. The new file has the permissions of
    the one before. What an earlier command was killed over is removed. Devices and pipes below
    ``/dev`` are written to as they are; folders above ``path`` that are missing are made.

    Args:
        path: The file.

    Raises:
        ResultsError: The disk or its permissions refuse, or something other than a file is there.
    """
    with atomic.reporting(path, "another place with out=…"):
        before = _before(path)
        if before is not None and not stat.S_ISREG(before.st_mode):
            buffer = io.BytesIO()
            yield buffer
            path.write_bytes(buffer.getvalue())
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        _clean(path)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        descriptor = atomic.open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with open(descriptor, "wb") as stream:
                if fcntl is not None:
                    with contextlib.suppress(OSError):
                        fcntl.flock(descriptor, fcntl.LOCK_EX)
                if before is not None and os.name != "nt":
                    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
                yield stream
                stream.flush()
                atomic.fsync(descriptor)
            atomic.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                atomic.unlink(temporary)
            raise
        atomic.sync_folder(path.parent)


def _before(path: Path) -> os.stat_result | None:
    """The file that is to be replaced, or the device to be written to; ``None`` without one."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):  # making its folder tells of the latter
        return None
    if os.path.dirname(os.path.abspath(path)) in _DEVICES:
        return status
    if stat.S_ISLNK(status.st_mode):
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "the file there is read-only")
    return status


def _clean(path: Path) -> None:
    """Remove what killed commands have left of this file; nobody holds its lock any more."""
    if fcntl is None:
        return
    for name in glob.glob(f".{glob.escape(path.name)}.*.tmp", root_dir=path.parent):
        with contextlib.suppress(OSError):
            flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(path.parent / name, flags)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path.parent / name)
            finally:
                os.close(descriptor)
