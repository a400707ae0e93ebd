"""A heartbeat in a file: guards a trial where the file system offers no locks.

Its holder touches the file once a minute; a file left alone for five minutes is nobody's. A holder
that was asleep for longer finds out with ``check`` before it writes anything.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from al_bench.results import inside

BEAT_SECONDS = 60.0
STALE_SECONDS = 300.0
SETTLE_SECONDS = 0.5  # between two claims of a stale lease, the later one counts


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
            found = cls(**fields)
        except (ValueError, TypeError, RecursionError):
            return cls()
        texts = (found.host, found.since, found.place, found.token)
        knows_pid = type(found.pid) is int and 0 <= found.pid < 2**31
        return found if knows_pid and all(isinstance(text, str) for text in texts) else cls()

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
        found = _read(self.path)
        return found is not None and found.token == self.holder.token

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
    """The lease at ``path``, or whoever holds it; OSError if the folder cannot be written."""
    holder = Holder.here()
    probe = path.with_name(f".{path.name}.{holder.token}.probe")
    probe.write_bytes(holder.to_bytes())
    try:
        now = probe.stat().st_mtime  # the file server's clock, which also dates the lease
        try:
            with path.open("xb") as file:
                file.write(holder.to_bytes())
        except FileExistsError:
            other = lease_holder(path, now)
            if other is not None:
                return other
            os.replace(probe, path)
            time.sleep(SETTLE_SECONDS)
            found = _read(path)
            if found is None or found.token != holder.token:
                return found or Holder()
    finally:
        probe.unlink(missing_ok=True)
    return Lease(path, holder)


def lease_holder(path: Path, now: float | None = None) -> Holder | None:
    """Who holds the lease at ``path``; ``None`` if nobody does, or its holder is gone.

    Args:
        path: The lease's file.
        now: Current time in seconds since the epoch, by the clock that dates the file.
    """
    try:
        age = (time.time() if now is None else now) - path.lstat().st_mtime
    except OSError:
        return None
    holder = _read(path)
    if holder is None or age > STALE_SECONDS:
        return None
    if holder.place and holder.place == _place() and not _is_alive(holder.pid):
        return None
    return holder


def _read(path: Path) -> Holder | None:
    try:
        return Holder.parse(inside.read(path))
    except OSError:
        return None


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
