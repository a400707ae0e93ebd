"""Every score of single points, beside one pass of exp over the predictions.

N pool points, K posterior samples, C classes.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from al_bench.strategies.base import PoolScore
from al_bench.strategies.pointwise import pool_scores
from strategy_benchmarks.case import Case, Floor, Options
from strategy_benchmarks.found import FOLDER, choice, names
from strategy_benchmarks.inputs import random_pool

CHUNK = 2**16  # numbers: what exp writes stays in a core's cache


def pointwise(options: Options) -> Iterator[Case]:
    """Each file under ``conf/strategy/score``."""
    num_points, num_samples, num_features = (300, 8, 16) if options.quick else (50_000, 100, 512)
    view = random_pool(num_points, num_samples, num_features)
    for name in names(FOLDER / "score"):
        if options.names and name not in options.names:
            continue
        score = choice(f"score/{name}")
        pool_wide = isinstance(score, PoolScore)
        yield Case(
            row="pointwise",
            name=f"score {name}",
            work=f"N {num_points:,}, K {num_samples}, C {view.num_classes}",
            ours=lambda score=score: pool_scores(score, view, None),
            floor=Floor(
                "one pass of exp",
                run=lambda: exp_pass(view.tensors.log_probs),
                # A score of the whole pool is more than a function of each point's predictions.
                at_most=None if pool_wide else 2.0,
            ),
            repeats=5,
        )


def exp_pass(log_probs: Tensor) -> None:
    """Exp of every number, into a buffer that is used again."""
    flat = log_probs.view(-1)
    buffer = torch.empty(min(CHUNK, len(flat)))
    for part in flat.split(CHUNK):
        torch.exp(part, out=buffer[: len(part)])


CASES: dict[str, Any] = {"pointwise": pointwise}
