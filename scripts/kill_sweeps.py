"""Kills sweeps at random moments, starts them again, and compares them with one that nobody killed.

    python scripts/kill_sweeps.py --out results/reference/scale/killed_sweeps.json
    python scripts/kill_sweeps.py --engines joblib --kills 2 --first-seed 7   # one, another draw

A sweep of 200 short trials (8 runs of 25 seeds) goes through joblib, Ray and submitit_local. At
random moments, also while it still starts up, a victim gets ``kill -9``: the command itself, one
that trains, or one of Ray's own. When the command has ended, it is typed again. What must hold:

- what a start has committed is never computed again: its measured seconds stay as they were;
- the command ends, and so do the processes that train, on joblib and Ray within 60 seconds;
- submitit's jobs go on without the command. The next start does last what they hold, names their
  processes and ends with 1; one more, once they have ended, finds every trial done;
- in the end every trial is done once, and curves and purchases are those of the basic launcher.

Linux only: processes are found in ``/proc`` by a mark in their environment, and only those that
bear it are ended.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from benchmark_scoring import processor

from al_bench.results.frame import read_acquisitions, read_curves
from al_bench.results.schema import MEASURED

MARK = "AL_BENCH_KILL_SWEEPS"
SWEEP = (
    "strategy=random,entropy,margin,least_confidence",
    "training.start=cold,warm",
    "seeds=25",
    "model=deterministic",
    "model/network=mlp",
    "model.network.hidden=[16]",
    "training.max_epochs=2",
    "training.epoch_size=512",
    "budget.init_size=20",
    "budget.batch_size=10",
    "budget.total=50",
)
RUNS, TRIALS, ROUNDS = 8, 200, 4
# Ray gives its agents 15 seconds to come up, which a machine with other work may not keep.
PATIENCE = {"RAY_agent_register_timeout_ms": "120000", "RAY_raylet_start_wait_time_s": "150"}
PATIENCE |= {"RAY_worker_niceness": "0"}  # nor are its jobs to come last there
TRIES = 5  # of a start that fails since Ray does not come up in its half minute
SECONDS_TO_GO = 60  # for those that train, once their command has been killed
SECONDS_TO_END = 1800  # for a command: afterwards it hangs
OF_RAY = ("/ray/core/", "/ray/_private/", "/ray/dashboard/", "/ray/autoscaler/", "ray::IDLE")


@dataclass(frozen=True)
class Engine:
    """How a sweep is launched, and who gets killed.

    Args:
        words: What is typed for it.
        packages: Whose versions are told.
        victims: Turn by turn.
        waits: Whether jobs end with the command.
    """

    words: tuple[str, ...]
    packages: tuple[str, ...]
    victims: tuple[str, ...]
    waits: bool = True


ENGINES = {
    "joblib": Engine(
        ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
        ("hydra-joblib-launcher", "joblib"),
        ("parent", "worker"),
    ),
    "ray": Engine(
        (
            "hydra/launcher=ray",
            "+hydra.launcher.ray.init.num_cpus=2",
            "+hydra.launcher.ray.init.include_dashboard=false",
        ),
        ("hydra-ray-launcher", "ray"),
        ("parent", "worker", "raylet", "gcs_server"),
    ),
    "submitit_local": Engine(
        ("hydra/launcher=submitit_local",),
        ("hydra-submitit-launcher", "submitit"),
        ("parent", "worker"),
        waits=False,
    ),
}


@dataclass(frozen=True)
class Process:
    """A process of this harness.

    Args:
        pid: Its number.
        command: Its command line, or the title that it has given itself.
        memory: Resident bytes.
    """

    pid: int
    command: str
    memory: int

    @property
    def of_ray(self) -> bool:
        """Whether Ray needs it for itself."""
        is_agent = self.command.startswith("ray::") and "Agent" in self.command
        return is_agent or any(part in self.command for part in OF_RAY)

    @property
    def trains(self) -> bool:
        """Whether it does jobs."""
        helps = ("resource_tracker", "submitit.local", " run -m ")
        return not self.of_ray and not any(part in self.command for part in helps)


class Broken(Exception):
    """What must hold does not."""


def marked(token: str) -> list[Process]:
    """The processes that were started under a mark and live."""
    found = []
    wanted = f"{MARK}={token}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            pages = int((folder / "statm").read_text(encoding="utf-8").split()[1])
            found.append(Process(int(folder.name), command.strip(), pages * 4096))
    return found


class Sweep:
    """The sweep in a folder of results, started as often as it takes.

    Args:
        folder: Where results and logs go.
        engine: What launches it; ``None`` is the basic launcher.
        generator: Draws moments and victims.
        say: Hears how it goes.
    """

    def __init__(
        self,
        folder: Path,
        engine: Engine | None,
        generator: random.Random,
        say: Callable[[str], None],
    ) -> None:
        self.results = folder / "results"
        self.token = uuid.uuid4().hex
        self.starts: list[dict[str, Any]] = []
        self.most_memory = 0  # bytes of a process that trains
        self._folder = folder
        self._engine = engine
        self._random = generator
        self._say = say
        self._kept: dict[tuple[str, int], tuple[Any, ...]] = {}
        folder.mkdir(exist_ok=engine is None)  # the basic one is done once

    @contextlib.contextmanager
    def ending(self) -> Iterator["Sweep"]:
        """Leave no process behind, however it ends."""
        try:
            yield self
        finally:
            end(marked(self.token))

    def start(self, victims: Sequence[str] = ()) -> dict[str, Any]:
        """Type the command, kill victims at random moments, and wait for what must end.

        Args:
            victims: ``parent``, ``worker`` or one of Ray's own, in turn while the command lives.
        """
        words = [*SWEEP, f"results={self.results}", *(self._engine.words if self._engine else ())]
        log = self._folder / f"start-{len(self.starts)}.log"
        environment = {**PATIENCE, **os.environ, MARK: self.token, "OMP_NUM_THREADS": "1"}
        before = {process.pid for process in marked(self.token)}
        entry: dict[str, Any] = {"rounds_before": len(self._committed())}
        with log.open("w", encoding="utf-8") as output:
            parent = subprocess.Popen(
                [sys.executable, "-m", "al_bench", "run", "-m", *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        entry["kills"] = []
        for victim in victims:
            if killed := self._kill(parent, victim, before):
                entry["kills"].append(killed)
                if victim != "parent":
                    time.sleep(3)  # what it takes down with it
        began = time.monotonic()
        entry["exit_code"] = self._wait(parent)
        entry["seconds_to_end"] = round(time.monotonic() - began, 1)
        if self._engine is not None and self._engine.waits:
            entry["seconds_until_no_worker"] = self._wait_for_workers()
        end([one for one in marked(self.token) if one.of_ray and one.pid in before])
        entry["rounds"] = self._check_kept()
        entry["said"] = [
            line.strip()
            for line in log.read_text(encoding="utf-8").splitlines()
            if "al-bench:" in line
        ]
        self.starts.append(entry)
        self._say(f"start {len(self.starts)}: {entry}")
        is_done = entry["rounds"] == TRIALS * ROUNDS
        self._require(entry["exit_code"] != 0 or is_done, "it ended with 0 and is not done")
        return entry

    def text(self) -> str:
        """What the last start has said, and its jobs, which have files of their own on submitit."""
        logs = [self._folder / f"start-{len(self.starts) - 1}.log"]
        sweeps = sorted(self.results.glob(".sweeps/*/"))
        logs += sweeps[-1].glob(".submitit/*/*_log.out") if sweeps else []
        return "".join(log.read_text(encoding="utf-8") for log in logs)

    def holders(self) -> set[int]:
        """Who works on trials that are not done, as their manifests say."""
        manifests = self.results.glob("*/*/*/*/manifests/seed=*.json")
        contents = [json.loads(path.read_text(encoding="utf-8")) for path in manifests]
        return {content["pid"] for content in contents if content["status"] == "running"}

    def wait_for_jobs(self) -> float:
        """Seconds until the jobs that have lost their command have ended."""
        began = time.monotonic()
        while any(process.trains for process in marked(self.token)):
            self._require(time.monotonic() - began < SECONDS_TO_END, "jobs do not end")
            time.sleep(1)
        return round(time.monotonic() - began, 1)

    def _kill(
        self, parent: "subprocess.Popen[bytes]", victim: str, before: set[int]
    ) -> dict[str, Any] | None:
        """Kill the victim once so many rounds more are committed; ``None`` if it was too late."""
        already = len(self._committed())
        left = TRIALS * ROUNDS - already
        at = already + self._random.choice((0, self._random.randint(1, max(1, left // 3))))
        while parent.poll() is None:
            found = marked(self.token)
            self._note_memory(found)
            young = [one for one in found if one.pid not in before]
            if victim == "parent":
                pids = [parent.pid]
            elif victim == "worker":
                pids = [one.pid for one in young if one.trains]
            else:
                pids = [one.pid for one in young if f"/{victim} " in one.command]
            if pids and len(self._committed()) >= at:
                time.sleep(self._random.uniform(0, 8 if at == already else 0.5))
                if parent.poll() is not None:
                    return None
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._random.choice(pids), signal.SIGKILL)
                    return {"victim": victim, "at_round": len(self._committed())}
            time.sleep(0.2)
        return None

    def _wait(self, parent: "subprocess.Popen[bytes]") -> int:
        began = time.monotonic()
        while (code := parent.poll()) is None:
            self._note_memory(marked(self.token))
            self._require(time.monotonic() - began < SECONDS_TO_END, "the command does not end")
            time.sleep(0.5)
        return code

    def _wait_for_workers(self) -> float:
        began = time.monotonic()
        while left := [process for process in marked(self.token) if process.trains]:
            seconds = time.monotonic() - began
            self._require(seconds < SECONDS_TO_GO, f"after {seconds:.0f} s there are still {left}")
            time.sleep(0.5)
        return round(time.monotonic() - began, 1)

    def _check_kept(self) -> int:
        """Committed rounds; Broken where one of before is gone or was computed again."""
        now = self._committed(thoroughly=True)
        for key, seconds in self._kept.items():
            self._require(now.get(key) == seconds, f"{key} was computed again, or is gone")
        self._kept = now
        return len(now)

    def _committed(self, thoroughly: bool = False) -> dict[tuple[str, int], tuple[Any, ...]]:
        """Round of a trial to the seconds that it took, where that is asked for."""
        found: dict[tuple[str, int], tuple[Any, ...]] = {}
        for path in self.results.glob("*/*/*/*/curves/seed=*.parquet"):
            name = f"{path.parent.parent.name}/{path.stem}"
            if not thoroughly:
                rounds = pq.read_metadata(path).num_rows
                found |= {(name, round): () for round in range(rounds)}
                continue
            table = pq.read_table(path, columns=["round", *MEASURED], partitioning=None)
            for row in table.to_pylist():
                found[name, row.pop("round")] = tuple(row.values())
        return found

    def _note_memory(self, found: Sequence[Process]) -> None:
        trains = [process.memory for process in found if process.trains]
        self.most_memory = max([self.most_memory, *trains])

    def _require(self, holds: bool, said: str) -> None:
        if not holds:
            raise Broken(f"{self._folder.name}, start {len(self.starts) + 1}: {said}")


def end(processes: Sequence[Process]) -> None:
    """End these processes at once."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill, compare, and write how it went; 0 if all that must hold held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="*", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--kills", type=int, default=8, help="starts of a sweep that get a victim")
    parser.add_argument("--first-seed", type=int, default=0, help="of moments and victims")
    parser.add_argument("--folder", type=Path, help="where results and logs stay; default: nowhere")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        folder = asked.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {"processor": processor(), "cores": os.cpu_count()}
        content |= {"sweep": " ".join(SWEEP), "runs": RUNS, "trials": TRIALS, "engines": {}}
        say = lambda said: print(time.strftime("%H:%M:%S"), said, flush=True)  # noqa: E731
        basic = Sweep(folder / "basic", None, random.Random(0), say)
        if not basic.results.exists():
            with basic.ending():
                if basic.start()["exit_code"]:
                    raise Broken("the basic launcher's sweep has failed")
        for number, name in enumerate(asked.engines):
            generator = random.Random(1000 * asked.first_seed + number)
            sweep = Sweep(folder / name, ENGINES[name], generator, say)
            with sweep.ending():
                found = run(sweep, ENGINES[name], asked.kills)
            compare(sweep.results, basic.results)
            found["load"] = round(os.getloadavg()[0], 1)
            print(f"{name}: {found['kills']} kills; all trials are done once, curves are equal")
            content["engines"][name] = found
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        if asked.out.exists():  # the engines of other calls stay
            before = json.loads(asked.out.read_text(encoding="utf-8"))["engines"]
            content["engines"] = before | content["engines"]
        asked.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


