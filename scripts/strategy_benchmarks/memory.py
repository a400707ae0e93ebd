"""Peak memory of one call, where the system tells it (Linux)."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


def with_peak(run: Callable[[], Result]) -> tuple[Result, int | None]:
    """The result of ``run`` and the bytes it needed at most beyond what was held before.

    The second is None where the system does not tell. Its own result counts.
    """
    before = reset_peak()
    result = run()
    return result, peak_since(before)


def reset_peak() -> int | None:
    """Start to watch; the bytes held now, or None where the system does not tell."""
    gc.collect()
    _give_back()
    try:
        RESET.write_text("5", encoding="utf-8")  # the peak becomes what is held now
        return _status("VmRSS")
    except OSError:
        return None


def peak_since(before: int | None) -> int | None:
    """Bytes held at most since ``reset_peak`` beyond ``before``, what that returned."""
    return None if before is None else max(0, _status("VmHWM") - before)


def _give_back() -> None:
    """Let glibc return freed memory to the system, so that reusing it counts."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return


def _status(name: str) -> int:
    for line in STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{STATUS} has no {name}")
