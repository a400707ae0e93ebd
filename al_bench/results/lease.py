"""A heartbeat in a file: guards a trial where the file system offers no locks.

Its holder touches the file every few seconds. What time that gives it says nothing: the clocks of
hosts and of file servers differ, and jump. So a lease is over once it was watched for five minutes
of the file system's clock and its time did not move, whatever time it is. A holder that was asleep
for longer finds out with ``Lease.is_ours`` before it writes anything.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from al_bench.results import inside

BEAT_SECONDS = 20.0
STALE_SECONDS = 300.0
LOOK_SECONDS = 5.0  # between two looks of who watches


@dataclass(frozen=True)
class Holder:
    """The process that holds a trial.

    Args:
        host: Its machine; "an unknown host" if it left no readable note.
        pid: Its process id there; 0 if unknown.
        since: When it claimed the trial, ISO 8601; empty if unknown.
        place: Boot and process namespace in which the pid is meant.
        token: What tells two claims apart.
    """

    host: str = "an unknown host"
    pid: int = 0
    since: str = ""
    place: str = ""
    token: str = ""

    @classmethod
    def here(cls) -> "Holder":
        """This process."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return cls(socket.gethostname(), os.getpid(), since, _place(), secrets.token_hex(8))

    @classmethod
    def parse(cls, text: bytes) -> "Holder":
        """The holder described by ``to_bytes``; an unknown one if the text is damaged."""
        try:
            fields: dict[str, Any] = json.loads(text)
            holder = cls(**fields)
        except (ValueError, TypeError, RecursionError):
            return cls()
        texts = (holder.host, holder.since, holder.place, holder.token)
        knows_pid = type(holder.pid) is int and 0 <= holder.pid < 2**31
        return holder if knows_pid and all(isinstance(text, str) for text in texts) else cls()

    def to_bytes(self) -> bytes:
        """The note left in the file."""
        return json.dumps(asdict(self)).encode()


class Lease:
    """A held lease; ``take_lease`` makes one."""

    def __init__(self, path: Path, holder: Holder) -> None:
        self.path = path
        self.holder = holder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    def is_ours(self) -> bool:
        """Whether nobody else has taken the lease over."""
        holder = _read(self.path)
        return holder is not None and holder.token == self.holder.token

    def release(self) -> None:
        """Give the lease back."""
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            if self.is_ours():
                self.path.unlink()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                if self.is_ours():
                    os.utime(self.path, follow_symlinks=False)


def take_lease(path: Path) -> "Lease | Holder":
    """The lease at ``path``, or whoever holds it; OSError if the folder cannot be written.

    That of a process that has ended on this machine is free at once; others see ``bury``.
    """
    holder = Holder.here()
    for _ in range(2):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            sign = _sign(path)
            if (other := _holder(sign)) is not None:
                return other
            _remove(path, sign)  # of a process that has ended
            continue
        try:
            os.write(descriptor, holder.to_bytes())
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)
        return Lease(path, holder)
    return lease_holder(path) or Holder()


def bury(paths: Iterable[Path]) -> None:
    """Watch leases until each has moved, is gone or is over, and remove those that are over.

    Live ones are told apart within a beat. Only time in which they were looked at counts, so that
    no clock that is set, no file server that hangs and no sleep of this machine ends one. Nothing
    is over where the clock of the file system does not go or the folder cannot be written; the
    watch ends all the same.

    Args:
        paths: The leases.
    """
    watches = {path: _Watch(_sign(path)) for path in paths}
    deadline = time.monotonic() + 2 * STALE_SECONDS
    while watches and time.monotonic() < deadline:
        clocks = _file_clocks(watches)
        for path, watch in list(watches.items()):
            if not watch.goes_on(_sign(path), clocks.get(path.parent)):
                del watches[path]
            elif watch.seconds >= STALE_SECONDS:
                _remove(path, watch.sign)
                del watches[path]
        if watches:
            time.sleep(LOOK_SECONDS)


def lease_holder(path: Path) -> Holder | None:
    """Who holds the lease at ``path``; ``None`` if nobody does, or a process that has ended here.

    Whether a holder elsewhere still lives is not judged.
    """
    return _holder(_sign(path))


def last_sign(path: Path) -> float | None:
    """The time that the lease at ``path`` shows, in seconds since the epoch; ``None`` without one.

    It is by the clock of whoever dates files there.
    """
    try:
        return path.lstat().st_mtime
    except OSError:
        return None


@dataclass(frozen=True)
class _Sign:
    """What changes with every beat; without a time where it may not be read."""

    note: bytes = b""
    time: int | None = None  # of the file, in nanoseconds


class _Watch:
    """How long a lease has not moved."""

    def __init__(self, sign: _Sign | None) -> None:
        self.sign = sign
        self.seconds = 0.0
        self._clock: float | None = None

    def goes_on(self, sign: _Sign | None, clock: float | None) -> bool:
        """Look again; whether it can still turn out to be over.

        Args:
            sign: How the lease is now.
            clock: The time of its file system; ``None`` if that cannot be told.
        """
        if sign is None or sign != self.sign or sign.time is None or clock is None:
            return False
        elapsed = 0.0 if self._clock is None else clock - self._clock
        self.seconds += min(max(elapsed, 0.0), 2 * LOOK_SECONDS)
        self._clock = clock
        return True


def _sign(path: Path) -> _Sign | None:
    """The sign at ``path`` as it is now; ``None`` without a lease."""
    try:
        descriptor = inside.descriptor(path)  # a network's file attributes are fresh once opened
    except PermissionError:
        return _Sign()
    except OSError:
        return None
    try:
        return _Sign(os.read(descriptor, 4096), os.fstat(descriptor).st_mtime_ns)
    except OSError:
        return _Sign()
    finally:
        os.close(descriptor)


def _holder(sign: _Sign | None) -> Holder | None:
    holder = None if sign is None else Holder.parse(sign.note)
    return None if holder is None or _has_ended(holder) else holder


def _file_clocks(paths: Iterable[Path]) -> dict[Path, float]:
    """What time a file gets that is made now, in seconds, by the folder of these paths.

    Folders that cannot be written are left out.
    """
    clocks: dict[Path, float] = {}
    for path in {path.parent: path for path in paths}.values():
        probe = _beside(path)
        with contextlib.suppress(OSError):
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            try:
                clocks[path.parent] = probe.stat().st_mtime
            finally:
                probe.unlink()
    return clocks


def _remove(path: Path, sign: _Sign | None) -> None:
    """Remove a lease unless it has moved; of several who do so at once one has removed it."""
    if sign is None:
        return
    aside = _beside(path)
    with contextlib.suppress(OSError):  # it stays held
        os.rename(path, aside)
        if _sign(aside) == sign:
            aside.unlink()
        else:  # it is another's by now
            os.replace(aside, path)


def _beside(path: Path) -> Path:
    """A new name in the same folder; ``atomic.clean`` removes what a killed process has left."""
    return path.with_name(f".{path.stem}.{secrets.token_hex(8)}.tmp")


def _read(path: Path) -> Holder | None:
    try:
        return Holder.parse(inside.read(path))
    except OSError:
        return None


def _has_ended(holder: Holder) -> bool:
    """Whether it is a process of this machine that is no more."""
    return bool(holder.place) and holder.place == _place() and not _is_alive(holder.pid)


def _place() -> str:
    """Where a pid means the same process: this boot of this machine, this pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
