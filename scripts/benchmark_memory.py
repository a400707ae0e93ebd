"""Memory of one process that does 1, 2 and 4 runs on a data set of 200 MB: it is held once.

    python scripts/benchmark_memory.py --out results/reference/benchmarks/memory.json

Each number of runs has a process of its own, in turns. Told are resident memory while networks are
trained, the most of all steps, and the highest of the whole process, reading the file included.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_scoring import processor

RUN = """
import sys
from al_bench import cli
from al_bench.training import epochs

take_step, most = epochs.take_step, 0

def watched(*given):
    global most
    with open("/proc/self/statm") as statm:
        most = max(most, int(statm.read().split()[1]) * 4096)
    return take_step(*given)

def highest():
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

epochs.take_step = watched
code = cli.main()
print(most, highest(), file=sys.__stdout__)
sys.exit(code)
"""
POINTS, FEATURES, TEST = 50_000, 1_000, 500  # 200 MB of float32
MIB = 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args(arguments)
    content: dict[str, Any] = {"processor": processor(), "cores": os.cpu_count()}
    content["megabytes_of_data"] = asked.points * FEATURES * 4 / 1e6
    found: dict[int, dict[str, list[float]]] = {n: {"training": [], "most": []} for n in asked.runs}
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "large.npz", asked.points)
        for turn in range(asked.repeats):
            for number in asked.runs[:: 1 if turn % 2 else -1]:
                training, most = measure(folder, number, f"results{turn}-{number}")
                found[number]["training"].append(training / MIB)
                found[number]["most"].append(most / MIB)
    content["mebibytes"] = {str(number): kinds for number, kinds in found.items()}
    print(f"{content['processor']['name']}, {content['megabytes_of_data']:.0f} MB of data")
    for number, kinds in found.items():
        print(
            f"{number} run(s): {spread(kinds['training'])} MiB while training, "
            f"{spread(kinds['most'])} MiB at most"
        )
    if asked.out:
        asked.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


def make(path: Path, points: int) -> None:
    """Write a data set of two classes."""
    generator = np.random.default_rng(0)
    parts = {
        name: generator.standard_normal((size, FEATURES), dtype=np.float32)
        for name, size in (("x_train", points), ("x_test", TEST))
    }
    labels = {name.replace("x", "y"): (x[:, 0] > 0).astype(np.int64) for name, x in parts.items()}
    np.savez(path, **parts, **labels)


def measure(folder: str, number: int, results: str) -> tuple[int, int]:
    """Resident bytes of a sweep of so many runs: while it trains, and at most."""
    rates = ",".join(f"0.00{rate}" for rate in range(1, number + 1))
    words = ["run", "-m", "dataset=arrays", "dataset.path=large.npz", "strategy=random"]
    words += ["model=deterministic", "model.network.hidden=[16]", "seeds=2", f"results={results}"]
    words += ["training.max_epochs=1", "training.epoch_size=512", "budget.total=40"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words, f"training.learning_rate={rates}"],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    if done.returncode:
        raise SystemExit(f"{number} runs failed: {done.stderr[-500:]}{done.stdout[-500:]}")
    training, most = done.stdout.split()[-2:]
    return int(training), int(most)


def spread(values: Sequence[float]) -> str:
    """Median, least and most."""
    return f"{statistics.median(values):.0f} [{min(values):.0f}, {max(values):.0f}]"


if __name__ == "__main__":
    sys.exit(main())
