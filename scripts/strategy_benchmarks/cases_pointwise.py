"""Every score of single points, beside one pass of exp over the predictions.

N pool points, K posterior samples, C classes.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from al_bench.information.precision import pieces
from al_bench.strategies.base import PoolScore, ScoreFn
from al_bench.strategies.pointwise import pool_scores
from strategy_benchmarks.case import Case, Floor, Options
from strategy_benchmarks.found import FOLDER, choice, names
from strategy_benchmarks.inputs import (
    LABELS,
    TRAIN_STEPS,
    TensorView,
    random_pool,
    trained_posterior,
)

CHUNK = 2**16  # numbers: what exp writes stays in a core's cache
# What a score that needs the classes of each sample together cannot do without.
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "torch_sum_over_classes": lambda piece: piece.sum(dim=2),
    "torch_largest_over_classes": lambda piece: piece.amax(dim=2),
    "torch_copy_with_classes_first": lambda piece: piece.transpose(1, 2).contiguous(),
}


def pointwise(options: Options) -> Iterator[Case]:
    """Each file under ``conf/strategy/score``, on posteriors of trained networks and a random one.

    A score of the whole pool, which is more than a function of each point's predictions, is
    measured on the random one alone: that has targets and gradient factors. Then torch's own
    reductions over the classes of each sample, in pieces that stay in the cache.
    """
    num_points, num_samples, num_features = (300, 8, 16) if options.quick else (50_000, 100, 512)
    random = random_pool(num_points, num_samples, num_features)
    steps = 5 if options.quick else TRAIN_STEPS
    views = {}
    for labels in LABELS:
        log_probs = trained_posterior(options.data, labels, num_points, num_samples, steps)
        tensors = replace(random.tensors, log_probs=log_probs)
        views[f"{options.source}, {labels} labels"] = TensorView(tensors)
    for name in names(FOLDER / "score"):
        if options.names and name not in options.names:
            continue
        score = choice(f"score/{name}")
        if not isinstance(score, PoolScore):
            for posterior, view in views.items():
                yield _case(name, score, posterior, view)
        yield _case(name, score, "random", random)
    for name, reduction in REDUCTIONS.items():
        if not options.names or name in options.names:
            yield _case(name, _by_pieces(reduction), "random", random, bound=False)


def _by_pieces(reduction: Callable[[Tensor], Tensor]) -> ScoreFn:
    def reduced(log_probs: Tensor) -> Tensor:
        for piece in pieces(log_probs):
            reduction(piece)
        return log_probs.new_zeros(len(log_probs))

    return reduced


def _case(
    name: str, score: ScoreFn | PoolScore, posterior: str, view: TensorView, *, bound: bool = True
) -> Case:
    num_points, num_samples, num_classes = view.tensors.log_probs.shape
    return Case(
        row="pointwise",
        name=f"score {name}, {posterior}",
        work=f"N {num_points:,}, K {num_samples}, C {num_classes}",
        ours=lambda: pool_scores(score, view, None),
        floor=Floor(
            "one pass of exp",
            run=lambda: exp_pass(view.tensors.log_probs),
            at_most=2.0 if bound and not isinstance(score, PoolScore) else None,
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
