"""What became of everything that was started or planned below a results folder."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from al_bench import errors
from al_bench.errors import ConfigError, ResultsError
from al_bench.results import damage, inside, manifest, parquet, sweeps
from al_bench.results.history import TrialPaths
from al_bench.results.locks import held_by, last_sign
from al_bench.results.schema import CURVE
from al_bench.results.spending import LABELS, STEPS, Spent
from al_bench.results.wording import NAMES

PLANNED = "planned"
RUNNING = manifest.RUNNING
DONE = manifest.DONE
DAMAGED = "damaged"  # done, but its curve or its acquisitions are not what was stored
FAILED = manifest.FAILED
STALE = "stale"  # says it is running, but nobody holds it: killed, or its machine went down
INTERRUPTED = manifest.INTERRUPTED
STATES = (PLANNED, RUNNING, DONE, DAMAGED, FAILED, STALE, INTERRUPTED)


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: a trial, or a job that has no trials yet.

    Args:
        state: One of ``STATES``.
        task: The data set and its pool; empty while unknown, like all names.
        model: Name of the posterior.
        strategy_label: The strategy with the parameters that differ from their defaults.
        names: Names of all choices, by the columns they have in curves.
        protocol_id: All that the run is but for its strategy.
        run_id: The run.
        seed: The trial; ``None`` for a job whose trials are not known.
        folder: The run's folder; ``None`` for such a job.
        rounds: Committed rounds.
        spent: What the last committed round had spent, labels or steps; ``None`` before.
        message: Why it failed, or what is wrong with its files.
        host: Where it runs or ran last.
        pid: Process id there.
        last_sign: When its process has left a sign of life last, in seconds since the epoch by
            whatever clock dates files there; ``None`` where none is needed to know that it runs.
        attempt: How many times it was started.
        started: When it was started last, ISO 8601.
        sweep: Sweep of a planned or refused job.
        job: That job.
        overrides: What was typed for it.
    """

    state: str
    task: str = ""
    model: str = ""
    strategy_label: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    protocol_id: str = ""
    run_id: str = ""
    seed: int | None = None
    folder: Path | None = None
    rounds: int = 0
    spent: Spent | None = None
    message: str = ""
    host: str = ""
    pid: int = 0
    last_sign: float | None = None
    attempt: int = 0
    started: str = ""
    sweep: str = ""
    job: str = ""
    overrides: tuple[str, ...] = ()


def status(root: Path, thorough: bool = False) -> list[Entry]:
    """Every trial below ``root``, sorted by folder and seed, then what is only planned.

    A planned job is left out once a job with the same overrides has started, in whichever sweep;
    a refused job once such a job was accepted.

    Args:
        root: The results folder.
        thorough: Hash the files of finished trials, instead of comparing their sizes alone.

    Raises:
        ConfigError: The folder does not exist.
    """
    root = Path(root)
    if not root.is_dir():
        raise ConfigError(
            f"There is no results folder {root}.", "Name the one that al-bench run has written."
        )
    trials = {}
    for paths in _trials(root):
        trials[paths.folder, paths.seed] = _trial(paths, thorough)
    entries = [trials[key] for key in sorted(trials)]
    return entries + list(_planned(root, set(trials)))


def _trials(root: Path) -> Iterator[TrialPaths]:
    for folder, _, names in inside.walk(root):
        if os.path.basename(folder) != "manifests":
            continue
        for name in names:
            paths = TrialPaths.of(Path(folder, name))
            if paths is not None and name.endswith(".json"):
                yield paths


