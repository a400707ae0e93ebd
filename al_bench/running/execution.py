"""Run the trials of prepared runs in this process: claim, restore, execute."""

import contextlib
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from al_bench import engine
from al_bench.errors import AlBenchError, Stopped, error_line, within
from al_bench.results import locks
from al_bench.results.locks import TrialHeld
from al_bench.results.manifest import DONE, FAILED, INTERRUPTED
from al_bench.results.own_code import require_unedited
from al_bench.results.spending import Spent, spent_by
from al_bench.results.store import TrialFiles
from al_bench.results.studies import StudyFiles
from al_bench.results.trial_key import TrialKey
from al_bench.rounds.trial import Trial
from al_bench.running.prepare import Prepared
from al_bench.running.settings import setting_of

HELD = "held"  # of a trial that another process has, beside the statuses of manifests
FIRST_STEPS_SECONDS = 10.0  # after which they tell how long the others will take
AT_ONCE = 100  # trials under way: each has an open lock
BYTES_AT_ONCE = 2 * 2**30  # about, of what trials under way hold, pools and warm weights


@dataclass(frozen=True)
class Assignment:
    """A trial that is to be run.

    Args:
        prepared: Its run.
        seed: Its seed.
        refused: Why it must fail unless it is done already; ``None`` runs it.
    """

    prepared: Prepared
    seed: int
    refused: AlBenchError | None = None

    @property
    def key(self) -> TrialKey:
        """What tells the trial from others."""
        return self.prepared.key(self.seed)


@dataclass(frozen=True)
class TrialOutcome:
    """How one trial ended.

    Args:
        key: The trial.
        status: ``done``, ``failed`` or ``held`` (another process has it).
        rounds: Rounds committed.
        spent: Labels of the last of them, or steps.
        accuracy: Test accuracy of the last of them.
        message: What went wrong.
    """

    key: TrialKey
    status: str
    rounds: int
    spent: Spent | None = None
    accuracy: float | None = None
    message: str | None = None


class Report(Protocol):
    """Who hears of trials while they go on."""

    def begin(self, key: TrialKey, rounds_done: int, num_rounds: int) -> None:
        """A trial starts or goes on."""

    def steps(self, key: TrialKey, steps: int, seconds: float) -> None:
        """So many steps of the first round have taken so long; heard once, if it is a long one."""

    def round(self, key: TrialKey, row: dict[str, Any], num_rounds: int) -> None:
        """A round is committed."""

    def end(self, outcome: TrialOutcome) -> None:
        """A trial has ended."""


class FirstSteps:
    """Tells of the first round's steps, long before it ends.

    Args:
        tell: Gets a trial, its steps and the seconds that they took.
    """

    def __init__(self, tell: Callable[[Trial, int, float], None]) -> None:
        self._tell = tell
        self._steps = 0
        self._started = 0.0
        self._is_over = False

    def __call__(self, trial: Trial) -> None:
        """Another step of the trial is done."""
        if self._is_over:
            return
        now = time.perf_counter()
        if self._steps == 0:
            self._started = now  # the first step loads libraries
        seconds = now - self._started
        if seconds >= FIRST_STEPS_SECONDS:
            self._tell(trial, self._steps, seconds)
        self._is_over = bool(trial.rows) or seconds >= FIRST_STEPS_SECONDS
        self._steps += 1


