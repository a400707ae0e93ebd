"""Steps a second of training one by one and in packs of several widths, and the time of fits.

Each repeat trains some trials one by one, then as many as a pack has places in packs of every
width, so that ratios are of neighbors in time. On a GPU, where a step of a pack is a CUDA graph, it
trains packs without graphs too. Images are noise of the size of MNIST's, whose values decide
nothing here.

    python scripts/benchmark_engine.py [--device cpu] [--widths 2 4 8] [--repeats 3] [--out FILE]

The clock is the process's own CPU time, on a GPU the wall's.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from benchmark_round import now_on
from benchmark_scoring import ratio, spread

from al_bench.engine import device_name
from al_bench.rounds.trial import Trial
from al_bench.running import notebook
from al_bench.training.packed import PackedTrainer
from al_bench.training.trainer import SequentialTrainer, Trainer

NETWORKS = {  # words, and steps of a fit
    "linear": (("model/network=mlp", "model.network.hidden=[]"), 32),
    "mlp": (("model/network=mlp", "model.network.hidden=[128]"), 8),
    "batchbald_cnn": (("model/network=batchbald_cnn",), 2),
}
WIDTHS = (2, 4, 8, 16, 32, 64)
WIDTH, FITS = 16, (1, 32)  # of packs, in which so many trials are fitted
BATCH = 64


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="places of a pack")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--repeats", type=int, default=3, help="timed rounds")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "noise.npz")
        draw_noise(path)
        for name in asked.networks:
            found[name] = measure(name, path, asked.device, asked.widths, asked.repeats)
    report(found, asked.device, asked.repeats, asked.out)


def draw_noise(path: Path) -> None:
    """Write a data set of 400 images of ten classes."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 255, (400, 1, 28, 28)).astype(np.uint8)
    labels = np.arange(400) % 10
    np.savez(path, x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])


def measure(
    name: str, path: Path, device: str, widths: Sequence[int], repeats: int
) -> dict[str, Any]:
    """Seconds of fits of one network: one by one, by the width of packs, and of some trials."""
    words, steps = NETWORKS[name]
    words = (
        *("dataset=arrays", f"dataset.path={path}", "model=deterministic", "strategy=random"),
        *("training.max_epochs=1", f"training.epoch_size={steps * BATCH}"),
        *(f"training.batch_size={BATCH}", "budget.init_size=20", "budget.total=20"),
        *(f"device={device}", *words),
    )

    made: dict[tuple[int, int | None], list[Trial]] = {}

    def fit(count: int, width: int | None) -> float:
        """Seconds of fitting so many trials, which stay at their beginning."""
        if (count, width) not in made:
            packs = [] if width is None else [f"pack_width={width}"]
            made[count, width] = notebook.trials(*words, *packs, f"seeds={count}")
        trainer = SequentialTrainer() if width is None else PackedTrainer()
        return seconds_of(made[count, width], trainer)

    few = 4
    fit(few, None), fit(few, min(widths))  # libraries are loaded
    single: list[float] = []
    packed: dict[int, list[float]] = {width: [] for width in widths}
    without_graphs: dict[int, list[float]] = {} if device == "cpu" else {w: [] for w in widths}
    several: dict[str, dict[int, list[float]]] = {
        how: {count: [] for count in FITS} for how in ("one by one", "in packs")
    }
    for _ in range(repeats):
        single.append(fit(few, None) / few / steps)
        for width in widths:
            packed[width].append(fit(width, width) / width / steps)
        for width, seconds in without_graphs.items():
            with patch("al_bench.training.packs.captured", lambda compute, changed: None):
                seconds.append(fit(width, width) / width / steps)
        for count in FITS:
            several["one by one"][count].append(fit(count, None))
            several["in packs"][count].append(fit(count, WIDTH))
    return {
        "steps": steps,
        "single": single,
        "packed": packed,
        "without_graphs": without_graphs,
        "fits": several,
    }


def seconds_of(trials: Sequence[Trial], trainer: Trainer) -> float:
    """Seconds of fitting these trials once."""
    device = trials[0].engine.device
    started = now_on(device)
    for _, fitted in trainer.fit(trials):
        if isinstance(fitted, Exception):
            raise fitted
    return now_on(device) - started


def report(found: dict[str, Any], device: str, repeats: int, out: Path | None) -> None:
    """Print the tables and write the numbers."""
    name = device_name(torch.device(device))
    clock = "CPU seconds" if device == "cpu" else "seconds"
    print(f"{name}, torch {torch.__version__}, one thread; {repeats} repeats, batches of {BATCH}\n")
    print("| network | width | steps a second, median (min–max) | faster than one by one |")
    print("| --- | --- | --- | --- |")
    for network, numbers in found.items():
        single = numbers["single"]
        print(f"| {network} | one by one | {_rates(single)} | |")
        for width, seconds in numbers["packed"].items():
            print(f"| | {width} | {_rates(seconds)} | {_times(single, seconds)} |")
        for width, seconds in numbers["without_graphs"].items():
            print(f"| | {width}, no graph | {_rates(seconds)} | {_times(single, seconds)} |")
    print(f"\n| network | trials | one by one, {clock} | in packs of {WIDTH} | faster by |")
    print("| --- | --- | --- | --- | --- |")
    for network, numbers in found.items():
        for count in FITS:
            slow, fast = (numbers["fits"][how][count] for how in ("one by one", "in packs"))
            ends = f"{_seconds(slow)} | {_seconds(fast)} | {_times(slow, fast)}"
            print(f"| {network} | {count} | {ends} |")
    if out:
        content = {
            "processor": name,
            "torch": torch.__version__,
            "python": sys.version.split()[0],
            "networks": found,
        }
        out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _rates(seconds: list[float]) -> str:
    found = spread([1.0 / one for one in seconds])
    return f"{found['median']:.0f} ({found['min']:.0f}–{found['max']:.0f})"


def _seconds(seconds: list[float]) -> str:
    found = spread(seconds)
    return f"{found['median']:.2f} ({found['min']:.2f}–{found['max']:.2f})"


def _times(slow: list[float], fast: list[float]) -> str:
    found = ratio(slow, fast)
    return f"{found['median']:.2f}× ({found['min']:.2f}–{found['max']:.2f})"


if __name__ == "__main__":
    main()
