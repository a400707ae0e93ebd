"""What was asked for: a record a sweep and a job, from which the ledger knows what is planned.

``<results>/.sweeps/<sweep>/plan.json`` lists the jobs of a multirun before any has started;
``<results>/.sweeps/<sweep>/<job>/job.json`` says which trials a job covers once it knows them.
A single run has a job and no plan. ``stopped.json`` beside the plan says that no more jobs begin.

Records are numbered in the order in which they are written, whatever clocks say: ``.sweeps/order``
has a byte for each. Those from before they were numbered come first, by the time they show.
"""

import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from al_bench.errors import ResultsError
from al_bench.masking import masked_texts, masked_words
from al_bench.results import atomic, inside, records

FOLDER = ".sweeps"
ORDER = "order"
DECISIONS = "decisions.json"  # in the folder of a sweep in stages


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Args:
        sweep: Name of the sweep's folder.
        job: Name of the job's folder in it.
        overrides: What was typed for it.
        written: When its record was written, ISO 8601; empty while it is only planned.
        trials: Run folder (relative to the results folder, with forward slashes) to seeds.
        error: Why it ended before it had trials; ``None`` if it did not.
        failed: Run folder to seed, as text, to why that trial failed before it had a manifest: its
            files could not be written, perhaps.
        order: The number of its record, or of the plan that it is in; 0 in folders of before.
    """

    sweep: str
    job: str
    overrides: tuple[str, ...]
    written: str = ""
    trials: Mapping[str, Sequence[int]] | None = None
    error: str | None = None
    failed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    order: int = 0

    @property
    def request(self) -> frozenset[str]:
        """The overrides without their order: equal requests lead to the same trials."""
        return frozenset(self.overrides)


def write_plan(sweep_folder: Path, jobs: Sequence[Sequence[str]], command: str = "") -> None:
    """Record the jobs of a sweep before the first one starts; job i gets the folder ``str(i)``.

    Args:
        sweep_folder: ``<results>/.sweeps/<sweep>``.
        jobs: The overrides of each job.
        command: The command line.
    """
    _make(sweep_folder, sweep_folder)
    entries = [{"job": str(i), "overrides": masked_words(job)} for i, job in enumerate(jobs)]
    _write(sweep_folder, "plan.json", {"command": command, "jobs": entries})


def write_job(
    job_folder: Path,
    overrides: Sequence[str],
    trials: Mapping[Path, Sequence[int]],
    error: str | None = None,
    failed: Mapping[Path, Mapping[int, str]] | None = None,
) -> None:
    """Record what a job covers, as soon as it knows, or why it will not run.

    Args:
        job_folder: ``<results>/.sweeps/<sweep>/<job>``.
        overrides: What was typed for this job.
        trials: ``RunIdentity.folder`` of each of its runs to its seeds.
        error: One line, if the job was refused before training; what trials do is in their
            manifests.
        failed: A line for each seed of a run that failed and has no manifest.
    """
    _make(job_folder, job_folder.parent)
    content: dict[str, Any] = {
        "overrides": masked_words(overrides),
        "trials": {folder.as_posix(): list(seeds) for folder, seeds in trials.items()},
        "error": error,
    }
    if failed:
        content["failed"] = {
            folder.as_posix(): {str(seed): message for seed, message in messages.items()}
            for folder, messages in failed.items()
        }
    _write(job_folder.parent, f"{job_folder.name}/job.json", content)


def write_decisions(
    sweep_folder: Path, looks: Sequence[int], decisions: Sequence[Mapping[str, Any]]
) -> None:
    """Record what a sweep in stages has decided.

    Args:
        sweep_folder: ``<results>/.sweeps/<sweep>``.
        looks: Seeds at each look that was planned.
        decisions: A mapping an arm: arm, baseline, run_id, seeds, verdict (``None``: open).
    """
    _write(sweep_folder, DECISIONS, {"looks": list(looks), "arms": list(decisions)})


def read_decisions(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """What sweeps in stages have decided, oldest first, a mapping an arm.

    Args:
        paths: Results folders, folders below them, or files of trials.

    Returns:
        The mappings that ``write_decisions`` was given, with ``looks`` beside; of an arm that was
        decided several times the last of the results folder that was named first.
    """
    roots = dict.fromkeys(
        root for path in paths for root in (path.absolute(), *path.absolute().parents)
    )
    decisions: dict[tuple[Any, ...], dict[str, Any]] = {}
    for root in reversed(roots):
        every = (_record(sweep / DECISIONS, _DECISIONS) for sweep in _sweeps(root))
        contents = [content for content in every if content is not None]
        contents.sort(key=lambda content: (_order(content), content["written"]))
        for content in contents:
            for arm in content["arms"]:
                key = (arm["run_id"], arm["baseline"])
                decisions.pop(key, None)
                decisions[key] = {**arm, "looks": content["looks"]}
    return list(decisions.values())


def first_code(sweep_folder: Path, hashes: Mapping[str, str]) -> dict[str, str]:
    """The hashes of these modules in the first process of a sweep that had each of them.

    Args:
        sweep_folder: ``<results>/.sweeps/<sweep>``.
        hashes: Those of this process, which become the first where there are none.
    """
    folder = sweep_folder / "own_code"
    atomic.make_folder(folder)
    return {
        name: atomic.write_first(folder / name, value.encode(), "sweep").decode()
        for name, value in hashes.items()
    }


def read_plan(sweep_folder: Path) -> list[Job]:
    """The planned jobs; empty without a plan that can be read.

    Entries that are no jobs are named in a warning and left out.
    """
    path = sweep_folder / "plan.json"
    content = _record(path, {}) or {}
    entries = content.get("jobs", [])
    entries = entries if isinstance(entries, list) else [entries]
    jobs = [
        Job(sweep_folder.name, entry["job"], tuple(entry["overrides"]), order=_order(content))
        for entry in entries
        if _is_planned(entry)
    ]
    if len(jobs) < len(entries):
        _warn(path, "lists what are no jobs, which are left out")
    return jobs


def read_job(job_folder: Path) -> Job | None:
    """The job's record; ``None`` if it has not got that far.

    One that makes no sense is named in a warning and counts as none.
    """
    content = _record(job_folder / "job.json", {}, _JOB)
    if not content:
        return None
    return Job(
        job_folder.parent.name,
        job_folder.name,
        tuple(content.get("overrides", ())),
        content.get("written", ""),
        content.get("trials", {}),
        content.get("error"),
        content.get("failed", {}),
        _order(content),
    )


def _is_inside(folder: Any) -> bool:
    """Whether this is the name of a run's folder below the results folder."""
    if not records.is_name(folder) or "\0" in folder:
        return False
    path = PurePosixPath(folder)
    return not path.is_absolute() and ".." not in path.parts


