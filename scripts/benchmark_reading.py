"""Time of ``al-bench status`` and ``al-bench compare`` on many run folders, beside another version.

    python scripts/benchmark_reading.py --against OTHER/.venv/bin/python --out reading.json
    python scripts/benchmark_reading.py --runs 40      # to try it, alone

Makes a folder of runs of one seed, with invented curves and all files that a run leaves, and reads
it as a user would, each time in a process of its own. With ``--against`` the Python of another
environment, in which another version of al-bench is installed, reads the same folder in between:
both go first equally often, and ratios are of neighbors in time. Processor time is what is
compared, since it is disturbed less by what else a machine does than the clock.
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
import yaml
from benchmark_comparison import RUN, STRATEGIES, write
from benchmark_scoring import processor

from al_bench.results import damage, settings

COMMANDS = ("status", "compare")
ROUNDS = 10
WANTED = 1.3  # times what the other version takes


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=6, help="times that each side reads")
    parser.add_argument("--against", type=Path, help="python of the other environment")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args(arguments)
    sides = {"here": Path(sys.executable)}
    if asked.against:
        sides["against"] = asked.against.absolute()  # a link to an interpreter is not resolved
    content: dict[str, Any] = {"processor": processor(), "cores": os.cpu_count()}
    content |= {"rounds": ROUNDS, "load": os.getloadavg()[0], "commands": {}}
    with tempfile.TemporaryDirectory() as folder:
        content["runs"] = make(Path(folder) / "results", asked.runs)
        print(f"{content['runs']} runs of one seed, {ROUNDS} rounds")
        for command in COMMANDS:
            found = content["commands"][command] = measure(command, folder, sides, asked.repeats)
            for line in sentences(command, found):
                print(line)
    if asked.out:
        asked.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


def make(root: Path, num_runs: int) -> int:
    """Write runs of one seed as a run leaves them; how many."""
    generator = np.random.default_rng(0)
    per_protocol = min(STRATEGIES, num_runs)
    for place in range(num_runs // per_protocol * per_protocol):
        protocol, arm = divmod(place, per_protocol)
        strategy = "random" if arm == 0 else f"strategy{arm:02d}"
        names = {
            "dataset": f"data{protocol // 2}",
            "model": ("mc_dropout", "deep_ensemble")[protocol % 2],
            "run_id": f"{protocol:04d}{arm:08d}",
            "protocol_id": f"protocol{protocol:04d}",
            "strategy": strategy,
            "strategy_label": strategy,
        }
        folder = root / names["dataset"] / names["model"] / strategy / names["run_id"]
        for kind in ("curves", "acquisitions", "manifests", "locks"):
            (folder / kind).mkdir(parents=True)
        config = {
            "dataset": {"_target_": "al_bench.data.digits.Digits", "name": names["dataset"]},
            "model": {"_target_": f"al_bench.models.{names['model']}", "num_samples": 20},
            "budget": {"init_size": 20, "batch_size": 10, "total": 20 + 10 * ROUNDS},
            "training": {"learning_rate": 0.001, "max_epochs": 100, "start": "cold"},
            "strategy": {"_target_": f"al_bench.strategies.{strategy}"},
            "seeds": 1,
            "results": "results",
        }
        text = yaml.safe_dump(config, sort_keys=False)
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        protocol_text = {"config": {k: config[k] for k in list(config)[:4]}, "fingerprint": "0"}
        footer = {
            "run_id": names["run_id"],
            "schema_version": "1",
            "config": json.dumps(config),
            "config_digest": settings.digest(text),
            "protocol": json.dumps(protocol_text),
        }
        skill = 0.0 if arm == 0 else 0.02 * generator.standard_normal()
        identity = write(folder, {**names, "seed": 0}, skill, generator, ROUNDS, footer)
        (folder / "locks" / "seed=0.lock").write_text(
            '{"host": "elsewhere", "pid": 1}', encoding="utf-8"
        )
        (folder / "manifests" / "seed=0.json").write_text(
            json.dumps(manifest(folder, identity)), encoding="utf-8"
        )
    return num_runs // per_protocol * per_protocol


def manifest(folder: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """That of a finished trial."""
    time = "2026-01-01T00:00:00Z"
    engine = {"device": "cpu", "scoring_precision": "float32", "training_precision": "float32"}
    hardware = {"system": "Linux", "cpu": "any", "cores": 2, "memory_bytes": 2**34, "gpus": []}
    return {
        "status": "done",
        "attempt": 1,
        **dict.fromkeys(("first_started", "started", "ended"), time),
        "rounds_at_start": 0,
        **identity,
        "init_strategy": None,
        **{"host": "elsewhere", "pid": 1, "command": "al-bench run", "engine": engine},
        **{"versions": {"python": "3.11", "torch": "2"}, "part_versions": {}, "own_code": {}},
        "configuration_id": identity["run_id"],
        "hardware": hardware,
        "code": {"package": {"commit": "0" * 40, "diff": None}},
        **{"rounds": ROUNDS, "num_labeled": 10 + 10 * ROUNDS, "reason": "budget"},
        "files": {
            name: damage.account((folder / name).read_bytes())
            for name in ("config.yaml", "curves/seed=0.parquet", "acquisitions/seed=0.parquet")
        },
    }


def measure(command: str, folder: str, sides: dict[str, Path], repeats: int) -> dict[str, Any]:
    """Processor seconds of each side, in the order of measuring, the first of each left out."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name in list(sides)[:: 1 if turn % 2 else -1]:
            words = [str(sides[name]), "-c", RUN, command, "results"]
            done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
            if done.returncode:
                raise SystemExit(f"al-bench {command} failed: {done.stderr[-500:]}")
            if turn:  # the first fills the disk's cache
                found[name].append(float(done.stderr.splitlines()[-1].split()[0]))
    return {"cpu_seconds": found}


def sentences(command: str, found: dict[str, Any]) -> list[str]:
    """What was measured of a command, in lines."""
    seconds = found["cpu_seconds"]
    lines = [f"al-bench {command}, {name}: {spread(own)} s" for name, own in seconds.items()]
    if "against" in seconds:
        ratios = [a / b for a, b in zip(seconds["here"], seconds["against"], strict=True)]
        lines.append(
            f"al-bench {command}: {spread(ratios)} times the other's, wanted at most {WANTED}"
        )
    return lines


def spread(values: Sequence[float]) -> str:
    """Median, least and most."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


if __name__ == "__main__":
    sys.exit(main())
