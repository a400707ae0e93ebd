"""How long what is left of some runs will take, from rounds that were measured.

A round takes the longer the more labels there are, or the more steps it takes where labels are
known. Seconds are looked up by that, the size of a round: in stored curves of the same device
before anything has run, and in the run's own rounds as they come. Nothing here may fail a run: what
cannot be read is not known.
"""

import itertools
import logging
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from al_bench.errors import ResultsError
from al_bench.results import damage, manifest, parquet, sweeps
from al_bench.results.history import TrialPaths
from al_bench.results.identity import RunIdentity
from al_bench.results.schema import CURVE, MEASURED
from al_bench.results.trial_key import TrialKey
from al_bench.running.setting import SIZES, Round, size_of
from al_bench.running.settings import setting_of
from al_bench.text.duration import about

if TYPE_CHECKING:
    from al_bench.running.prepare import Prepared

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

SECONDS = tuple(name for name in MEASURED if name.startswith("seconds_"))
# Rounds of another precision, number of threads or width say nothing of how long these will take.
SAME = (
    "device",
    "device_name",
    "scoring_precision",
    "training_precision",
    "threads",
    "pack_width",
)
FILES = 20  # curves that are read at most
FOLDERS = 200  # runs that are looked at for them
JOBS = 5  # of a sweep, whose time is counted
_COLUMNS = ("run_id", "protocol_id", "pool", "network", "training", "strategy", *SIZES)


class Pace:
    """Seconds of a round by its size.

    Args:
        stored: Sizes and seconds of rounds of stored curves, in any order.
    """

    def __init__(self, stored: Iterable[tuple[int, float]] = ()) -> None:
        self._stored = _typical(stored)
        self._first: tuple[int, float] | None = None
        self._rounds: list[tuple[int, float]] = []

    def add(self, size: int, seconds: float) -> None:
        """A round of this run has taken so long.

        The first one has loaded libraries beside: it counts as long as nothing else is known.
        """
        if self._first is None:
            self._first = (size, seconds)
        else:
            self._rounds.append((size, seconds))

    def seconds(self, sizes: Sequence[int]) -> Array | None:
        """What rounds of these sizes will take, each; ``None`` where no round is known.

        Where there are stored rounds these are scaled by what the run's own have taken, so that a
        machine that is busier than it was is seen; else the run's own are extended.
        """
        typical = _typical(self._rounds)
        if not typical and not self._stored and self._first is not None:
            typical = _typical([self._first])
        if not typical or not self._stored:
            return _predicted(typical or self._stored, sizes)
        stored = _predicted(self._stored, sizes)
        expected = _predicted(self._stored, list(typical))
        assert stored is not None
        assert expected is not None
        total = float(expected.sum())
        scaled = stored * (sum(typical.values()) / total if total > 0 else 1.0)
        return np.array([typical.get(size, at) for size, at in zip(sizes, scaled, strict=True)])


def _typical(rounds: Iterable[tuple[int, float]]) -> dict[int, float]:
    """Median seconds of each size, ascending."""
    by_size: dict[int, list[float]] = {}
    for size, seconds in rounds:
        by_size.setdefault(size, []).append(seconds)
    return {size: statistics.median(by_size[size]) for size in sorted(by_size)}


def _predicted(typical: Mapping[int, float], sizes: Sequence[int]) -> Array | None:
    """What is typical there; between two the line; beyond them the slope of all, if it rises."""
    if not typical:
        return None
    counts, seconds = np.array(list(typical), dtype=float), np.array(list(typical.values()))
    points = np.asarray(sizes, dtype=float)
    values = np.interp(points, counts, seconds)
    if len(counts) > 1:
        distance = counts - counts.mean()
        slope = max(float(distance @ seconds / (distance @ distance)), 0.0)
        values += slope * (points - np.clip(points, counts[0], counts[-1]))
    result: Array = np.maximum(values, 0.0)
    return result


