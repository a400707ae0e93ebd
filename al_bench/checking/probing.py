"""How a check looks at a strategy and says that a property is not kept."""

from collections import Counter

from al_bench.checking.pools import POOLS
from al_bench.checking.views import FakeView, seeded
from al_bench.errors import error_line, within
from al_bench.models.base import SAMPLES
from al_bench.strategies.base import PoolView, Selection, Strategy
from al_bench.strategies.contract import fault


class CheckFailure(AssertionError):
    """A strategy does not keep a property; the message says how it was seen."""


class DoesNotApply(Exception):
    """A property says nothing about a strategy; the message says why."""


def require(condition: bool, message: str) -> None:
    """Raise CheckFailure unless ``condition``."""
    if not condition:
        raise CheckFailure(message)


def cases() -> list[tuple[str, int, FakeView]]:
    """Every pool with B = 1, some and all: its name, B, and a fresh view of it."""
    cases = []
    for name, make in POOLS.items():
        for batch_size in sorted({1, min(3, len(make())), len(make())}):
            cases.append((name, batch_size, make()))
    return cases


def select(strategy: Strategy, view: PoolView, batch_size: int, where: str) -> Selection:
    """What it selects with one and the same generator; CheckFailure when it cannot."""
    try:
        with within(type(strategy).__name__):
            selection = strategy.select(view, batch_size, seeded(7))
    except Exception as error:
        raise CheckFailure(f"{where}: {error_line(error)}") from error
    if not isinstance(selection, Selection):
        raise CheckFailure(f"{where}: {fault(selection, batch_size, len(view))}")
    return selection


def draws(
    strategy: Strategy, view: PoolView, batch_size: int, seeds: range
) -> Counter[tuple[int, ...]]:
    """How often each batch, as positions in their order, comes of generators at ``seeds``."""
    return Counter(
        tuple(strategy.select(view, batch_size, seeded(seed)).positions.tolist()) for seed in seeds
    )


def require_samples(strategy: Strategy) -> None:
    """Raise DoesNotApply where posterior samples need not differ."""
    if SAMPLES not in strategy.needs:
        raise DoesNotApply("needs no posterior samples")
