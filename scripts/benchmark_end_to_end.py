"""One active-learning run by al-bench, by baal and by batchbald_redux, as whole processes.

    python scripts/benchmark_end_to_end.py --root FOLDER [--samples 20] [--repeats 2] [--out FILE]

The folder holds MNIST as torchvision keeps it. Every side starts with two labels a class out of
10,000 points and does three rounds: 160 steps of 64 points with the network of BatchBALD, 10,000
test images predicted with K dropout samples, the pool scored with K samples and ten labels bought
by BatchBALD (not in the last round). ``scripts/peers`` says how each side does it; al-bench is
called by its command line. Sides run in turns, each on one thread; told are their processor time,
time by the clock and highest memory, start-up included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from benchmark_scoring import processor, ratio, spread

SCRIPTS = Path(__file__).parent
OURS = "al-bench"
PEERS = {"baal": "with_baal", "batchbald_redux": "with_batchbald_redux"}
KINDS = {"cpu": "CPU seconds", "clock": "seconds by the clock", "mebibytes": "MiB at most"}
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was measured; 1 where a peer is not installed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder that holds MNIST")
    parser.add_argument("--samples", type=int, default=20, help="posterior samples K")
    parser.add_argument("--pool", type=int, default=10_000, help="points drawn from MNIST")
    parser.add_argument("--rounds", type=int, default=3, help="trainings of each run")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each side")
    parser.add_argument("--only", nargs="+", choices=[OURS, *PEERS], default=[OURS, *PEERS])
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args(arguments)
    missing = [name for name in asked.only if find_spec(name.replace("-", "_")) is None]
    if missing:
        print(f"{', '.join(missing)}: not installed. Try: pip install -e '.[peers]'")
        return 1
    content: dict[str, Any] = {
        "processor": processor(),
        "versions": versions("torch", "numpy", *asked.only),
        "work": {name: getattr(asked, name) for name in ("samples", "pool", "rounds", "repeats")},
        "load": [os.getloadavg()[0]],
        "sides": {name: {kind: [] for kind in (*KINDS, "rounds")} for name in asked.only},
    }
    for turn in range(asked.repeats):
        for name in asked.only[:: 1 if turn % 2 == 0 else -1]:
            for kind, value in measured(name, asked, seed=turn).items():
                content["sides"][name][kind].append(value)
            print(
                f"{name}, run {turn + 1}: {content['sides'][name]['cpu'][-1]:.1f} CPU seconds",
                flush=True,
            )
            content["load"].append(os.getloadavg()[0])
            if asked.out:  # after every run: some take a quarter of an hour
                asked.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table(content))
    return 0


def versions(*names: str) -> dict[str, str]:
    """Installed versions, as far as they are known."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def measured(name: str, asked: argparse.Namespace, seed: int) -> dict[str, Any]:
    """What one run of a side took, and what it says of its rounds.

    Raises:
        SystemExit: The side failed.
    """
    words = [f"--{key}={getattr(asked, key)}" for key in ("root", "samples", "pool", "rounds")]
    with tempfile.TemporaryDirectory() as folder:
        called = ["al_bench", "run", *typed(asked, seed, folder)]
        if name in PEERS:
            called = [f"peers.{PEERS[name]}", *words, f"--seed={seed}"]
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        started = time.perf_counter()
        with output.open("w") as out, errors.open("w") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", *called],
                stdout=out,
                stderr=err,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(SCRIPTS)},
            )
            _, status, usage = os.wait4(process.pid, 0)
        clock = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said = output.read_text(encoding="utf-8") + errors.read_text(encoding="utf-8")
            raise SystemExit(f"{name} failed with {process.returncode}: {said[-2000:]}")
        rounds = of_al_bench(Path(folder)) if name == OURS else last_line(output)
    return {
        "cpu": usage.ru_utime + usage.ru_stime,
        "clock": clock,
        "mebibytes": usage.ru_maxrss / 1024,  # Linux counts kibibytes
        "rounds": rounds,
    }


def typed(asked: argparse.Namespace, seed: int, folder: str) -> list[str]:
    """The same work for al-bench: its default recipe is 160 steps of 64 points."""
    return [
        *("dataset=mnist", f"dataset.root={asked.root}"),
        *("pool=subset", f"pool.subset.size={asked.pool}"),
        *("model=mc_dropout", "model/network=batchbald_cnn", f"model.num_samples={asked.samples}"),
        *("strategy=batchbald", "budget.init_size=null", "budget.init_per_class=2"),
        *("budget.batch_size=10", f"budget.total={20 + 10 * (asked.rounds - 1)}"),
        *("device=cpu", "threads=1", f"seeds=[{seed}]", f"results={folder}/results"),
    ]


def of_al_bench(folder: Path) -> list[dict[str, float]]:
    """A row a round: labels, accuracy and negative log-likelihood."""
    (path,) = folder.glob("results/*/*/*/*/curves/*.parquet")
    curve = pd.read_parquet(path, columns=["num_labeled", "test_accuracy", "test_nll"])
    curve.columns = ["num_labeled", "accuracy", "nll"]
    return curve.to_dict("records")


def last_line(output: Path) -> list[dict[str, float]]:
    """What a peer told of its rounds."""
    return json.loads(output.read_text(encoding="utf-8").splitlines()[-1])


def table(content: dict[str, Any]) -> str:
    """The sides beside each other; ratios are of neighbors in time."""
    sides, samples = content["sides"], content["work"]["samples"]
    lines = [
        f"K = {samples}, {content['processor']['name']}, load {max(content['load']):.1f}",
        "| side | " + " | ".join(KINDS.values()) + " | al-bench takes less CPU time by | "
        "accuracy by round |",
        "| --- " * (len(KINDS) + 3) + "|",
    ]
    for name, found in sides.items():
        cells = [shown(spread(found[kind])) for kind in KINDS]
        faster = "–"
        if OURS in sides and name != OURS:
            faster = f"{shown(ratio(found['cpu'], sides[OURS]['cpu']), '×')}"
        accuracies = "; ".join(
            ", ".join(f"{row['accuracy']:.3f}" for row in rounds) for rounds in found["rounds"]
        )
        lines.append(f"| {name} | {' | '.join(cells)} | {faster} | {accuracies} |")
    return "\n".join(lines)


def shown(found: dict[str, float], unit: str = "") -> str:
    """Median, least and most."""
    middle, least, most = (
        f"{found[kind]:,.3g}" if found[kind] < 100 else f"{found[kind]:,.0f}"
        for kind in ("median", "min", "max")
    )
    return f"{middle}{unit} [{least}, {most}]"


if __name__ == "__main__":
    sys.exit(main())