@dataclass(frozen=True)
class StoredRounds:
    """Stored rounds that tell how long a run will take.

    Args:
        rounds: Sizes and seconds of each.
        source: Whose they are, in a phrase; empty where there are none.
        done: Rounds of each seed of the run itself; ``None`` where nothing is left to do.
    """

    rounds: Sequence[tuple[int, float]] = ()
    source: str = ""
    done: Mapping[int, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a job is in its sweep.

    Args:
        number: The job's, from 0.
        jobs: How many there are.
        side_by_side: Whether several run at a time: then each speaks for itself alone.
        earlier: Seconds that some of the jobs before have taken in all.
    """

    number: int
    jobs: int
    side_by_side: bool = False
    earlier: Sequence[float] = ()

    def others(self, whole: float) -> float:
        """What the jobs behind this one take, if they are like it and those before.

        Args:
            whole: What this job takes from beginning to end.
        """
        mean = (sum(self.earlier) + whole) / (len(self.earlier) + 1)
        return (self.jobs - self.number - 1) * mean


class RunRemaining:
    """What is left of one run, round by round.

    Args:
        stored: Rounds of before.
        schedule: The rounds of a seed.
        seeds: All seeds that were asked for.
        workers: Processes that share them.
    """

    def __init__(
        self,
        stored: StoredRounds,
        schedule: Sequence[Round],
        seeds: Sequence[int],
        workers: int = 1,
    ) -> None:
        self.source = stored.source
        self._workers = max(workers, 1)
        self._pace = Pace(stored.rounds)
        self._measured: Array | None = None
        self._schedule = schedule
        self._seeds = len(seeds)  # only those that have begun are kept one by one
        done = {seed: number for seed, number in stored.done.items() if seed in seeds}
        self._done = {s: len(schedule) if n is None else n for s, n in done.items()}

    def begin(self, seed: int, rounds_done: int) -> None:
        """A seed starts, or goes on after so many rounds."""
        self._done[seed] = rounds_done

    def round(self, seed: int, row: Mapping[str, Any]) -> None:
        """A round of a seed is done, with this curve row."""
        self._pace.add(size_of(row), seconds_of(row))
        self._done[seed] = row["round"] + 1
        self._measured = None

    def end(self, seed: int) -> None:
        """Nothing is left of a seed, whatever became of it."""
        self._done[seed] = len(self._schedule)

    @property
    def is_over(self) -> bool:
        """Whether no round is left."""
        return all(done >= len(self._schedule) for done in self._rounds_done())

    def remainder(self) -> "Remainder":
        """What its seeds will take."""
        return self._of(self._seconds(), self._rounds_done())

    def whole(self) -> "Remainder":
        """What they would take from the beginning."""
        return self._of(self._seconds(), Counter({0: self._seeds}))

    def of_steps(self, seconds: float) -> "Remainder":
        """The most that their training can take at so long a step."""
        steps = np.array([round.steps for round in self._schedule], dtype=float)
        return self._of(seconds * steps, self._rounds_done())

    def _rounds_done(self) -> Counter[int]:
        """How many seeds have done so many rounds."""
        return Counter(self._done.values()) + Counter({0: self._seeds - len(self._done)})

    def _seconds(self) -> Array | None:
        if self._measured is None:  # until there is another round
            self._measured = self._pace.seconds([round.size for round in self._schedule])
        return self._measured

    def _of(self, seconds: Array | None, rounds_done: Counter[int]) -> "Remainder":
        rounds = sum(n * max(len(self._schedule) - done, 0) for done, n in rounds_done.items())
        if seconds is None:
            return Remainder(rounds, None)
        rest = {done: float(seconds[done:].sum()) for done in rounds_done}
        total = sum(number * rest[done] for done, number in rounds_done.items())
        return Remainder(rounds, total / self._workers, max(rest.values(), default=0.0))


@dataclass(frozen=True)
class Remainder:
    """Rounds of a run that are to come.

    Args:
        rounds: How many, of all its seeds.
        seconds: How long they take where its processes share them evenly; ``None`` if not known.
        longest: Seconds of the longest seed, which no two processes share.
    """

    rounds: int
    seconds: float | None
    longest: float = 0.0


class Remaining:
    """What is left of the trials of some runs, round by round.

    Args:
        runs: By the folder of each.
        place: Where the run is among the jobs of its sweep, if it is one of several that have
            processes or turns of their own.
    """

    def __init__(self, runs: Mapping[Path, RunRemaining], place: Place | None = None) -> None:
        self.place = place
        self._runs = runs

    @property
    def source(self) -> str:
        """Whose the stored rounds are, in a phrase."""
        return ", ".join(dict.fromkeys(run.source for run in self._runs.values() if run.source))

    def begin(self, key: TrialKey, rounds_done: int) -> None:
        """The trial starts, or goes on after so many rounds."""
        self._runs[key.folder].begin(key.seed, rounds_done)

    def round(self, key: TrialKey, row: Mapping[str, Any]) -> None:
        """A round is done, with this curve row."""
        self._runs[key.folder].round(key.seed, row)

    def end(self, key: TrialKey) -> None:
        """Nothing is left of the trial, whatever became of it."""
        self._runs[key.folder].end(key.seed)

    @property
    def is_over(self) -> bool:
        """Whether no round is left."""
        return all(run.is_over for run in self._runs.values())

    def seconds(self) -> float | None:
        """Until all trials are done; ``None`` where no round is known.

        Rounds of a run of which nothing is known yet count as the others' do on average.
        """
        return self._of([run.remainder() for run in self._runs.values()])

    def whole(self) -> float | None:
        """What the runs would take from the beginning."""
        return self._of([run.whole() for run in self._runs.values()])

    @property
    def unknown(self) -> int:
        """Runs that are not over and of which no round is known."""
        remainders = [run.remainder() for run in self._runs.values()]
        return sum(one.rounds > 0 and one.seconds is None for one in remainders)

    def in_words(self) -> str:
        """``about 12 min left``, or ``job 3 of 12, about 40 min left``; empty if not known."""
        seconds, whole = self.seconds(), self.whole()
        others = 0.0
        if self.place is not None and not self.place.side_by_side:
            others = self.place.others(whole or 0.0)
        time = ""
        if seconds is not None and not (self.is_over and others == 0):
            time = f"{about(seconds + others)} left"
        if self.place is None:
            return time
        of_it = " of it" if time and self.place.side_by_side else ""
        return ", ".join(
            filter(None, [f"job {self.place.number + 1} of {self.place.jobs}", time + of_it])
        )

    def of_steps(self, key: TrialKey, seconds: float) -> float | None:
        """The most that training of the trial's run can take, at so long a step.

        ``None`` where rounds are known, which tell more.
        """
        if self.seconds() is not None:
            return None
        rest = self._runs[key.folder].of_steps(seconds)
        return max(rest.seconds or 0.0, rest.longest)

    def _of(self, runs: Sequence[Remainder]) -> float | None:
        whole = [run.whole() for run in self._runs.values()]
        pairs = [(one.rounds, one.seconds) for one in whole if one.seconds is not None]
        if not pairs:
            return None
        pace = sum(seconds for _, seconds in pairs) / max(sum(rounds for rounds, _ in pairs), 1)
        total = sum(pace * one.rounds if one.seconds is None else one.seconds for one in runs)
        return max(total, *(one.longest for one in runs))


def remaining_of(runs: Sequence["Prepared"], place: Place | None = None) -> Remaining:
    """What is left of prepared runs, as far as their results folders tell."""
    seeds: dict[Path, Sequence[int]] = {}
    first: dict[Path, Prepared] = {}
    for run in runs:  # one may be named twice, with other seeds
        first.setdefault(run.folder, run)
        before = seeds.get(run.folder)
        seeds[run.folder] = run.seeds if before is None else sorted({*before, *run.seeds})
    return Remaining(
        {folder: _run_remaining(first[folder], seeds[folder]) for folder in seeds}, place
    )


def _run_remaining(prepared: "Prepared", seeds: Sequence[int]) -> RunRemaining:
    run, trial = prepared.run, prepared.trial(seeds[0])
    stored = stored_rounds(prepared.results, run.identity, run.engine.columns())
    return RunRemaining(stored, setting_of(run).schedule(trial), seeds, prepared.workers)


def place_of(job_folder: Path, number: int, side_by_side: bool, workers: int) -> Place | None:
    """The place of a job whose record is in this folder; ``None`` where it is the only one."""
    try:
        jobs = len(sweeps.read_plan(job_folder.parent))
        if jobs < 2:
            return None
        last = [] if side_by_side else range(max(number - JOBS, 0), number)
        spent = [_spent(job_folder.parent, job, workers) for job in last]
        return Place(
            number, jobs, side_by_side, [seconds for seconds in spent if seconds is not None]
        )
    except Exception:  # an estimate is not worth a run
        logger.debug("the sweep's record cannot be read", exc_info=True)
        return None


def _spent(sweep_folder: Path, number: int, workers: int) -> float | None:
    """Seconds that the trials of a job have taken, by whichever command."""
    job = sweeps.read_job(sweep_folder / str(number))
    total, schema = 0.0, pa.schema([CURVE.field(name) for name in SECONDS])
    for name, seeds in ((job and job.trials) or {}).items():
        paths = [TrialPaths(sweep_folder.parent.parent / name, seed).curve for seed in seeds]
        seconds = sum(seconds_of(row) for row in _read(paths[:FILES], schema))
        total += seconds * len(paths) / max(len(paths[:FILES]), 1)
    return total / max(workers, 1) if total else None


def seconds_of(row: Mapping[str, Any]) -> float:
    """What the round of this curve row has taken."""
    return sum(row.get(name) or 0.0 for name in SECONDS)


def stored_rounds(root: Path, identity: RunIdentity, engine: Mapping[str, Any]) -> StoredRounds:
    """Rounds under a results folder of the run itself, else of runs like it, on the same device.

    Args:
        root: The results folder.
        identity: The run to come.
        engine: Its engine columns.
    """
    try:
        return _stored_rounds(root, identity, engine)
    except Exception:  # an estimate is not worth a run
        logger.debug("stored rounds cannot be read", exc_info=True)
        return StoredRounds()


def _stored_rounds(root: Path, identity: RunIdentity, engine: Mapping[str, Any]) -> StoredRounds:
    rows = _rows(sorted((root / identity.folder / "curves").glob("seed=*.parquet"))[:FILES], engine)
    done = _rounds_done(root / identity.folder)
    if rows:
        return StoredRounds(_measured(rows), "the same run", done)
    run, strategy, model = identity.folder.name, identity.folder.parent, identity.folder.parents[1]
    near = _rows(_newest(root / strategy, "*", run), engine)
    tiers: list[tuple[str, Callable[[Mapping[str, Any]], bool]]] = [
        (
            f"{identity.strategy} with other parameters",
            lambda row: row["protocol_id"] == identity.protocol_id,
        ),
        (
            f"{identity.strategy} with another protocol",
            lambda row: all(
                row[k] == getattr(identity, k) for k in ("pool", "network", "training")
            ),
        ),
    ]
    for source, fits in tiers:
        if matches := [row for row in near if fits(row)]:
            return StoredRounds(_measured(matches), source, done)
    others = _rows(_newest(root / model, "*/*", run), engine)
    matches = [row for row in others if row["protocol_id"] == identity.protocol_id]
    if matches:
        names = sorted({row["strategy"] for row in matches})
        text = ", ".join(names[:2]) + (" and others" if names[2:] else "")
        return StoredRounds(_measured(matches), f"{text} in the same protocol", done)
    return StoredRounds(done=done)


def _newest(folder: Path, runs: str, but: str) -> list[Path]:
    """Curves of the runs that were written last, two of each."""
    folders = itertools.islice(folder.glob(f"{runs}/curves"), FOLDERS)
    by_age = sorted((one for one in folders if one.parent.name != but), key=_mtime, reverse=True)
    files = (sorted(curves.glob("seed=*.parquet"))[:2] for curves in by_age[:FILES])
    return list(itertools.islice(itertools.chain.from_iterable(files), FILES))


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _rows(files: Iterable[Path], engine: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of these files that the same engine has computed."""
    schema = pa.schema([CURVE.field(name) for name in (*_COLUMNS, *SAME, *SECONDS)])
    return [row for row in _read(files, schema) if all(row[name] == engine[name] for name in SAME)]


def _read(files: Iterable[Path], schema: pa.Schema) -> Iterator[dict[str, Any]]:
    for path in files:
        try:
            yield from parquet.read(path, schema).to_pylist()
        except Exception:  # a damaged file is another command's to tell of
            logger.debug("%s cannot be read", path, exc_info=True)


def _measured(rows: Iterable[Mapping[str, Any]]) -> list[tuple[int, float]]:
    return [(size_of(row), seconds_of(row)) for row in rows]


def _rounds_done(folder: Path) -> dict[int, int | None]:
    rounds: dict[int, int | None] = {}
    for path in folder.glob("curves/seed=*.parquet"):
        if paths := TrialPaths.of(path):
            content = manifest.read(paths.manifest) or {}
            if content.get("status") != manifest.DONE:
                rounds[paths.seed] = _num_rounds(path)
            else:  # what is damaged is computed again
                wrong = damage.find(paths, content, thorough=True)
                rounds[paths.seed] = 0 if any(damage.hurts(paths, one) for one in wrong) else None
    return rounds


def _num_rounds(path: Path) -> int:
    try:
        return parquet.num_rows(path)
    except ResultsError:  # it will start again
        return 0
