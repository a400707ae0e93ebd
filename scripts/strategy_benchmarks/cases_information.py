"""BatchBALD and EPIG: information from joint predictions.

N pool points, T targets, K posterior samples, C classes, B batch size, M joint labelings.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from al_bench.checking.views import FakeView, seeded
from al_bench.information.joint import joint_entropy
from al_bench.strategies.base import Selection
from al_bench.strategies.batchbald import BatchBALD, BatchBALDGreedy
from strategy_benchmarks.case import Case, Facts, Floor, Options, Peer, Work
from strategy_benchmarks.inputs import (
    LABELS,
    TRAIN_STEPS,
    random_logits,
    random_pool,
    trained_posterior,
)
from strategy_benchmarks.installed import redux_batchbald
from strategy_benchmarks.published import epig_broadcast, epig_matmul


def batchbald(options: Options) -> Iterator[Case]:
    """BatchBALD against batchbald_redux, on three posteriors."""
    num_points, num_samples = (200, 8) if options.quick else (10_000, 100)
    batch_size, table = (4, 200) if options.quick else (10, 10_000)
    steps = 5 if options.quick else TRAIN_STEPS
    for labels in (*LABELS, None):
        if labels is None:
            name, log_probs = "random logits", random_logits(num_points, num_samples)
        else:
            name = f"{options.source}, {labels} labels"
            log_probs = trained_posterior(options.data, labels, num_points, num_samples, steps)
        yield _batchbald(name, log_probs, batch_size, table, required=labels is not None)


def _batchbald(
    name: str, log_probs: Tensor, batch_size: int, table: int, *, required: bool
) -> Case:
    num_points, num_samples, num_classes = log_probs.shape
    strategy, view = BatchBALD(max_configurations=table), FakeView(log_probs)
    work = work_of(log_probs, batch_size, table)
    # batchbald_redux keeps exact joint entropies of the picks while C^picks fit.
    exact = next(n for n in range(1, batch_size + 2) if num_classes**n > table)

    def agreement(ours: Selection, theirs: Mapping[str, list[int]]) -> dict[str, Facts]:
        picks = ours.positions.tolist()
        compared = min(int(ours.notes["num_exact"]), exact)
        return {
            peer: {
                "equal": picks[:compared] == other[:compared],
                "compared": compared,
                "same_of_all": len(set(picks) & set(other)),
                "information": information(log_probs, other, table),
            }
            for peer, other in theirs.items()
        }

    def facts(ours: Selection) -> Facts:
        picks = ours.positions.tolist()
        notes = dict(ours.notes)
        return {**notes, "picks": picks, "information_again": information(log_probs, picks, table)}

    return Case(
        row="batchbald",
        name=f"BatchBALD, {name}",
        work=f"N {num_points:,}, K {num_samples}, C {num_classes}, B {batch_size}, "
        f"{table:,} samples",
        ours=lambda: strategy.select(view, batch_size, seeded(0)),
        peers=(
            Peer(
                "batchbald_redux",
                redux_batchbald(log_probs, batch_size, table),
                25.0 if required else None,
            ),
        ),
        floor=Floor(
            "GEMM + log of the share evaluated",
            (
                Work("gemm", 2.0 * num_samples * num_classes * work),
                Work("log", float(num_classes * work)),
            ),
            at_most=2.0,
        ),
        agreement=agreement,
        facts=facts,
        repeats=3,
    )


def work_of(log_probs: Tensor, batch_size: int, table: int) -> int:
    """Joint labelings × candidates that the greedy search evaluates."""
    greedy = BatchBALDGreedy(log_probs, table, seeded(0))
    for _ in range(batch_size):
        greedy.pick()
    return greedy.work


def information(log_probs: Tensor, picks: list[int], table: int) -> float:
    """I[Y_A; Ω] of a batch, nats, by ten times the samples."""
    chosen = log_probs[picks].double()
    conditional = torch.special.entr(chosen.exp()).sum(dim=-1).mean(dim=1).sum()
    return joint_entropy(chosen, 10 * table, seeded(9)) - float(conditional)


def epig(options: Options) -> Iterator[Case]:
    """EPIG against the two forms of its paper's code."""
    from al_bench.strategies.epig import EPIG

    num_points, num_targets, num_samples = (40, 5, 8) if options.quick else (2_000, 100, 100)
    view = random_pool(num_points, num_samples, 64, targets=num_targets)
    score = EPIG(num_targets=num_targets)
    probs, target_probs = view.tensors.log_probs.exp(), view.tensors.targets.exp()
    num_classes = probs.shape[2]
    pairs = float(num_points * num_targets * num_classes**2)

    def agreement(ours: Tensor, theirs: Mapping[str, Tensor]) -> dict[str, Facts]:
        return {
            name: {
                "largest_difference": float((ours - other.double()).abs().max()),
                "equal": bool(torch.allclose(ours, other.double(), atol=1e-4)),
            }
            for name, other in theirs.items()
        }

    def facts(ours: Tensor) -> Facts:
        return {"mean_nats": float(ours.mean()), "max_nats": float(ours.max())}

    yield Case(
        row="epig",
        name="EPIG",
        work=f"N {num_points:,}, T {num_targets}, K {num_samples}, C {num_classes}",
        ours=lambda: score.of_pool(view, None),
        peers=(
            Peer("broadcast form", lambda: epig_broadcast(probs, target_probs), 50.0),
            Peer("published matrix form", lambda: epig_matmul(probs, target_probs)),
        ),
        floor=Floor(
            "GEMM + log",
            (Work("gemm", 2.0 * num_samples * pairs), Work("log", pairs)),
            at_most=3.0,
        ),
        agreement=agreement,
        facts=facts,
    )


CASES: dict[str, Any] = {"batchbald": batchbald, "epig": epig}
