"""Where a round's time goes: fit, evaluate, score and select, each beside its arithmetic floor.

The floor of a phase is the number of operations that its matrix products and convolutions take at
the least, divided by the rate of a large matrix product measured in the same process at the same
precision. Phases and the matrix product are timed in turn, several times; medians are printed.

    python scripts/benchmark_round.py [--root FOLDER] [--samples 20] [--repeats 5] [--out FILE]
    python scripts/benchmark_round.py --root FOLDER --device cuda --pool 60000

With ``--root`` (a folder that holds MNIST) the rounds are those of the BatchBALD protocol, with
``--pool`` points before labeled and validation points leave it; without it those of digits, which
need no files. The clock is the process's own CPU time, on a GPU the wall's.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

from al_bench.engine import PRECISIONS, device_name
from al_bench.models.base import NetworkModel
from al_bench.rounds.active_learning import ActiveLearningTrial
from al_bench.rounds.evaluation import evaluate, validate
from al_bench.running import notebook
from al_bench.training.trainer import fit_one

MNIST = (  # as experiment=batchbald/mnist has it, which is a sweep over strategies
    "dataset=mnist",
    "pool=subset",
    "model=mc_dropout",
    "model/network=batchbald_cnn",
    "training=batchbald",
    "budget=batchbald_mnist",
    "budget.total=200",
    "training.max_epochs=2",
    "training.monitor=null",
    "training.patience=null",
)
PHASES = ("fit", "evaluate", "score", "select")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, help="folder that holds MNIST; none: digits")
    parser.add_argument("--samples", type=int, default=20, help="posterior samples K")
    parser.add_argument("--pool", type=int, default=4000, help="points drawn from MNIST")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    asked = parser.parse_args()
    overrides = ["strategy=batchbald", "seeds=1", f"model.num_samples={asked.samples}"]
    overrides += [f"device={asked.device}"]
    if asked.root:
        overrides += [*MNIST, f"dataset.root={asked.root}", f"pool.subset.size={asked.pool}"]
    (trial,) = notebook.trials(*overrides)
    device = trial.engine.device
    scoring = PRECISIONS[trial.engine.scoring_precision]
    run_phases(trial)  # warm-up
    timed: dict[str, list[float]] = {name: [] for name in (*PHASES, "gemm")}
    for _ in range(asked.repeats):
        for name, seconds in run_phases(trial).items():
            timed[name].append(seconds)
        timed["gemm"].append(gemm_rate(scoring, device))
    rate = statistics.median(timed["gemm"])
    floors = {name: count / rate for name, count in flops(trial).items()}
    report(trial, timed, rate, floors, asked.out)


def run_phases(trial: ActiveLearningTrial) -> dict[str, float]:
    """Seconds of one round's phases; the trial stays where it is."""
    device = trial.engine.device
    seconds = {}
    started = now_on(device)

    def lap(name: str) -> None:
        nonlocal started
        now = now_on(device)
        seconds[name], started = now - started, now

    fitted = fit_one(trial)
    lap("fit")
    evaluate(fitted.posterior, trial, validate(fitted.posterior, trial))
    lap("evaluate")
    view = trial.view(fitted.posterior, trial.run.strategy)
    view.log_probs()
    lap("score")
    generator = trial.streams.generator("select")
    trial.run.strategy.select(view, trial.run.budget.batch_size, generator)
    lap("select")
    return seconds


def now_on(device: torch.device) -> float:
    """Seconds of this process's CPU time, or by the wall once a GPU has done what it was given."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def gemm_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations a second of one large matrix product, on a CPU of one process."""
    size = 1024 if device.type == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    a @ b  # not timed: it sets a GPU's libraries up
    started = now_on(device)
    for _ in range(4):
        a @ b
    return 4 * 2 * size**3 / (now_on(device) - started)


def flops(trial: ActiveLearningTrial) -> dict[str, float]:
    """Least operations of each phase; selection has no floor of this kind.

    A posterior sample keeps about half of the units on either side of a layer. The layer after the
    first mask is linear in it: its products are needed once a point, a sample only adds them up.
    """
    prefix, body = layer_flops(trial)
    recipe = trial.recipe
    points = recipe.max_epochs * (recipe.epoch_size or len(trial.labeled))
    # Forward and backward: two products for the gradients beside the forward one.
    step = 3 * (prefix + sum(count for count, _ in body))
    (first, taps), *rest = body
    once = prefix + (first if taps > 1 else 0.0)
    a_sample = 0.25 * (first / taps + sum(count for count, _ in rest))
    a_point = once + trial.model.num_samples * a_sample
    return {
        "fit": step * points,
        "evaluate": a_point * (len(trial.test) + len(trial.validation)),
        "score": a_point * len(trial.available()),
    }


def layer_flops(trial: ActiveLearningTrial) -> tuple[float, list[tuple[float, int]]]:
    """Operations of one forward pass of one point, before and after the first dropout layer.

    After it: a pair a layer, its operations and the taps of its kernel (1 for a dense layer).
    """
    shape = trial.pool.inputs.input_shape
    assert isinstance(trial.model, NetworkModel)
    network = trial.model.build(shape, trial.num_classes).eval()
    counts: list[tuple[float, int]] = []

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        conv = isinstance(module, nn.Conv2d)
        positions = output[0, 0].numel() if conv else 1
        taps = module.weight[0, 0].numel() if conv else 1
        counts.append((2.0 * module.weight.numel() * positions, taps))

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    with torch.inference_mode():
        hidden = network.prefix(torch.zeros(1, *shape))
        before = len(counts)
        network.output(network.body(hidden))
    for hook in hooks:
        hook.remove()
    return sum(found for found, _ in counts[:before]), counts[before:]


def report(
    trial: ActiveLearningTrial,
    timed: dict[str, list[float]],
    rate: float,
    floors: dict[str, float],
    out: Path | None,
) -> None:
    """Print the table and write the numbers."""
    identity = trial.run.identity
    print(
        f"{device_name(trial.engine.device)}, torch {torch.__version__}, "
        f"{trial.engine.threads} thread; {identity.task}, {identity.network}, "
        f"K = {trial.model.num_samples}, pool {len(trial.available()):,}, "
        f"test {len(trial.test):,}; {len(timed['gemm'])} rounds\n"
        f"matrix product {rate / 1e9:.0f} GFLOP/s {trial.engine.scoring_precision}\n"
    )
    clock = "CPU seconds" if trial.engine.device.type == "cpu" else "seconds"
    print(f"| phase | {clock}, median (min–max) | share | floor, seconds | ratio to floor |")
    print("| --- | --- | --- | --- | --- |")
    medians = {name: statistics.median(timed[name]) for name in PHASES}
    total = sum(medians.values())
    rows = {}
    for name in PHASES:
        spread = f"{medians[name]:.2f} ({min(timed[name]):.2f}–{max(timed[name]):.2f})"
        floor = floors.get(name)
        ratio = f"{medians[name] / floor:.1f}" if floor else "–"
        shown = f"{floor:.2f}" if floor else "–"
        print(f"| {name} | {spread} | {medians[name] / total:.0%} | {shown} | {ratio} |")
        rows[name] = {"seconds": timed[name], "floor_seconds": floor}
    if out:
        content = {
            "processor": device_name(trial.engine.device),
            "torch": torch.__version__,
            "python": sys.version.split()[0],
            "gemm_flops_per_second": timed["gemm"],
            "phases": rows,
        }
        out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
