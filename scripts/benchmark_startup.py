"""Time until ``al-bench run`` takes its first step of training on digits, beside importing torch.

    python scripts/benchmark_startup.py --out results/reference/benchmarks/startup.json

Both are measured in processes of their own, in turns, after one that fills the disk's cache. The
clock tells what one waits for, processor time what it costs where other work disturbs the clock.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark_scoring import processor

TORCH = """
import sys, time
import torch
print(time.monotonic() - float(sys.argv[1]), time.process_time())
"""
RUN = """
import os, sys, time
from al_bench import cli
from al_bench.training import epochs

began, sys.argv = float(sys.argv[1]), ["al-bench", "run", *sys.argv[2:]]
take_step = epochs.take_step

def first_step(*given):
    take_step(*given)
    sys.__stdout__.write(f"\\n{time.monotonic() - began} {time.process_time()}\\n")
    sys.__stdout__.flush()
    os._exit(0)

epochs.take_step = first_step
cli.main()
"""
SIDES = {"importing torch": TORCH, "first step of al-bench run": RUN}
WANTED = 3.0  # seconds beyond importing torch


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args(arguments)
    content: dict[str, Any] = {"processor": processor(), "cores": os.cpu_count()}
    content["load"] = os.getloadavg()[0]
    found = content["seconds"] = measure(asked.repeats)
    print(f"{content['processor']}, {content['cores']} cores, load {content['load']:.1f}")
    for name, kinds in found.items():
        print(f"{name}: {spread(kinds['clock'])} s by the clock, {spread(kinds['cpu'])} s of CPU")
    for kind in ("clock", "cpu"):
        torch, run = (found[name][kind] for name in SIDES)
        beyond = [b - a for a, b in zip(torch, run, strict=True)]
        print(f"beyond importing torch, {kind}: {spread(beyond)} s, wanted below {WANTED}")
    if asked.out:
        asked.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(repeats: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each side in the order of measuring, by the clock and of processor time."""
    found: dict[str, dict[str, list[float]]] = {name: {"clock": [], "cpu": []} for name in SIDES}
    for turn in range(repeats + 1):
        for name in list(SIDES)[:: 1 if turn % 2 else -1]:
            with tempfile.TemporaryDirectory() as folder:
                words = [SIDES[name], str(time.monotonic()), "seeds=1"]
                done = subprocess.run(
                    [sys.executable, "-c", *words], capture_output=True, text=True, cwd=folder
                )
            if done.returncode:
                raise SystemExit(f"{name} failed: {done.stderr[-500:]}")
            if turn:  # the first fills the disk's cache
                clock, cpu = done.stdout.split()[-2:]
                found[name]["clock"].append(float(clock))
                found[name]["cpu"].append(float(cpu))
    return found


def spread(values: Sequence[float]) -> str:
    """Median, least and most."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


if __name__ == "__main__":
    sys.exit(main())
