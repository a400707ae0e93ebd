"""Stored trials that are made without training."""

import os
from collections.abc import Callable

import pytest

from al_bench.results import atomic


@pytest.fixture(autouse=True)
def instant_fsync(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Real syncs take milliseconds and can only be noticed by pulling the plug."""

    def fsync(descriptor: int) -> None:
        os.fstat(descriptor)  # still an error for a closed one

    monkeypatch.setattr(atomic, "fsync", fsync)
    return fsync
