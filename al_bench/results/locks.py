"""A trial's lock, which dies with its holder.

POSIX record locks: the kernel drops them when the process ends, however it ends, and forked
children do not inherit them (they would keep flock's alive). They belong to the process, and
closing *any* descriptor of the file drops them, so nothing else may open a lock's file meanwhile.
"""

import errno
import logging
import os
import struct
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from al_bench.errors import AlBenchError, ResultsError
from al_bench.results import atomic, inside
from al_bench.results import lease as leases
from al_bench.results.lease import Holder, Lease, lease_holder, take_lease
from al_bench.text.duration import in_words

try:
    import fcntl
except ImportError:  # Windows: leases only
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_HELD = (errno.EACCES, errno.EAGAIN)
_REFUSED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)

# By process id, so that a forked child starts with none of its parent's.
_locks: dict[tuple[int, str], "TrialLock"] = {}
_guards: dict[int, threading.RLock] = {}


class TrialHeld(AlBenchError):
    """Another process (or another part of this one) is working on the trial.

    Args:
        path: The trial's lock.
        host: Where its holder runs.
        pid: The holder's process id there.
    """

    def __init__(self, path: Path, host: str, pid: int) -> None:
        super().__init__(f"{path.stem} in {path.parent.parent} is held by {host}, process {pid}.")
        self.path = path
        self.host = host
        self.pid = pid

    def __reduce__(self) -> tuple[Any, ...]:
        return TrialHeld, (self.path, self.host, self.pid)


class TrialLock:
    """A held lock; ``take`` makes one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key = _key(path)
        self._descriptor: int | None = None
        self._lease: Lease | None = None

    def check(self) -> None:
        """Raise ResultsError if the trial has been taken from us (leases only)."""
        if self._lease is not None and not self._lease.is_ours():
            raise ResultsError(
                f"{self.path.stem} in {self.path.parent.parent} was taken over by another process "
                "while this one did not answer. Nothing was written.",
                "Start the same command again to continue once that process is done.",
            )

    def release(self) -> None:
        """Give the lock back; harmless if it was already given back, or by a forked child."""
        if os.getpid() != self._key[0]:
            return
        with _guard():
            if _locks.get(self._key) is self:
                del _locks[self._key]
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def _take(self) -> None:
        descriptor = _lock_file(self.path)
        if descriptor is not None:
            self._descriptor = descriptor
            return
        with atomic.reporting(self.path):
            lease = take_lease(_lease(self.path))
        if isinstance(lease, Holder):
            raise TrialHeld(self.path, lease.host, lease.pid)
        self._lease = lease


def take(path: Path) -> TrialLock:
    """Take the lock at ``path``, whose folder exists.

    Raises:
        TrialHeld: Someone has it, be it this process.
        ResultsError: The folder cannot be written.
    """
    with _guard():
        if _key(path) in _locks:
            here = Holder.here()
            raise TrialHeld(path, here.host, here.pid)
        lock = TrialLock(path)
        lock._take()
        _locks[_key(path)] = lock
    return lock


def held_by(path: Path) -> Holder | None:
    """Who holds the lock at ``path``, found out without taking it; ``None`` if nobody does.

    A lock or lease that may not be read has an unknown holder. Whether the holder of a lease still
    lives is not judged: ``last_sign`` tells what there is to see, ``settle`` finds out.
    """
    with _guard():
        if _key(path) in _locks:
            return Holder.here()
        return _lock_holder(path) or lease_holder(_lease(path))


def last_sign(path: Path) -> float | None:
    """The time that the holder of the lock at ``path`` has left last, in seconds since the epoch.

    ``None`` where there is no lease: a lock needs none, as it dies with its holder.
    """
    with _guard():
        is_ours = _key(path) in _locks
        return None if is_ours or _lock_holder(path) else leases.last_sign(_lease(path))


def settle(paths: Iterable[Path]) -> None:
    """Find out which of these locks are only held by leases that are over, and free those.

    It returns at once where there are no leases of others, within seconds where their holders
    live, and else after some minutes. What cannot be found out stays held.
    """
    with _guard():
        watched = [_lease(path) for path in paths if _key(path) not in _locks]
    held = {path: holder for path in watched if (holder := lease_holder(path)) is not None}
    if not held:
        return
    holders = sorted({f"{holder.host}, process {holder.pid}," for holder in held.values()})
    logger.warning(
        "%s %s %d trial%s here; waiting at most %s for a sign of life.",
        " and ".join(holders),
        "hold" if len(holders) > 1 else "holds",
        len(held),
        "s" * (len(held) > 1),
        in_words(leases.STALE_SECONDS),
    )
    leases.bury(held)


def _guard() -> threading.RLock:
    return _guards.setdefault(os.getpid(), threading.RLock())


def _lease(path: Path) -> Path:
    return path.with_suffix(".lease")


def _key(path: Path) -> tuple[int, str]:
    return os.getpid(), os.path.realpath(path)


def _lock_file(path: Path) -> int | None:
    """Descriptor of the locked file; ``None`` where the file system refuses locks."""
    if fcntl is None:
        return None
    with atomic.reporting(path):
        descriptor = inside.descriptor(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            note = os.pread(descriptor, 4096, 0)
            os.close(descriptor)
            if error.errno in _HELD:
                holder = Holder.parse(note)
                raise TrialHeld(path, holder.host, holder.pid) from None
            if error.errno in _REFUSED:
                return None
            raise
        try:
            note = Holder.here().to_bytes()
            os.pwrite(descriptor, note, 0)
            os.ftruncate(descriptor, len(note))
        except OSError:
            pass  # only read for messages; a full disk is reported by the first write that matters
    return descriptor


def _lock_holder(path: Path) -> Holder | None:
    if fcntl is None:
        return None
    try:
        descriptor = inside.descriptor(path)
    except PermissionError:
        return Holder()
    except OSError:
        return None
    try:
        # struct flock asking for the first lock in the way of an exclusive one on the whole file
        if sys.platform == "darwin":
            question = struct.pack("qqihh", 0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
            kind = struct.unpack("qqihh", fcntl.fcntl(descriptor, fcntl.F_GETLK, question))[3]
        else:
            question = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind = struct.unpack("hhqqi4x", fcntl.fcntl(descriptor, fcntl.F_GETLK, question))[0]
        if kind == fcntl.F_UNLCK:
            return None
        return Holder.parse(os.pread(descriptor, 4096, 0))
    except OSError:
        return None
    finally:
        os.close(descriptor)
