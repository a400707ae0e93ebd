"""Time of BatchBALD's selection: which bounds spare the evaluation of candidates, interleaved.

    python scripts/benchmark_batchbald.py --data ~/data --points 20000 --out batchbald.json

Ways, under the same draws: ``merged`` (what al-bench runs: gains from earlier and gains given
merged outcomes bound the present ones), ``earlier`` (gains from earlier alone, in tables with more
than a tenth of the outcomes that fit, all candidates in smaller ones) and ``all`` (every candidate
at every pick; only with ``--all``, it takes a minute or more). The clock is the process's own CPU
time, on one thread. Exits with 1 when the ways don't pick the same points.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from benchmark_scoring import processor, ratio, spread
from strategy_benchmarks.inputs import trained_posterior
from torch import Tensor

from al_bench.checking.views import FakeView, seeded
from al_bench.information.entropies import mutual_information
from al_bench.information.joint import JointOutcomes
from al_bench.strategies.batchbald import BatchBALD

MAX_OUTCOMES = 10_000
SMALL_TABLE = 10  # a table this many times smaller than the largest is evaluated for all points


def greedy(log_probs: Tensor, batch_size: int, *, lazy: bool) -> list[int]:
    """BatchBALD's picks, by gains from earlier as bounds or by evaluating all candidates."""
    generator = seeded(0)
    order = torch.randperm(len(log_probs), generator=generator)
    bounds = mutual_information(log_probs)[order]
    outcomes = JointOutcomes.none(log_probs.shape[1])
    picks: list[int] = []
    while len(picks) < batch_size:
        if picks:
            evaluate(log_probs[order], outcomes, bounds, lazy=lazy)
        best = int(bounds.argmax())
        bounds[best] = -math.inf
        picks.append(int(order[best]))
        outcomes = outcomes.extended(log_probs[picks[-1]], MAX_OUTCOMES, generator)
    return picks


def evaluate(log_probs: Tensor, outcomes: JointOutcomes, bounds: Tensor, *, lazy: bool) -> None:
    """Put gains in the place of bounds, from the highest down; all unless ``lazy``."""
    queue = bounds.argsort(descending=True)[: int((bounds > -math.inf).sum())]
    lazy = lazy and len(outcomes.mass) * SMALL_TABLE > MAX_OUTCOMES
    best = -math.inf
    for block in torch.split(queue, outcomes.block_size(log_probs.shape[2])):
        if lazy and float(bounds[block[0]]) <= best:
            break
        bounds[block] = outcomes.gains(log_probs[block])
        best = max(best, float(bounds[block].max()))


def main() -> int:
    """Measure, print and write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=20_000, help="N")
    parser.add_argument("--samples", type=int, nargs="+", default=[20, 100], help="K")
    parser.add_argument("--labels", type=int, default=40, help="that the network is trained on")
    parser.add_argument("--picks", type=int, default=10, help="B")
    parser.add_argument("--repeats", type=int, default=3, help="of each way")
    parser.add_argument("--all", action="store_true", help="also evaluate every candidate")
    parser.add_argument("--data", type=Path, help="folder with MNIST; none: digits, enlarged")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    most = trained_posterior(asked.data, asked.labels, asked.points, max(asked.samples))
    report = {
        "processor": processor(),
        "torch": torch.__version__,
        "data": "digits, enlarged" if asked.data is None else "mnist",
        "points": asked.points,
        "labels": asked.labels,
        "picks": asked.picks,
        "samples": {},
    }
    equal = True
    for num_samples in asked.samples:
        result = measured(most[:, :num_samples].contiguous(), asked)
        report["samples"][num_samples] = result
        equal = equal and result["equal"]
        print(f"N = {asked.points:,}, K = {num_samples}: {json.dumps(result)}", flush=True)
    if asked.out:
        asked.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if equal else 1


def measured(log_probs: Tensor, asked: argparse.Namespace) -> dict[str, object]:
    """Seconds of every way, ratios of neighbors in time, and whether picks are equal."""
    selections = []

    def merged() -> list[int]:
        selections.append(BatchBALD().select(FakeView(log_probs), asked.picks, seeded(0)))
        return selections[-1].positions.tolist()

    ways: dict[str, Callable[[], list[int]]] = {
        "merged": merged,
        "earlier": lambda: greedy(log_probs, asked.picks, lazy=True),
    }
    if asked.all:
        ways["all"] = lambda: greedy(log_probs, asked.picks, lazy=False)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    picks = {}
    for _ in range(asked.repeats):
        for name, run in ways.items():
            started = time.process_time()
            picks[name] = run()
            seconds[name].append(time.process_time() - started)
    # Saturated batches end early and are filled up by other draws.
    scored = asked.picks - int(selections[0].notes.get("num_drawn", 0))
    return {
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "over_merged": {
            name: ratio(values, seconds["merged"])
            for name, values in seconds.items()
            if name != "merged"
        },
        "share_evaluated": selections[0].notes["share_evaluated"],
        "scored": scored,
        "equal": all(found[:scored] == picks["merged"][:scored] for found in picks.values()),
    }


if __name__ == "__main__":
    sys.exit(main())
