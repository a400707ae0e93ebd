"""Every strategy that needs nothing but tensors, at the size that must stay possible.

N pool points, K posterior samples, C classes, D features, B batch size.
"""

import signal
from collections.abc import Callable, Iterator
from typing import Any

from omegaconf.errors import OmegaConfBaseException

from al_bench.checking.views import seeded
from al_bench.errors import AlBenchError
from al_bench.strategies.base import Selection, Strategy
from strategy_benchmarks.case import Case, Facts, Options
from strategy_benchmarks.found import choice, names, tensor_only
from strategy_benchmarks.inputs import TensorView, random_pool

MOST_SECONDS = 600.0
MOST_BYTES = 4 * 2**30


class TooLong(Exception):
    """A selection did not end in time."""


def every(options: Options) -> Iterator[Case]:
    """Each file under ``conf/strategy`` that builds by itself."""
    num_points, num_samples, num_features = (300, 8, 16) if options.quick else (50_000, 100, 512)
    batch_size = 5 if options.quick else 100
    view = random_pool(num_points, num_samples, num_features)
    for name in names():
        if options.names and name not in options.names:
            continue
        strategy = tensor_strategy(name)
        if strategy is None:
            continue
        run = limited(strategy, view, batch_size, options.minutes)
        yield Case(
            row="every",
            name=f"strategy {name}",
            work=f"N {num_points:,}, B {batch_size}, D {num_features}, C {view.num_classes}, "
            f"K {num_samples}",
            ours=run,
            facts=facts,
            repeats=1,
            at_most_seconds=MOST_SECONDS,
            at_most_bytes=MOST_BYTES,
        )


def tensor_strategy(name: str) -> Strategy | None:
    """The strategy, unless it must be told something or needs more than tensors."""
    try:
        strategy: Strategy = choice(name)
    except (AlBenchError, OmegaConfBaseException):  # has a parameter without a default
        return None
    return strategy if tensor_only(strategy) else None


def limited(
    strategy: Strategy, view: TensorView, batch_size: int, minutes: float
) -> Callable[[], Selection]:
    """A selection that raises ``TooLong`` after some minutes, where the system has alarms."""

    def stop(signum: int, frame: object) -> None:
        raise TooLong(f"more than {minutes:g} minutes")

    def run() -> Selection:
        if not hasattr(signal, "setitimer"):
            return strategy.select(view, batch_size, seeded(0))
        previous = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
        try:
            return strategy.select(view, batch_size, seeded(0))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)

    return run


def facts(ours: Selection) -> Facts:
    """The notes of the batch."""
    return dict(ours.notes)


CASES: dict[str, Any] = {"every": every}
