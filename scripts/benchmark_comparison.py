"""Time and peak memory of ``al-bench compare`` and ``al-bench plot`` on many stored runs.

    python scripts/benchmark_comparison.py --out comparison.json
    python scripts/benchmark_comparison.py --runs 40      # to try it

Makes a folder of runs with invented learning curves (half as many protocols as there are strategies
in each, five seeds, 30 rounds), runs the commands as a user would, each in its own process, and
says how long they took by the clock and how much memory they held (on Linux). Then the bootstrap
alone: how long 50,000 resamples of the curves of 10 strategies x 10 seeds x 30 rounds take.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_scoring import processor

from al_bench.results import parquet, schema
from al_bench.stats import aggregate
from al_bench.stats.paired import resampling_weights

SEEDS, ROUNDS, BATCH = 5, 30, 10
STRATEGIES = 50
COMMANDS = {
    "compare": ["compare"],
    "plot": ["plot"],
    "plot figure=ranks": ["plot", "figure=ranks"],
}
ENGINE = {
    "device": "cpu",
    "scoring_precision": "float32",
    "training_precision": "float32",
    "threads": 1,
    "chunk_bytes": 1,
    "torch_version": "2",
    "al_bench_version": "0",
    "numerics_version": schema.NUMERICS_VERSION,
}

# Memory as the process itself counts it: what the parent held when it forked is not part of that.
RUN = """
import sys, time
from al_bench.cli import main
status = main()
status_lines = open("/proc/self/status", encoding="utf-8")
peaks = [line.split()[1] for line in status_lines if line.startswith("VmHWM")]
print(f"{time.process_time()} {int(peaks[0]) // 1024}", file=sys.stderr)
sys.exit(status)
"""


def main() -> int:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args()
    content: dict[str, Any] = {"processor": processor(), "cores": os.cpu_count(), "commands": {}}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "results"
        made = make(root, asked.runs)
        content |= {"runs": made, "seeds": SEEDS, "rounds": ROUNDS}
        print(f"{made} runs x {SEEDS} seeds x {ROUNDS} rounds")
        for name, words in COMMANDS.items():
            out = [f"out={folder}/plots"] if words[0] == "plot" else []
            found = content["commands"][name] = command([*words, str(root), *out])
            print(f"al-bench {name}: {found['seconds']:.1f} s, {found['peak_mib']:,} MiB")
    content["bootstrap"] = bootstrap()
    for name, seconds in content["bootstrap"].items():
        print(f"50,000 resamples, {name}: {seconds:.2f} s")
    if asked.out:
        asked.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


def make(root: Path, num_runs: int) -> int:
    """Write runs with curves and acquisitions; how many."""
    generator = np.random.default_rng(0)
    per_protocol = min(STRATEGIES, num_runs)
    num_protocols = num_runs // per_protocol
    for p in range(num_protocols):
        names = {"dataset": f"data{p // 2}", "model": ("mc_dropout", "deep_ensemble")[p % 2]}
        skills = 0.02 * generator.standard_normal(per_protocol)
        for s in range(per_protocol):
            strategy = "random" if s == 0 else f"strategy{s:02d}"
            run_id = f"{p:04d}{s:08d}"
            folder = root / names["dataset"] / names["model"] / strategy / run_id
            for kind in ("curves", "acquisitions"):
                (folder / kind).mkdir(parents=True)
            for seed in range(SEEDS):
                given = names | {
                    "run_id": run_id,
                    "protocol_id": f"protocol{p:04d}",
                    "strategy": strategy,
                    "strategy_label": strategy,
                    "seed": seed,
                }
                write(folder, given, 0.0 if s == 0 else skills[s], generator)
    return num_protocols * per_protocol


def write(
    folder: Path,
    names: dict[str, Any],
    skill: float,
    generator: np.random.Generator,
    rounds: int = ROUNDS,
    footer: dict[str, str] | None = None,
) -> dict[str, Any]:
    """One trial: a rising curve and the points it bought; its columns of identity."""
    identity = {name: "synthetic" for name in schema.IDENTITY} | names
    noise = 0.01 * generator.standard_normal(rounds)
    accuracy = 0.9 - 0.6 * np.exp(-np.arange(rounds) / 10) + skill + noise
    rows = [
        identity
        | ENGINE
        | {
            "round": round,
            "num_labeled": 20 + BATCH * round,
            "num_queried": 20 + BATCH * round,
            "num_validation": 0,
            "steps": 100,
            "test_accuracy": float(accuracy[round]),
            "test_nll": float(2 * (1 - accuracy[round])),
        }
        for round in range(rounds)
    ]
    bought = [
        {
            "run_id": names["run_id"],
            "seed": names["seed"],
            "round": round,
            "rank": rank,
            "index": BATCH * round + rank,
            "source_index": BATCH * round + rank,
            "label": rank,
            "true_label": rank,
            "origin": "synthetic",
        }
        for round in range(rounds - 1)
        for rank in range(BATCH)
    ]
    name = f"seed={names['seed']}.parquet"
    curve = parquet.encode(schema.table(rows, schema.CURVE), footer or {})
    (folder / "curves" / name).write_bytes(curve)
    acquired = parquet.encode(schema.table(bought, schema.ACQUISITIONS), footer or {})
    (folder / "acquisitions" / name).write_bytes(acquired)
    return identity


def command(words: list[str]) -> dict[str, Any]:
    """Seconds by the clock and peak memory of one al-bench command in a process of its own."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"al-bench {' '.join(words)} failed: {done.stderr[-500:]}")
    cpu, peak = done.stderr.splitlines()[-1].split()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "cpu_seconds": float(cpu), "peak_mib": int(peak)}


def bootstrap() -> dict[str, float]:
    """Seconds of 50,000 resamples of 10 strategies x 10 seeds x 30 rounds, by the clock."""
    values = np.random.default_rng(0).random((10, 10, 30))  # (A, S, R)

    def curves() -> None:
        """Percentile intervals of every strategy's mean curve."""
        weights = resampling_weights(10, 50_000)
        for arm in values:
            np.quantile(weights @ arm, [0.025, 0.975], axis=0)

    def across(statistic: Callable[[Any, Any], Any]) -> Callable[[], Any]:
        scores = np.moveaxis(values, 2, 0)  # (P = R, A, S)
        return lambda: aggregate.bootstrap(scores, statistic, resamples=50_000)

    ways = {
        "mean curves": curves,
        "mean ranks, every round a protocol": across(aggregate.mean_ranks),
        "interquartile mean, likewise": across(
            lambda values, counts: aggregate.interquartile_mean(values[None], counts)
        ),
    }
    found = {}
    for name, run in ways.items():
        started = time.perf_counter()
        run()
        found[name] = time.perf_counter() - started
    return found


if __name__ == "__main__":
    sys.exit(main())
