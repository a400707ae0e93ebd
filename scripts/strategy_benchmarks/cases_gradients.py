"""BADGE, BAIT and dynamicAL: strategies on gradients.

N pool points, M labeled points, C classes, D features, B batch size.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from al_bench.checking.views import seeded
from al_bench.models.base import Network
from al_bench.strategies.base import Selection
from strategy_benchmarks.case import Case, Facts, Floor, Options, Peer, Work
from strategy_benchmarks.found import choice, exists
from strategy_benchmarks.inputs import NetworkView, random_pool
from strategy_benchmarks.memory import with_peak
from strategy_benchmarks.published import (
    badge_materialized,
    badge_numpy,
    bait_direct,
    chunked_gradients,
    stored_gradients,
)


def badge(options: Options) -> Iterator[Case]:
    """BADGE against embeddings in memory, and against factored distances in NumPy."""
    num_points, num_features, batch_size = (300, 16, 5) if options.quick else (50_000, 512, 100)
    view = random_pool(num_points, 1, num_features)
    log_probs, features = view.gradient_factors()
    probs64, features64 = log_probs.double().exp().numpy(), features.double().numpy()
    strategy = choice("badge")
    read = features.nbytes + log_probs.nbytes

    def agreement(ours: Selection, theirs: Mapping[str, list[int]]) -> dict[str, Facts]:
        return {"al-bench": same_distances(ours, log_probs, features)}

    yield Case(
        row="badge",
        name="BADGE",
        work=f"N {num_points:,}, C {log_probs.shape[1]}, D {num_features}, B {batch_size}",
        ours=lambda: strategy.select(view, batch_size, seeded(0)),
        peers=(
            Peer(
                "embeddings in memory",
                lambda: badge_materialized(log_probs, features, batch_size),
                70.0,
            ),
            Peer("LabelBench's form", lambda: badge_numpy(probs64, features64, batch_size), 1.5),
        ),
        floor=Floor(
            "reading the factors B times",
            (Work("read", float(batch_size * read), read),),
            at_most=3.0,
        ),
        agreement=agreement,
        repeats=3,
    )


def same_distances(ours: Selection, log_probs: Tensor, features: Tensor) -> Facts:
    """Whether the squared distances of the picks are those of the embeddings, in float64."""
    positions = ours.positions
    errors = log_probs[positions].double().exp()
    errors[torch.arange(len(errors)), log_probs[positions].argmax(dim=1)] -= 1
    gradients = (errors[:, :, None] * features[positions].double()[:, None, :]).flatten(1)
    squared = torch.cdist(gradients, gradients, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    nearest = torch.stack([squared[i, :i].min() for i in range(1, len(positions))])
    difference = ((ours.scores[1:] - nearest).abs() / nearest.max()).max()
    return {"largest_difference": float(difference), "equal": bool(difference < 1e-4)}


def bait(options: Options) -> Iterator[Case]:
    """BAIT against the form of its authors' code, in both precisions."""
    if not exists("bait"):
        return
    num_points, num_features, batch_size = (60, 4, 2) if options.quick else (1_000, 64, 5)
    view = random_pool(num_points, 1, num_features)
    strategy = choice("bait")
    pool, labeled = view.gradient_factors(), view.labeled_gradient_factors()

    def direct(precision: torch.dtype) -> list[int]:
        points, bought = (
            (factors.log_probs.to(precision).exp(), factors.features.to(precision))
            for factors in (pool, labeled)
        )
        return bait_direct(points, bought, batch_size, strategy.regularization)

    def agreement(ours: Selection, theirs: Mapping[str, list[int]]) -> dict[str, Facts]:
        picks = ours.positions.tolist()
        return {
            peer: {"equal": picks == other}
            if "64" in peer
            else {"same_picks": len(set(picks) & set(other))}
            for peer, other in theirs.items()
        }

    yield Case(
        row="bait",
        name="BAIT",
        work=f"N {num_points:,}, C {view.num_classes}, D {num_features}, B {batch_size}, "
        f"M {len(labeled.features)}",
        ours=lambda: strategy.select(view, batch_size, seeded(0)),
        peers=(
            Peer("published form, float64", lambda: direct(torch.float64), 20.0),
            Peer("published form, float32", lambda: direct(torch.float32)),
        ),
        agreement=agreement,
        repeats=3,
    )


def dynamical(options: Options) -> Iterator[Case]:
    """DynamicAL against the gradients of every point by ``torch.func``, stored or not."""
    if not exists("dynamical"):
        return
    num_points, num_labeled, steps = (40, 20, 2) if options.quick else (5_000, 500, 100)
    view = NetworkView(options.data, num_points, num_labeled, steps)
    strategy, network = choice("dynamical"), view.network()
    given = network, view.pool, view.bought, view.answers
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    top = min(100, num_points // 4)

    def agreement(ours: Selection, theirs: Mapping[str, Tensor]) -> dict[str, Facts]:
        scores = torch.empty_like(ours.scores)
        scores[ours.positions] = ours.scores
        return {peer: same_ranking(scores, other.double(), top) for peer, other in theirs.items()}

    def facts(ours: Selection) -> Facts:
        half = view.restricted_to(num_points // 2)
        _, peak = with_peak(lambda: strategy.select(half, len(half), seeded(0)))
        return {"peak_bytes_of_half": peak, "bytes_of_gradients": 4 * num_points * num_parameters}

    yield Case(
        row="dynamical",
        name="dynamicAL",
        work=f"N {num_points:,}, M {num_labeled}, {num_parameters:,} parameters, "
        f"images {'×'.join(str(side) for side in view.pool.shape[1:])}",
        ours=lambda: strategy.select(view, num_points, seeded(0)),
        peers=(
            Peer("stored gradients", lambda: stored_gradients(*given), 5.0),
            Peer("gradients in chunks", lambda: chunked_gradients(*given)),
        ),
        floor=Floor(
            "GEMM of one forward and one backward pass",
            (Work("gemm", 3.0 * flops(network, view.pool[:1]) * (num_points + num_labeled)),),
        ),
        agreement=agreement,
        facts=facts,
        repeats=3,
    )


def same_ranking(ours: Tensor, other: Tensor, top: int) -> Facts:
    """How far two scorings of the same points agree; equal up to what float32 can tell."""
    ranks = torch.stack([ours, other]).argsort(dim=1).argsort(dim=1).double()
    return {
        "rank_correlation": float(torch.corrcoef(ranks)[0, 1]),
        "same_of_top": len(set(top_of(ours, top)) & set(top_of(other, top))),
        "top": top,
        "equal": bool(torch.allclose(ours, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))),
    }


def top_of(scores: Tensor, count: int) -> list[int]:
    """Positions of the highest."""
    return scores.topk(count).indices.tolist()


def flops(network: Network, point: Tensor) -> float:
    """Operations of one forward pass of one point."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(point)
    return float(counter.get_total_flops())


CASES: dict[str, Any] = {"badge": badge, "bait": bait, "dynamical": dynamical}