def run(sweep: Sweep, engine: Engine, kills: int) -> dict[str, Any]:
    """Start the sweep until it is done, killing ``kills`` times; how it went."""
    left = [engine.victims[number % len(engine.victims)] for number in range(kills)]
    while left:
        entry = sweep.start(left)
        if not entry["kills"] and entry["exit_code"] == 0:
            break  # nothing is left to do
        left = left[len(entry["kills"]) :]
        if not engine.waits and any(one.trains for one in marked(sweep.token)):
            outlive(sweep)
    for _ in range(2):  # the second finds nothing to do
        tries = 1
        while (code := sweep.start()["exit_code"]) != 0:
            is_busy = "timed out during startup" in sweep.text()  # Ray's, on a machine with others
            if not is_busy or tries == TRIES:
                raise Broken(f"a start that nobody killed has ended with {code}")
            tries += 1
    return {
        "packages": {name: version(name) for name in engine.packages},
        "kills": sum(len(start["kills"]) for start in sweep.starts),
        "mebibytes_of_a_worker": sweep.most_memory >> 20,
        "attempts": attempts(sweep.results),
        "starts": sweep.starts,
    }


def outlive(sweep: Sweep) -> None:
    """Jobs have lost their command: the next start leaves them what they hold, and names them.

    Two of them are held still meanwhile, so that they cannot end before.
    """
    jobs = [process.pid for process in marked(sweep.token) if process.trains]
    holders = {pid for pid in sweep.holders() if pid in jobs}
    still = sorted(holders)[:2]
    for pid in still:
        os.kill(pid, signal.SIGSTOP)
    try:
        entry = sweep.start()
    finally:
        for pid in still:
            os.kill(pid, signal.SIGCONT)
    if still and entry["exit_code"] != 1:
        raise Broken(f"a start that left trials to others ended with {entry['exit_code']}")
    if not all(f"process {pid}" in sweep.text() for pid in still):
        raise Broken(f"not all of the processes {still} were named")
    entry["jobs_without_command"], entry["of_them_held_still_and_named"] = len(jobs), len(still)
    entry["seconds_until_they_ended"] = sweep.wait_for_jobs()


