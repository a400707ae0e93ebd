"""Files that are there whole or not at all, even after a power cut.

Every function is durable when it returns and raises ResultsError when the disk refuses.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from al_bench.errors import ResultsError

# Whatever changes the disk goes through these names, so that tests can break each of them.
open_file = os.open
write_some = os.write
fsync = os.fsync
replace = os.replace
unlink = os.unlink
link = os.link
mkdir = os.mkdir

KEPT = "What was stored before is unharmed."


@contextlib.contextmanager
def reporting(path: Path, elsewhere: str = "another results folder") -> Iterator[None]:
    """Turn an OSError about ``path`` into a ResultsError of one line.

    Args:
        path: What is written.
        elsewhere: What a user may choose instead of where it lies.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResultsError(
                f"The disk is full: cannot write {path}. {KEPT}",
                "Free some space and start the same command again.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ResultsError(
                f"No permission to write {path} ({error.strerror}). {KEPT}",
                f"Make the folder writable or choose {elsewhere}.",
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise ResultsError(
                f"Cannot write {path}: a file stands where a folder is needed.",
                f"Move it away or choose {elsewhere}.",
            ) from error
        reason = error.strerror or type(error).__name__
        raise ResultsError(f"Cannot write {path}: {reason}. {KEPT}") from error


def write(path: Path, data: bytes, owner: str) -> None:
    """Put ``data`` at ``path`` in one step; a reader sees the old file or the new one.

    Args:
        path: The file; its folder exists.
        data: All of its content.
        owner: Whose lock protects the file (``"seed=3"``); see ``clean``.
    """
    temporary = path.with_name(f".{owner}.{path.name}.{secrets.token_hex(4)}.tmp")
    with reporting(path):
        try:
            descriptor = open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[write_some(descriptor, rest) :]
                fsync(descriptor)
            finally:
                os.close(descriptor)
            replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                unlink(temporary)
            raise
        sync_folder(path.parent)


def write_first(path: Path, data: bytes, owner: str) -> bytes:
    """Put ``data`` at ``path`` unless something is there; what is there then.

    Of several processes that do so at once, one is the first for all of them.
    """
    if not path.exists():
        beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        write(beside, data, owner)
        with reporting(path):
            try:
                link(beside, path)
            except FileExistsError:
                pass
            except OSError:  # a file system without links: of two at once the last one wins
                replace(beside, path)
            else:
                sync_folder(path.parent)
        remove(beside)
    with reporting(path):
        return path.read_bytes()


def remove(path: Path) -> None:
    """Remove the file if it is there."""
    with reporting(path):
        try:
            unlink(path)
        except FileNotFoundError:
            return
        sync_folder(path.parent)


def move(path: Path, target: Path) -> None:
    """Rename a file within its folder, over what is there."""
    with reporting(target):
        replace(path, target)
        sync_folder(path.parent)


def set_aside(path: Path) -> Path:
    """Rename a file to ``NAME.damaged``, over nothing that is kept already; its new place."""
    aside = path.with_name(f"{path.name}.damaged")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.{number}.damaged")
    move(path, aside)
    return aside


def make_folder(path: Path) -> None:
    """Create the folder and those above it that are missing."""
    with reporting(path):
        missing = []
        while not path.is_dir():
            if path == path.parent:  # the current folder, which is gone
                raise FileNotFoundError(errno.ENOENT, "the current folder is gone")
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):  # made by another process meanwhile
                mkdir(folder)
            if not folder.is_dir():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
            sync_folder(folder.parent)


def clean(folder: Path, owner: str) -> None:
    """Remove what killed writers left behind; only for the holder of ``owner``'s lock."""
    for temporary in folder.glob(f".{owner}.*.tmp"):
        remove(temporary)


def sync_folder(folder: Path) -> None:
    """Make what was renamed, made or removed in a folder outlast a power cut."""
    if os.name == "nt":
        return  # folders cannot be opened there
    descriptor = open_file(folder, os.O_RDONLY)
    try:
        fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems have no such sync
            raise
    finally:
        os.close(descriptor)
