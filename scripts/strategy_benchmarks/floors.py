"""How fast this process multiplies, takes logarithms and reads, at this moment."""

import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from strategy_benchmarks.case import Work

SIDE = 1024  # of the matrices
CACHED = 2**16  # float32 numbers that stay in a core's cache
PASSES = 64  # over them
ATTEMPTS = 3  # of which the fastest counts: a floor is what can be reached


class Rates:
    """Measures rates; its buffers are made once.

    Operations, numbers or bytes a second of CPU time, on the threads that torch has.
    """

    def __init__(self, *, quick: bool = False) -> None:
        self._side = 128 if quick else SIDE
        self._passes = 2 if quick else PASSES
        self._buffers: dict[int, Tensor] = {}
        self._left, self._right = torch.rand(2, self._side, self._side)
        self._product = torch.empty_like(self._left)
        self._numbers = torch.rand(CACHED).add_(0.01)
        self._result = torch.empty_like(self._numbers)

    def seconds(self, parts: Iterable[Work]) -> tuple[float, dict[str, float]]:
        """The least seconds for all parts together, and the rate of each kind."""
        rates = {part.kind: self.rate(part) for part in parts}
        return sum(part.amount / rates[part.kind] for part in parts), rates

    def rate(self, part: Work) -> float:
        """Of one kind of work."""
        amount, run = {
            "gemm": (2.0 * self._side**3, self._multiply),
            "log": (float(self._passes * CACHED), self._log),
            "exp": (float(self._passes * CACHED), self._exp),
            "read": (float(max(4, part.size)), lambda: self._read(part.size)),
        }[part.kind]
        return amount / min(clocked(run) for _ in range(ATTEMPTS))

    def _multiply(self) -> None:
        torch.mm(self._left, self._right, out=self._product)

    def _log(self) -> None:
        for _ in range(self._passes):
            torch.log(self._numbers, out=self._result)

    def _exp(self) -> None:
        for _ in range(self._passes):
            torch.exp(self._numbers, out=self._result)

    def _read(self, size: int) -> None:
        buffer = self._buffers.get(size)
        if buffer is None:
            self._buffers = {size: torch.rand(max(1, size // 4))}
            buffer = self._buffers[size]
        torch.dot(buffer, buffer)


def clocked(run: Callable[[], object]) -> float:
    """Seconds of CPU time of one call, at least a nanosecond."""
    started = time.process_time()
    run()
    return max(time.process_time() - started, 1e-9)
