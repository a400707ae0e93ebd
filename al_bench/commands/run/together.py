"""Run what was composed to its end, several jobs together, and say what became of it."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig

from al_bench import engine
from al_bench.configuration import sweep
from al_bench.configuration.composing import Composed
from al_bench.errors import AlBenchError, Stopped, error_line, within
from al_bench.text.console import Console
from al_bench.text.terminal import print_table
from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    from al_bench.results.trial_key import TrialKey
    from al_bench.running.execution import Assignment, TrialOutcome
    from al_bench.running.prepare import Prepared
    from al_bench.running.remaining import Remaining

logger = logging.getLogger(__name__)


def run_composed(composed: Composed, record: sweep.JobRecord) -> int:
    """Run one composed configuration to its end; 0 when every seed is done, else 1."""
    from al_bench.results.manifest import DONE
    from al_bench.running import dry_run, progress
    from al_bench.running.prepare import prepare

    progress.set_up_logging()
    prepared = prepare(composed)
    if composed.config.dry_run:
        print(dry_run.describe(prepared), flush=True)  # a worker may be ended any time
        return 0
    trials = _begin(prepared, record, "")
    remaining = _remaining(prepared, record)
    try:
        outcomes = execute_shown(trials, remaining, title_of(prepared, ""), {})
    except Stopped as error:
        _keep(prepared, record, {error.trial: error_line(error)})
        raise
    _say_outcomes(prepared, outcomes, "")
    _keep(prepared, record, _failures(outcomes))
    return 0 if all(outcome.status == DONE for outcome in outcomes) else 1


@dataclass(frozen=True)
class Job:
    """A job of a sweep that is composed.

    Args:
        record: Where it is told what became of it.
        composed: Its configuration.
    """

    record: sweep.JobRecord
    composed: Composed

    def failed(self, error: Exception) -> None:
        """Show and record why the job could not start, or could not go on."""
        record_failure(self.record, error, self.composed.config)


def run_jobs(jobs: Sequence[Job]) -> None:
    """Run the trials of all these jobs side by side; how they end is stored.

    A job that cannot be prepared is recorded and leaves the others alone, unless it says that a
    failure stops the sweep: then none begins. Trials that two jobs name are run once, as the first
    of them says.
    """
    from al_bench.running import progress
    from al_bench.running.execution import first_seeds_first
    from al_bench.running.names import names
    from al_bench.running.remaining import remaining_of

    progress.set_up_logging()
    ready = _prepared(jobs)
    run_names = names(prepared for _, prepared in ready)
    begun: list[tuple[Job, Prepared]] = []
    trials: list[list[Assignment]] = []
    for job, prepared in ready:
        try:
            trials.append(_begin(prepared, job.record, run_names.get(prepared.folder, "")))
            begun.append((job, prepared))
        except Exception as error:
            job.failed(error)
    in_turn = first_seeds_first(trials)
    if not in_turn or jobs[0].record.stopped():
        return
    runs = {prepared.folder: prepared for _, prepared in reversed(begun)}  # equal ones are one
    title = f"{len(runs)} runs together, {len(in_turn)} trials"
    if len(runs) == 1:
        title = title_of(begun[0][1], "")
    try:
        remaining = remaining_of([prepared for _, prepared in begun])
        outcomes = execute_shown(in_turn, remaining, title, run_names)
    except Stopped as error:
        owners = (one for one in begun if error.trial in map(one[1].key, one[1].seeds))
        job, prepared = next(owners)
        _keep(prepared, job.record, {error.trial: error_line(error)})
        job.failed(error)
        return
    for job, prepared in begun:
        _keep(prepared, job.record, _failures(outcomes))
    for folder, prepared in reversed(runs.items()):
        _say_outcomes(prepared, outcomes, run_names.get(folder, ""))


def record_failure(record: sweep.JobRecord, error: Exception, config: Any) -> None:
    """Show and record why a job could not start, or could not go on.

    Args:
        record: The job's.
        error: What it met.
        config: Its configuration.
    """
    message = error_line(error)
    text = "".join(traceback.format_exception(error))
    if not isinstance(error, Stopped):  # else it is the failure of a trial, which has a record
        record.refused(message, text)
    if config.on_error == "stop":
        record.stop_sweep()
    trace = error if config.verbose else None
    logger.error("job %d failed: %s", record.number, message, exc_info=trace)


def _prepared(jobs: Sequence[Job]) -> list[tuple[Job, "Prepared"]]:
    """Those of the jobs that can be prepared; their runs share what they load."""
    from al_bench.running.loading import Data
    from al_bench.running.prepare import prepare

    data = Data()
    ready = []
    for job in jobs:
        if job.record.stopped():
            return []
        try:
            with engine.restored(), within("A class of this run"):
                ready.append((job, prepare(job.composed, data)))
        except Exception as error:
            job.failed(error)
    return ready


def _begin(prepared: "Prepared", record: sweep.JobRecord, name: str) -> "list[Assignment]":
    """Tell of a run that is about to begin, and record it; its trials."""
    from al_bench.running.execution import assignments

    for note in prepared.notes:
        logger.warning("%s", f"{name}: {note}" if name else note)
    identity = prepared.run.identity
    record.covers(identity, prepared.seeds)
    is_sweep = prepared.composed.is_sweep
    refused = record.disagreement(identity.own_code) if is_sweep else None
    return assignments(prepared, refused=refused)


def execute_shown(
    trials: "Sequence[Assignment]", remaining: "Remaining", title: str, names: Mapping[Path, str]
) -> "list[TrialOutcome]":
    """Run trials while their progress is shown below a title."""
    from al_bench.running import progress
    from al_bench.running.together import run_together

    console = _console()
    console.print(in_a_line(": ".join(filter(None, [title, remaining.in_words()]))))
    keys = [trial.key for trial in trials]
    with progress.make_report(console, keys, remaining, names) as report:
        return run_together(trials, report)


def _say_outcomes(prepared: "Prepared", outcomes: "Sequence[TrialOutcome]", name: str) -> None:
    """Print how the trials of a run ended, and where they are."""
    from al_bench.running import progress

    of_run = [outcome for outcome in outcomes if outcome.key.folder == prepared.folder]
    print_table(_console(), progress.outcome_table(title_of(prepared, name), of_run))
    print(f"results: {prepared.results / prepared.run.identity.folder}")


def _failures(outcomes: "Sequence[TrialOutcome]") -> "dict[TrialKey, str]":
    from al_bench.results.manifest import FAILED

    return {one.key: one.message or "" for one in outcomes if one.status == FAILED}


def _keep(
    prepared: "Prepared", record: sweep.JobRecord, failures: "Mapping[TrialKey, str]"
) -> None:
    """Record failures of a run of which its folder does not tell: it may not be written, perhaps.

    Where the record cannot be written either, as on a full disk, they have at least been shown.
    """
    untold = {
        key.seed: message
        for key, message in failures.items()
        if key.folder == prepared.folder and not os.path.exists(key.paths.manifest)
    }
    if untold:
        with contextlib.suppress(OSError, AlBenchError):
            record.failed(prepared.run.identity, prepared.seeds, untold)


def title_of(prepared: "Prepared", name: str) -> str:
    """What is done in a line; ``name`` where the run has one beside others."""
    identity = prepared.run.identity
    return f"{name or identity.strategy_label} on {identity.task}, {identity.model_label}"


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 160)  # a pipe has no width


def _remaining(prepared: "Prepared", record: sweep.JobRecord) -> "Remaining":
    """What is left of the run, and where it is in its sweep."""
    from al_bench.running.remaining import place_of, remaining_of

    one_by_one = str(HydraConfig.get().launcher.get("_target_")).endswith("BasicLauncher")
    place = place_of(record.folder, record.number, not one_by_one, prepared.workers)
    return remaining_of([prepared], place)
