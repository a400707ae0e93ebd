"""Memory and time of choosing 1,000 points of a large pool, a process for each strategy.

    python scripts/benchmark_large_pools.py [--points 1000000] [--only bald,coreset] [--out FILE]

The pool is made here: points of 512 features in float32 of 100 classes; the model is a network of
one hidden layer with K = 20 dropout samples, barely trained. Each strategy does two rounds of
``al-bench run`` with one batch between them. Memory is the highest of the process beside the pool
itself, time is that of scoring and selecting as the round's row has it, by the clock. Exits with 1
where a process takes more than 4 GiB beside the pool.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmark_scoring import processor

FEATURES, CLASSES, SAMPLES, TEST, BATCH = 512, 100, 20, 500, 1_000
GIB, WANTED = 2**30, 4.0
STRATEGIES: dict[str, tuple[str, ...]] = {
    "random": (),
    "entropy": (),
    "margin": (),
    "bald": (),
    "powerbald": (),
    "powermargin": (),
    "softrankentropy": (),
    "badge": (),
    "coreset": (),
    "kmeans_pp": (),
    "lcmd": (),
    "batchbald of 10,000": ("strategy=subsample", "strategy@strategy.of=batchbald"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1_000_000, help="N")
    parser.add_argument("--only", help="names of strategies, with commas between them")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args(arguments)
    names = asked.only.split(",") if asked.only else list(STRATEGIES)
    content: dict[str, Any] = {"processor": processor(), "points": asked.points, "rows": []}
    content |= {"features": FEATURES, "classes": CLASSES, "samples": SAMPLES, "batch": BATCH}
    print("| strategy | GiB beside the pool | score, seconds | select, seconds |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), asked.points)
        for name in names:
            row = measured(name, Path(folder), asked.points)
            content["rows"].append(row)
            cells = [f"{row[key]:.1f}" for key in ("gibibytes", "score", "select")]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
            if asked.out:
                asked.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return int(any(row["gibibytes"] > WANTED for row in content["rows"]))


def make(folder: Path, points: int) -> None:
    """Write the data set: a cloud of points around the center of each class."""
    generator = np.random.default_rng(0)
    centers = generator.standard_normal((CLASSES, FEATURES), dtype=np.float32)
    arrays = {}
    for part, size in (("train", points), ("test", TEST)):
        labels = np.arange(size, dtype=np.int64) % CLASSES
        values = generator.standard_normal((size, FEATURES), dtype=np.float32)
        values *= 4.0
        for begin in range(0, size, 10_000):
            values[begin : begin + 10_000] += centers[labels[begin : begin + 10_000]]
        arrays |= {f"x_{part}": values, f"y_{part}": labels}
    np.savez(folder / "large.npz", **arrays)


def measured(name: str, folder: Path, points: int) -> dict[str, Any]:
    """One strategy: GiB beside the pool, and seconds of its round.

    Raises:
        SystemExit: The run failed.
    """
    results = f"results-{name.replace(' ', '-')}"
    words = [
        "dataset=arrays",
        "dataset.path=large.npz",
        *(STRATEGIES[name] or (f"strategy={name}",)),
    ]
    words += ["model=mc_dropout", "model/network=mlp", "model.network.hidden=[512]"]
    words += [f"model.num_samples={SAMPLES}", "training.max_epochs=1", "training.epoch_size=512"]
    words += ["budget.init_size=200", f"budget.batch_size={BATCH}", f"budget.total={200 + BATCH}"]
    words += ["seeds=1", "device=cpu", "threads=1", f"results={results}"]
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "al_bench", "run", *words],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = (folder / "output").read_text(encoding="utf-8")
        raise SystemExit(f"{name} failed: {said[-2000:]}")
    (path,) = folder.glob(f"{results}/*/*/*/*/curves/*.parquet")
    first = pd.read_parquet(path).iloc[0]
    return {
        "strategy": name,
        "gibibytes": usage.ru_maxrss * 1024 / GIB - points * FEATURES * 4 / GIB,
        "score": float(first["seconds_score"]),
        "select": float(first["seconds_select"]),
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
    }


if __name__ == "__main__":
    sys.exit(main())
