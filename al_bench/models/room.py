"""Tensors with a row for every point: filled in place, and refused where they do not fit."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from al_bench.errors import AlBenchError
from al_bench.models.cgroups import memory_left

SHARED = (0, 0)  # the pool of memory that a process's tensors on a GPU share
MEMINFO = Path("/proc/meminfo")
FEWER = "Choose among fewer of them: strategy=subsample strategy@strategy.of=… strategy.size=10000."


def rows_of(parts: Iterator[Any], count: int, what: str, places: Tensor | None = None) -> Any:
    """What was given for each chunk of ``count`` points, in one; it is never held twice.

    Args:
        parts: Tensors (n, …), or named tuples of such, of chunks that are ``count`` points
            together. No more than the first is computed where the whole does not fit.
        count: N.
        what: What an error calls it.
        places: (N,) int64, the row that each of the points gets; ``None`` leaves them in order.

    Raises:
        AlBenchError: There is less memory than it takes, or the chunks have fewer points.
    """
    first = next(parts)
    named = not isinstance(first, Tensor)
    columns = list(first) if named else [first]
    device = columns[0].device
    require_room(count * sum(_bytes_a_row(each) for each in columns), device, what)
    if places is not None:
        places = places.to(device)
    elif len(columns[0]) == count:
        return first
    whole = [each.new_empty(count, *each.shape[1:]) for each in columns]
    begin = 0
    for part in itertools.chain([first], parts):
        columns = list(part) if named else [part]
        rows: Tensor | slice = slice(begin, begin + len(columns[0]))
        if places is not None:
            rows = places[rows]
        for target, values in zip(whole, columns, strict=True):
            target[rows] = values
        begin += len(columns[0])
    if begin != count:
        raise AlBenchError(f"{what}: the model gave {begin:,} rows.")
    return type(first)(*whole) if named else whole[0]


def available(device: torch.device) -> int | None:
    """Bytes that may be allocated on a device; ``None`` where nothing says.

    Of a CPU's memory what the machine has left, or a container's limit where that is less; swap is
    not counted.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        segments: list[Any] = torch.cuda.memory_snapshot()  # type: ignore[no-untyped-call]
        return free + sum(
            segment["total_size"] - segment["allocated_size"]
            for segment in segments
            if segment["device"] == device.index
            and segment.get("segment_pool_id", SHARED) == SHARED  # a graph's is its own
        )
    if device.type != "cpu":
        return None
    known = [one for one in (_left_on_machine(), memory_left()) if one is not None]
    return min(known, default=None)


def _left_on_machine() -> int | None:
    try:
        lines = MEMINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def require_room(
    needed: int, device: torch.device, what: str, hint: Callable[[int], str] = lambda _: FEWER
) -> None:
    """Refuse what will be held where it does not fit, before it is computed.

    Args:
        needed: Bytes.
        device: Where they will be allocated.
        what: What takes them, in the plural.
        hint: What to do, given the bytes that are available.

    Raises:
        AlBenchError: Fewer are available.
    """
    there = available(device)
    if there is not None and needed > there:
        raise AlBenchError(
            f"{what} take {needed / 1e6:,.0f} MB, and {there / 1e6:,.0f} MB are available on "
            f"{device.type}.",
            hint(there),
        )


def _bytes_a_row(values: Tensor) -> int:
    return values.element_size() * values.shape[1:].numel()
