"""A disk that dies at a chosen operation: the process with it, and on request the power too."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from al_bench.results import atomic

OPERATIONS = ("open_file", "write_some", "fsync", "replace", "unlink", "mkdir")


class Killed(KeyboardInterrupt):  # what code of others raises beside it is an error of ours
    """The process is gone: nothing that runs afterwards reaches the disk."""


class BreakingDisk:
    """Counts what al_bench.results does to the disk and stops it at operation ``at``.

    Args:
        at: Number of the operation at which everything ends; None counts only.
        moment: "before" the operation, "after" it, or in the middle of it ("torn": half a write).
        power_cut: What was not yet synced is lost: files are empty, renames and the like undone.
    """

    def __init__(self, at: int | None, moment: str = "before", power_cut: bool = False) -> None:
        self.at = at
        self.moment = moment
        self.power_cut = power_cut
        self.operations: list[str] = []
        self.dead = False
        self._paths: dict[int, Path] = {}  # by descriptor
        self._unsynced: set[Path] = set()
        self._pending: list[tuple[Path, Callable[[], None]]] = []  # folder, how to undo

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in OPERATIONS:
            patch.setattr(atomic, name, getattr(self, f"_{name}"))

    def _do(
        self, name: str, effect: Callable[[], Any], torn: Callable[[], Any] | None = None
    ) -> Any:
        if self.dead:
            raise Killed
        self.operations.append(name)
        if len(self.operations) - 1 != self.at:
            return effect()
        self.dead = True
        if self.moment == "after":
            effect()
        elif self.moment == "torn" and torn is not None:
            torn()
        if self.power_cut:
            self._lose()
        raise Killed

    def _lose(self) -> None:
        for _, undo in reversed(self._pending):
            undo()
        for path in self._unsynced:
            if path.exists():
                path.write_bytes(b"")

    def _open_file(self, path: Path, flags: int, *mode: int) -> int:
        def effect() -> int:
            descriptor = os.open(path, flags, *mode)
            self._paths[descriptor] = Path(path)
            if flags & os.O_CREAT:
                self._unsynced.add(Path(path))
            return descriptor

        return self._do("open_file", effect)

    def _write_some(self, descriptor: int, data: memoryview) -> int:
        half = data[: len(data) // 2]
        return self._do(
            "write_some", lambda: os.write(descriptor, data), lambda: os.write(descriptor, half)
        )

    def _fsync(self, descriptor: int) -> None:
        def effect() -> None:
            path = self._paths[descriptor]
            self._unsynced.discard(path)
            self._pending = [entry for entry in self._pending if entry[0] != path]

        self._do("fsync", effect)

    def _replace(self, source: Path, target: Path) -> None:
        def effect() -> None:
            data, before = source.read_bytes(), self._bytes(target)

            def undo() -> None:
                target.unlink()
                source.write_bytes(data)
                if before is not None:
                    target.write_bytes(before)

            source.replace(target)
            if source in self._unsynced:
                self._unsynced.add(target)
            self._pending.append((target.parent, undo))

        self._do("replace", effect)

    def _unlink(self, path: Path) -> None:
        def effect() -> None:
            data = self._bytes(path)
            path.unlink()
            assert data is not None
            self._pending.append((path.parent, lambda: self._restore(path, data)))

        self._do("unlink", effect)

    def _mkdir(self, path: Path) -> None:
        def effect() -> None:
            path.mkdir()
            self._pending.append((path.parent, lambda: shutil.rmtree(path)))

        self._do("mkdir", effect)

    @staticmethod
    def _bytes(path: Path) -> bytes | None:
        return path.read_bytes() if path.exists() else None

    @staticmethod
    def _restore(path: Path, data: bytes) -> None:
        path.write_bytes(data)
