"""How the cost of a strategy grows as the pool doubles and as the batch doubles.

The exponent is the slope of log(seconds) over log(size), by least squares: 1 is linear. At sizes
where a call's fixed cost counts it is lower than in the limit.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from al_bench.strategies.base import Selection, Strategy
from strategy_benchmarks.case import Facts, Options
from strategy_benchmarks.cases_every import limited, tensor_strategy
from strategy_benchmarks.found import names
from strategy_benchmarks.inputs import TensorView, random_pool
from strategy_benchmarks.timing import average, repeated, spread

POINTS = 4_000, 8_000, 16_000
BATCHES = 20, 40, 80
SAMPLES, FEATURES = 20, 128
REPEATS = 3


def fitted(options: Options) -> Iterator[Facts]:
    """Exponents of every strategy that needs nothing but tensors."""
    points = (100, 200, 400) if options.quick else POINTS
    batches = (2, 4, 8) if options.quick else BATCHES
    views = {n: random_pool(n, SAMPLES, FEATURES) for n in points}
    for name in names():
        if options.names and name not in options.names:
            continue
        strategy = tensor_strategy(name)
        if strategy is not None:
            yield {"name": name, **growth(strategy, views, batches, options)}


def growth(
    strategy: Strategy, views: dict[int, TensorView], batches: Sequence[int], options: Options
) -> Facts:
    """Exponents in N (at the smallest batch) and in B (at the middle pool)."""
    middle = sorted(views)[len(views) // 2]
    by_points = {str(n): selecting(strategy, views[n], batches[0], options) for n in views}
    by_batch = {str(b): selecting(strategy, views[middle], b, options) for b in batches}
    try:
        return {
            "points": exponent(by_points, options),
            "batch": exponent(by_batch, options),
            "of": f"N {min(views):,} to {max(views):,} at B {batches[0]}; B {batches[0]} to "
            f"{batches[-1]} at N {middle:,}; K {SAMPLES}, D {FEATURES}",
        }
    except Exception as error:  # whatever it raises, the others can still be fitted
        return {"failed": " ".join(str(error).split())}


def selecting(
    strategy: Strategy, view: TensorView, batch_size: int, options: Options
) -> Callable[[], Selection]:
    """One selection."""
    return limited(strategy, view, batch_size, options.minutes)


def exponent(ways: dict[str, Callable[[], Any]], options: Options) -> Facts:
    """Slope over the sizes that name the ways, fitted in every repetition; and the seconds."""
    once = {name: average(run, 1) for name, run in ways.items()}
    calls = {name: 1 if options.quick else repeated(once[name]) for name in ways}
    repetitions = [
        {name: average(run, calls[name]) for name, run in ways.items()}
        for _ in range(options.repeats or (1 if options.quick else REPEATS))
    ]
    sizes = [math.log(float(name)) for name in ways]
    slopes = [
        float(np.polyfit(sizes, [math.log(times[name]) for name in ways], 1)[0])
        for times in repetitions
    ]
    return {"exponent": spread(slopes), "seconds": repetitions}