class Rounds:
    """The loop's store: commits each trial's rounds to the files of its run.

    Args:
        report: Hears of every round.

    Attributes:
        trials: Those under way, of whichever runs; one that has ended is let go of, with its pool.
        outcomes: How trials have ended.
    """

    def __init__(self, report: Report) -> None:
        self.trials: list[Trial] = []
        self.outcomes: list[TrialOutcome] = []
        self._report = report
        self._claims: dict[TrialKey, tuple[Assignment, TrialFiles | StudyFiles]] = {}
        self._keys: dict[Trial, TrialKey] = {}

    def take(self, assignment: Assignment) -> None:
        """Claim a trial and bring it to where it left off; one that is done needs no more.

        Raises:
            TrialHeld: Another process has it.
        """
        prepared, key = assignment.prepared, assignment.key
        try:
            files = prepared.run.claim(prepared.results, key.seed, prepared.resume)
        except TrialHeld:
            raise
        except AlBenchError as error:  # its files may not be touched: of this run alone, perhaps
            self._end(assignment, FAILED, [], error_line(error))
            self._stop(assignment, error_line(error), error)
            return
        history = files.history
        if files.is_done:
            files.close()
            self._end(assignment, DONE, history.rows)
            return
        self._claims[key] = (assignment, files)
        try:
            with within("A class of this run"):
                trial = prepared.trial(key.seed)
        except Exception as error:  # its pool is too small, for one
            self._refuse(key, history.rows, len(history.rows), error)
            return
        self._keys[trial] = key
        self.trials.append(trial)
        try:
            trial.restore(history.rows, history.acquisitions, history.checkpoint)
            if assignment.refused is not None:
                raise assignment.refused
        except Exception as error:
            self.fail(trial, error)
            return
        self._report.begin(key, len(trial.rows), trial.num_rounds)
        prepared.tracking.begin(key, trial.rows)
        if trial.finished:
            try:
                self.finish(trial)
            except (AlBenchError, OSError) as error:  # a full disk, perhaps
                self.fail(trial, error)

    def steps(self, trial: Trial, steps: int, seconds: float) -> None:
        """Tell of the first steps of a trial."""
        self._report.steps(self._keys[trial], steps, seconds)

    def commit(
        self, trial: Trial, row: dict[str, Any], acquired: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Make the round durable."""
        key = self._keys[trial]
        assignment, files = self._claims[key]
        assert isinstance(files, TrialFiles)
        require_unedited(trial.run.identity.own_code)
        full = files.commit(row, acquired, trial.checkpoint)
        self._report.round(key, full, trial.num_rounds)
        assignment.prepared.tracking.round(key, full)
        return full

    def keep(self, trial: Trial, rows: Sequence[Mapping[str, Any]]) -> None:
        """Make what a study has measured durable."""
        _, files = self._claims[self._keys[trial]]
        assert isinstance(files, StudyFiles)
        require_unedited(trial.run.identity.own_code)
        files.keep(rows)

    def finish(self, trial: Trial) -> None:
        """Record that the trial has come to its end."""
        assignment, files = self._claims[self._keys[trial]]
        files.finish(trial.reason)
        del self._claims[self._let_go(trial)]
        files.close()
        self._end(assignment, DONE, trial.rows)

    def fail(self, trial: Trial, error: Exception) -> None:
        """Record why the trial stopped; its committed rounds stay."""
        self._refuse(self._let_go(trial), trial.rows, trial.round, error)

    def interrupt(self) -> None:
        """Let go of trials that are not at their end."""
        with contextlib.ExitStack() as stack:
            for key, (assignment, files) in self._claims.items():
                stack.callback(files.close)
                stack.callback(assignment.prepared.tracking.end, key, INTERRUPTED)
            for _, files in self._claims.values():
                with contextlib.suppress(OSError, AlBenchError):
                    files.interrupt()
            self._claims.clear()

    def _let_go(self, trial: Trial) -> TrialKey:
        self.trials[:] = [other for other in self.trials if other is not trial]
        return self._keys.pop(trial)

    def _refuse(
        self, key: TrialKey, rows: Sequence[dict[str, Any]], round: int, error: Exception
    ) -> None:
        """Record why a trial with these committed rows stopped in this round."""
        assignment, claimed = self._claims.pop(key)
        text = "".join(traceback.format_exception(error))
        # On a full disk the failure cannot be stored; it is still told.
        with contextlib.closing(claimed), contextlib.suppress(OSError, AlBenchError):
            claimed.fail(error, text, round)
        message = error_line(error)
        if assignment.prepared.run.has_rounds:
            message = f"round {round}: {message}"
        self._end(assignment, FAILED, rows, message)
        self._stop(assignment, message, error)

    def _end(
        self,
        assignment: Assignment,
        status: str,
        rows: Sequence[dict[str, Any]],
        message: str | None = None,
    ) -> None:
        """Tell how a trial ended."""
        outcome = _outcome(assignment.key, status, rows, message)
        self.outcomes.append(outcome)
        self._report.end(outcome)
        assignment.prepared.tracking.end(outcome.key, status)

    def _stop(self, assignment: Assignment, message: str, error: Exception) -> None:
        """Raise Stopped where the run says that a failed trial is the end."""
        if assignment.prepared.on_error == "stop":
            stopped = Stopped(f"Seed {assignment.seed} failed: {message}")
            stopped.trial = assignment.key
            raise stopped from error


def assignments(
    prepared: Prepared,
    seeds: Sequence[int] | None = None,
    refused: AlBenchError | None = None,
) -> list[Assignment]:
    """The trials of a run.

    Args:
        prepared: The run.
        seeds: Which of its seeds; ``None`` is all that were asked for.
        refused: Why those that are not done must fail; ``None`` runs them.
    """
    return [Assignment(prepared, s, refused) for s in (prepared.seeds if seeds is None else seeds)]


def first_seeds_first(runs: Sequence[Sequence[Assignment]]) -> list[Assignment]:
    """The trials of several runs, each once: the first seed of every run, the second of every one.

    However early a sweep is stopped, its runs have much the same seeds.
    """
    most = max(map(len, runs), default=0)
    in_turn = (run[place] for place in range(most) for run in runs if place < len(run))
    by_key: dict[TrialKey, Assignment] = {}
    for assignment in in_turn:
        by_key.setdefault(assignment.key, assignment)
    return list(by_key.values())


def run_trials(assignments: Sequence[Assignment], report: Report) -> list[TrialOutcome]:
    """Run trials of whichever runs in this process, their networks one by one or in packs.

    Finished trials are not run again; half-done ones go on after their last committed round. A
    trial that fails leaves the others alone. Those that are held elsewhere come last.

    Args:
        assignments: The trials, in the order in which they are begun.
        report: Hears of every round.
    """
    return held_last(
        assignments, lambda some, is_last: run_free_trials(some, report, report_held=is_last)
    )


def held_last(
    assignments: Sequence[Assignment],
    run: Callable[[Sequence[Assignment], bool], list[TrialOutcome]],
) -> list[TrialOutcome]:
    """Run trials; those that others hold are tried once more when all others have ended.

    Args:
        assignments: The trials.
        run: Runs some of them; told whether it is the last time.

    Returns:
        How they ended, run by run in the order of their seeds.
    """
    outcomes = run(assignments, False)
    held = {outcome.key for outcome in outcomes if outcome.status == HELD}
    if held:
        locks.settle([key.paths.lock for key in held])
        outcomes = [outcome for outcome in outcomes if outcome.key not in held]
        outcomes += run([one for one in assignments if one.key in held], True)
    folders = {one.prepared.folder: place for place, one in reversed(list(enumerate(assignments)))}
    return sorted(outcomes, key=lambda outcome: (folders[outcome.key.folder], outcome.key.seed))


def run_free_trials(
    assignments: Sequence[Assignment], report: Report, report_held: bool = True
) -> list[TrialOutcome]:
    """As ``run_trials``, without another try of trials that are held elsewhere.

    Args:
        assignments: The trials, in the order in which they are begun.
        report: Hears of every round.
        report_held: Tell the report of trials that another process holds.
    """
    outcomes: list[TrialOutcome] = []
    at_once = _at_once()
    for group in alike(assignments):
        with engine.restored():
            group[0].prepared.run.engine.set_up()  # again: what was loaded since has threads too
            rest = group
            while rest:
                count, some = _run_part(rest[:at_once], report, report_held)
                outcomes += some
                rest = rest[count:]
    return outcomes


def alike(assignments: Sequence[Assignment]) -> list[list[Assignment]]:
    """Groups of trials that may run side by side, in the order of their first ones.

    Their runs are of one setting, and agree in what a process has one of at a time and in how many
    processes share them.
    """
    groups: dict[tuple[object, ...], list[Assignment]] = {}
    for one in assignments:
        run = one.prepared.run
        key = (setting_of(run), *run.engine.of_process, one.prepared.workers)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _at_once() -> int:
    """How many trials may be under way, of the files that this process may have open."""
    try:
        import resource
    except ImportError:  # Windows
        return AT_ONCE
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return AT_ONCE
    return max(1, min(AT_ONCE, limit // 4))


def _run_part(
    assignments: Sequence[Assignment], report: Report, report_held: bool
) -> tuple[int, list[TrialOutcome]]:
    """Run as many of these trials as fit into memory; how many those are, and how they ended."""
    held: list[TrialOutcome] = []
    rounds = Rounds(report)
    count = 0
    with _interrupting(rounds):
        for assignment in assignments:
            count += 1
            try:
                rounds.take(assignment)
            except TrialHeld as holder:
                held.append(TrialOutcome(assignment.key, HELD, rounds=0, message=str(holder)))
            if sum(trial.num_bytes for trial in rounds.trials) >= BYTES_AT_ONCE:
                break
        # It looks at rounds.trials anew before each round, so that those that ended are gone.
        setting = setting_of(assignments[0].prepared.run)
        setting.execute(rounds.trials, rounds, FirstSteps(rounds.steps))
    for outcome in held if report_held else ():
        report.end(outcome)
    return count, rounds.outcomes + held


@contextlib.contextmanager
def _interrupting(rounds: Rounds) -> Iterator[None]:
    try:
        yield
    finally:
        rounds.interrupt()  # nothing is left to interrupt after a complete run


def _outcome(
    key: TrialKey, status: str, rows: Sequence[dict[str, Any]], message: str | None = None
) -> TrialOutcome:
    """How a trial with these committed rows ended."""
    if not rows:
        return TrialOutcome(key, status, 0, message=message)
    last = rows[-1]
    return TrialOutcome(key, status, len(rows), spent_by(last), last["test_accuracy"], message)