def _are_trials(value: Any) -> bool:
    """Whether these are folders of runs with seeds."""
    return records.mapping_of(_SEEDS)(value) and all(map(_is_inside, value))


_SEEDS = records.list_of(records.is_whole)
_WORDS = records.list_of(records.is_text)
_is_planned = records.holding(job=_is_inside, overrides=_WORDS)
_JOB = {
    "overrides": _WORDS,
    "trials": _are_trials,
    "written": records.is_text,
    "error": records.either(records.is_null, records.is_text),
    "failed": records.mapping_of(records.mapping_of(records.is_text)),
}
_is_decided = records.holding(
    arm=records.is_name,
    baseline=records.is_name,
    run_id=records.is_name,
    seeds=records.is_whole,
    verdict=records.either(records.is_null, records.is_name),
)
_DECISIONS = {
    "written": records.is_text,
    "looks": _SEEDS,
    "arms": records.list_of(_is_decided),
}


def _warn(path: Path, what: str) -> None:
    warnings.warn(f"{path} {what}.", UserWarning, stacklevel=3)


def stop(sweep_folder: Path, reason: str) -> None:
    """Record that no further job of the sweep shall begin."""
    _write(sweep_folder, "stopped.json", {"reason": reason})


def stopped(sweep_folder: Path) -> str | None:
    """Why no further job of the sweep shall begin; ``None`` where they may."""
    path = sweep_folder / "stopped.json"
    content = _record(path, {"reason": records.is_text}) or {}
    return str(content.get("reason", "")) if path.exists() else None


def read_sweeps(root: Path) -> list[Job]:
    """Every job recorded below the results folder, oldest first, those only planned last."""
    recorded, planned = [], []
    for sweep in _sweeps(root):
        started = {path.parent.name for path in sweep.glob("*/job.json")}
        recorded += [read_job(sweep / name) for name in started]
        planned += [job for job in read_plan(sweep) if job.job not in started]
    jobs = [job for job in recorded if job is not None]
    jobs.sort(key=lambda job: (job.order, job.written, job.sweep, job.job))
    return jobs + sorted(planned, key=lambda job: job.order)


def _sweeps(root: Path) -> list[Path]:
    """The folders of sweeps below a results folder; links are not followed."""
    if (root / FOLDER).is_symlink():
        return []
    return sorted(path for path in (root / FOLDER).glob("*/") if not path.is_symlink())


def _make(folder: Path, sweep: Path) -> None:
    """Make a folder of a sweep where the folder of all sweeps lies in the results folder."""
    if sweep.parent.name == FOLDER and sweep.parent.is_symlink():
        raise ResultsError(f"{sweep.parent} is a link, which is not followed.", "Remove it.")
    atomic.make_folder(folder)


def _write(sweep_folder: Path, name: str, content: dict[str, Any]) -> None:
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    order = _next(sweep_folder.parent)
    head = {"version": 1, "written": now, "order": order}
    data = json.dumps({**head, **masked_texts(content)}, indent=2)
    atomic.write(sweep_folder / name, data.encode() + b"\n", "sweep")


def _next(folder: Path) -> int:
    """The number of the next record in the folder of all sweeps, given out once."""
    path = folder / ORDER
    with atomic.reporting(path):
        descriptor = inside.descriptor(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, b".")
            atomic.fsync(descriptor)
            return os.lseek(descriptor, 0, os.SEEK_CUR)
        finally:
            os.close(descriptor)


def _order(content: Mapping[str, Any]) -> int:
    order = content.get("order")
    return order if type(order) is int and order > 0 else 0


def _record(
    path: Path, needed: Mapping[str, records.Check], more: Mapping[str, records.Check] | None = None
) -> dict[str, Any] | None:
    """The record at ``path``; ``None`` without one.

    What is no such record is named in a warning and counts as none.
    """
    try:
        content = records.read(path)
        records.require(content, needed, more or {})
    except FileNotFoundError:
        return None
    except OSError as error:
        _warn(path, f"{inside.wrong(path) or error.strerror} and is left out")
    except records.Unfit as error:
        _warn(path, f"is left out: {error}")
    else:
        return content
    return None
