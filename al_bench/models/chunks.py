"""Passes over many inputs in chunks that a posterior can be shown within a memory budget.

A budget is an estimate of what fits. A chunk that does not fit after all is halved, and so are
those after it; a pass gives the same whatever its chunks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from al_bench.data.base import Inputs
from al_bench.models.base import Posterior

Computed = TypeVar("Computed")


@dataclass
class Halvings:
    """How often a chunk did not fit into memory and was halved."""

    count: int = 0

    @property
    def notes(self) -> dict[str, int]:
        """What a round's notes say of it: ``chunks_halved``, where there were any."""
        return {"chunks_halved": self.count} if self.count else {}


_counting: ContextVar[Halvings | None] = ContextVar("_counting", default=None)


@contextmanager
def counted_halvings() -> Iterator[Halvings]:
    """Count the chunks that are halved within this context."""
    halvings = Halvings()
    token = _counting.set(halvings)
    try:
        yield halvings
    finally:
        _counting.reset(token)


def in_chunks(
    posterior: Posterior,
    inputs: Inputs,
    indices: Tensor,
    device: torch.device,
    chunk_bytes: int,
    compute: Callable[[Tensor], Computed],
) -> Iterator[Computed]:
    """What ``compute`` makes of the inputs at ``indices``, chunk by chunk, in their order.

    Args:
        posterior: Says how many points it can be shown within ``chunk_bytes``.
        inputs: Where points are gathered from.
        indices: (n,) int64.
        device: Where they are gathered to.
        chunk_bytes: Working memory of one chunk.
        compute: From inputs (m, *input_shape) to whatever is wanted of them. It is called again
            with fewer points where memory did not suffice, so it must leave nothing behind.

    Raises:
        torch.OutOfMemoryError: A single point does not fit. On a CPU it is what torch or Python
            raises there: memory that the system refuses is treated alike.
    """
    size = posterior.chunk_size(inputs.input_shape, chunk_bytes)
    yield from halved_to_fit(indices, size, lambda chunk: compute(inputs.gather(chunk, device)))


def halved_to_fit(
    indices: Tensor, size: int, compute: Callable[[Tensor], Computed]
) -> Iterator[Computed]:
    """What ``compute`` makes of ``indices`` (n,), in chunks of ``size`` or fewer, in their order.

    Of no index there is one chunk, which is empty: what comes of it has its shape.

    Raises:
        torch.OutOfMemoryError: A single one does not fit; see ``in_chunks``.
    """
    start = 0
    while start < max(1, len(indices)):
        chunk = indices[start : start + size]
        try:
            computed = compute(chunk)
        except (RuntimeError, MemoryError) as error:
            if len(chunk) <= 1 or not _out_of_memory(error):
                raise
            size = len(chunk) // 2
            halvings = _counting.get()
            if halvings is not None:
                halvings.count += 1
            continue  # the error, and with it what its frames hold, is gone
        start += max(1, len(chunk))
        yield computed
        del computed  # the next chunk needs its room


def _out_of_memory(error: BaseException) -> bool:
    """Whether memory was refused; torch has no type of its own for that on a CPU."""
    refused = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return refused or "DefaultCPUAllocator" in str(error)


def rows_at(values: Any, positions: Tensor) -> Any:
    """The rows at ``positions`` of a tensor, or of each tensor of a named tuple."""
    if isinstance(values, Tensor):
        return values[positions]
    return type(values)(*(rows[positions] for rows in values))