def attempts(results: Path) -> dict[str, int]:
    """How many trials took one attempt, how many two, and so on."""
    found: dict[int, int] = {}
    for path in results.glob("*/*/*/*/manifests/seed=*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["status"] != "done":
            raise Broken(f"{path} says {content['status']}")
        found[content["attempt"]] = found.get(content["attempt"], 0) + 1
    if sum(found.values()) != TRIALS:
        raise Broken(f"there are {sum(found.values())} manifests, not {TRIALS}")
    return {str(count): found[count] for count in sorted(found)}


def compare(got: Path, wanted: Path) -> None:
    """Broken where curves or purchases differ in more than measured times and memory."""
    for read, order in (
        (read_curves, ["run_id", "seed", "round"]),
        (read_acquisitions, ["run_id", "seed", "round", "rank"]),
    ):
        frames = [read([root]) for root in (got, wanted)]
        frames = [frame.drop(columns=[*MEASURED], errors="ignore") for frame in frames]
        frames = [frame.sort_values(order).reset_index(drop=True) for frame in frames]
        pd.testing.assert_frame_equal(*frames)
        if read is read_curves and len(frames[0]) != TRIALS * ROUNDS:
            raise Broken(f"{len(frames[0])} rows, not {TRIALS * ROUNDS}")
        if frames[0].duplicated(order).any():
            raise Broken("a row is there twice")


if __name__ == "__main__":
    sys.exit(main())