def _trial(paths: TrialPaths, thorough: bool) -> Entry:
    content = manifest.read(paths.manifest)
    if content is None:
        message = f"{paths.manifest} {manifest.wrong(paths.manifest) or 'was just replaced'}"
        return Entry(STALE, seed=paths.seed, folder=paths.folder, message=message)
    state = content.get("status", STALE)
    host, pid = content.get("host", ""), content.get("pid", 0)
    sign = None
    if state == RUNNING:
        holder = held_by(paths.lock)
        state = RUNNING if holder else STALE
        if holder and holder.pid:
            host, pid = holder.host, holder.pid
        sign = last_sign(paths.lock) if holder else None
    rounds, spent = _progress(paths.curve, content)
    message = _message(content)
    if state == DONE:
        damages = damage.find(paths, content, thorough)
        message = "; ".join(map(str, damages))
        if any(damage.hurts(paths, one) for one in damages):
            state = DAMAGED
    if state == INTERRUPTED and not rounds:
        state = PLANNED  # claimed, but stopped before it had anything to keep
    return Entry(
        state=state,
        **{name: content.get(name, "") for name in ("task", "model", "strategy_label")},
        names={name: content.get(name) or "" for name in NAMES.values()},
        protocol_id=content.get("protocol_id", ""),
        run_id=content.get("run_id", ""),
        seed=paths.seed,
        folder=paths.folder,
        rounds=rounds,
        spent=spent,
        message=message,
        host=host,
        pid=pid,
        last_sign=sign,
        attempt=content.get("attempt", 0),
        started=content.get("started", ""),
    )


def _message(content: dict[str, Any]) -> str:
    if content.get("status") != FAILED:
        return ""
    kind = str(content.get("error_type") or "")
    # Our own errors are sentences; of any other the type says as much as the text.
    text = str(content.get("error"))
    if getattr(errors, kind, None) is None:
        text = errors.words_of(text)
        text = text if not kind or text == kind else f"{kind}: {text}"
        if place := content.get("error_place"):
            text = f"{text.rstrip('.')} ({place})"
    return f"round {content.get('failed_round')}: {text}"


def _progress(curve: Path, content: Mapping[str, Any]) -> tuple[int, Spent | None]:
    """Committed rounds, and what was spent by the last one.

    Args:
        curve: The trial's rows, which know it while the trial runs.
        content: The trial's manifest, which knows it afterwards.
    """
    from_manifest = content.get("rounds", 0), _spent(content)
    running = content.get("status") == RUNNING
    if not running and STEPS in content:
        return from_manifest
    try:
        table = parquet.read(curve, pa.schema([CURVE.field(name) for name in (LABELS, STEPS)]))
    except (FileNotFoundError, ResultsError):
        return (0, None) if running else from_manifest
    rows = table.to_pylist()
    return len(rows), _spent(rows[-1]) if rows else None


def _spent(numbers: Mapping[str, Any]) -> Spent | None:
    """Steps where they are known, since only active sampling counts them; else labels."""
    for column in (STEPS, LABELS):
        if (count := numbers.get(column)) is not None:
            return Spent(column, count)
    return None


def _planned(root: Path, started: set[tuple[Path, int]]) -> Iterator[Entry]:
    """Jobs without trials, and trials of jobs that nobody has begun, or that left no manifest."""
    jobs = sweeps.read_sweeps(root)
    latest = {job.request: job for job in jobs if job.written}  # oldest first: the last one stays
    covered: set[tuple[Path, int]] = set(started)
    planned = {job.request: job for job in jobs if job.request not in latest}  # once if typed twice
    for job in [*latest.values(), *planned.values()]:
        entry = Entry(PLANNED, sweep=job.sweep, job=job.job, overrides=job.overrides)
        if job.error is not None:
            yield replace(entry, state=FAILED, message=job.error)
        elif job.trials is None:
            yield entry
        for name, seeds in (job.trials or {}).items():
            folder = root / name
            for seed in sorted(set(seeds)):
                if (folder, seed) in covered:
                    continue
                covered.add((folder, seed))
                trial = replace(entry, run_id=folder.name, seed=seed, folder=folder)
                message = job.failed.get(name, {}).get(str(seed))
                yield replace(trial, state=FAILED, message=message) if message else trial
