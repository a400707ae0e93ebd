"""Run the seeds of one prepared run: claim, restore, execute, in this process or in several."""

import contextlib
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from al_bench.errors import AlBenchError, Stopped, told
from al_bench.results import locks
from al_bench.results.history import TrialPaths
from al_bench.results.inside import LedOutside
from al_bench.results.locks import TrialHeld
from al_bench.results.own_code import require_unedited
from al_bench.results.store import Store, TrialFiles
from al_bench.rounds.active_learning import ActiveLearningTrial
from al_bench.rounds.loop import execute
from al_bench.rounds.trial import Trial
from al_bench.running.prepare import Prepared
from al_bench.tracking.guard import Tracking
from al_bench.training.trainer import SequentialTrainer

DONE, FAILED, HELD = "done", "failed", "held"
FIRST_STEPS_SECONDS = 10.0  # after which they tell how long the others will take
AT_ONCE = 100  # trials under way: each has a pool in memory and an open lock


@dataclass(frozen=True)
class SeedOutcome:
    """How one seed of a run ended.

    Args:
        seed: The seed.
        status: ``done``, ``failed`` or ``held`` (another process has it).
        rounds: Rounds committed.
        num_labeled: Labels in the last of them.
        accuracy: Test accuracy of the last of them.
        message: What went wrong.
    """

    seed: int
    status: str
    rounds: int
    num_labeled: int | None = None
    accuracy: float | None = None
    message: str | None = None


class Report(Protocol):
    """Who hears of a run while it goes on."""

    def begin(self, seed: int, rounds_done: int, num_rounds: int) -> None:
        """A seed starts or goes on."""

    def steps(self, seed: int, steps: int, seconds: float) -> None:
        """So many steps of the first round have taken so long; heard once, if it is a long one."""

    def round(self, seed: int, row: dict[str, Any], num_rounds: int) -> None:
        """A round is committed."""

    def end(self, outcome: SeedOutcome) -> None:
        """A seed has ended."""


class FirstSteps:
    """Tells the report of the first round's steps, long before it ends.

    Args:
        report: Hears of them.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
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
            self._report.steps(trial.seed, self._steps, seconds)
        self._is_over = bool(trial.rows) or seconds >= FIRST_STEPS_SECONDS
        self._steps += 1


class Rounds:
    """The loop's store: commits each trial's rounds to its files."""

    def __init__(
        self, files: dict[int, TrialFiles], report: Report, tracking: Tracking, on_error: str
    ) -> None:
        self._files = files  # by seed
        self._report = report
        self._tracking = tracking
        self._on_error = on_error
        self.outcomes: list[SeedOutcome] = []

    def begin(self, trial: Trial) -> None:
        """Tell that the trial starts or goes on."""
        self._report.begin(trial.seed, len(trial.rows), trial.num_rounds)
        self._tracking.begin(trial.seed, trial.rows)

    def commit(
        self, trial: Trial, row: dict[str, Any], acquired: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Make the round durable."""
        require_unedited(trial.run.identity.own_code)
        full = self._files[trial.seed].commit(row, acquired, trial.checkpoint)
        self._report.round(trial.seed, full, trial.num_rounds)
        self._tracking.round(trial.seed, full)
        return full

    def finish(self, trial: Trial) -> None:
        """Record that the trial has come to its end."""
        self._files[trial.seed].finish(trial.reason)
        self._files.pop(trial.seed).close()
        self.end(outcome(trial.seed, DONE, trial.rows))

    def fail(self, trial: Trial, error: Exception) -> None:
        """Record why the trial stopped; its committed rounds stay."""
        self.refuse(trial.seed, trial.rows, trial.round, error)

    def refuse(
        self, seed: int, rows: Sequence[dict[str, Any]], round: int, error: Exception
    ) -> None:
        """Record why a seed with these committed rows stopped in this round."""
        text = "".join(traceback.format_exception(error))
        # On a full disk the failure cannot be stored; it is still told.
        with self._files.pop(seed) as files, contextlib.suppress(OSError, AlBenchError):
            files.fail(error, text, round)
        message = f"round {round}: {told(error)}"
        self.end(outcome(seed, FAILED, rows, message))
        if self._on_error == "stop":
            raise Stopped(f"Seed {seed} failed in {message}") from error

    def unclaimed(self, seed: int, error: Exception) -> None:
        """Tell of a seed whose files may not be touched."""
        self.end(outcome(seed, FAILED, [], told(error)))
        if self._on_error == "stop":
            raise Stopped(f"Seed {seed} failed: {told(error)}") from error

    def interrupt(self) -> None:
        """Let go of trials that are not at their end."""
        with contextlib.ExitStack() as stack:
            for files in self._files.values():
                stack.callback(files.close)
            for files in self._files.values():
                with contextlib.suppress(OSError, AlBenchError):
                    files.interrupt()
            self._files.clear()
            stack.callback(self._tracking.interrupt)

    def end(self, outcome: SeedOutcome) -> None:
        """Tell how a seed ended."""
        self.outcomes.append(outcome)
        self._report.end(outcome)
        self._tracking.end(outcome.seed, outcome.status)


def run_seeds(
    prepared: Prepared,
    seeds: Sequence[int],
    report: Report,
    refused: AlBenchError | None = None,
) -> list[SeedOutcome]:
    """Run these seeds in this process, one network at a time; seeds held elsewhere come last.

    Finished seeds are not run again; half-done ones go on after their last committed round.

    Args:
        prepared: The run.
        seeds: Which of its seeds.
        report: Hears of every round.
        refused: Why seeds that are not done must fail; ``None`` runs them.
    """
    outcomes = run_free_seeds(prepared, seeds, report, report_held=False, refused=refused)
    if held := [ended.seed for ended in outcomes if ended.status == HELD]:
        settle(prepared, held)
        outcomes = [ended for ended in outcomes if ended.status != HELD]
        outcomes += run_free_seeds(prepared, held, report, refused=refused)
    return sorted(outcomes, key=lambda ended: ended.seed)


def settle(prepared: Prepared, seeds: Sequence[int]) -> None:
    """Find out who of those that hold these seeds still lives, and free the seeds of the others.

    Args:
        prepared: The run.
        seeds: Those of its seeds that others hold.
    """
    folder = prepared.results / prepared.run.identity.folder
    locks.settle([TrialPaths(folder, seed).lock for seed in seeds])


def run_free_seeds(
    prepared: Prepared,
    seeds: Sequence[int],
    report: Report,
    report_held: bool = True,
    refused: AlBenchError | None = None,
) -> list[SeedOutcome]:
    """As ``run_seeds``, without another try of seeds that are held elsewhere.

    Args:
        prepared: The run.
        seeds: Which of its seeds.
        report: Hears of every round.
        report_held: Tell the report of seeds that another process holds.
        refused: Why seeds that are not done must fail; ``None`` runs them.
    """
    prepared.run.engine.set_up()  # again: what was loaded since has threads of its own
    store = Store(prepared.results)
    outcomes: list[SeedOutcome] = []
    at_once = _at_once()
    for first in range(0, len(seeds), at_once):
        part = seeds[first : first + at_once]
        ended, held = _run_claimable(prepared, part, report, store, refused)
        outcomes += ended
        for seed, holder in held.items():
            left = SeedOutcome(seed, HELD, rounds=0, message=str(holder))
            if report_held:
                report.end(left)
            outcomes.append(left)
    return outcomes


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


def _run_claimable(
    prepared: Prepared,
    seeds: Sequence[int],
    report: Report,
    store: Store,
    refused: AlBenchError | None,
) -> tuple[list[SeedOutcome], dict[int, TrialHeld]]:
    run = prepared.run
    held: dict[int, TrialHeld] = {}
    files: dict[int, TrialFiles] = {}
    rounds = Rounds(files, report, prepared.tracking, prepared.on_error)
    trials: list[ActiveLearningTrial] = []
    with _interrupting(rounds):
        for seed in seeds:
            try:
                claimed = store.claim(run.identity, seed, run.engine.columns(), prepared.resume)
            except TrialHeld as holder:
                held[seed] = holder
                continue
            except LedOutside as error:
                rounds.unclaimed(seed, error)
                continue
            history = claimed.history
            if claimed.is_done:
                claimed.close()
                rounds.end(outcome(seed, DONE, history.rows))
                continue
            files[seed] = claimed
            try:
                trial = prepared.trial(seed)
            except AlBenchError as error:  # its pool is too small, for one
                rounds.refuse(seed, history.rows, len(history.rows), error)
                continue
            try:
                trial.restore(history.rows, history.acquisitions, history.checkpoint)
                if refused is not None:
                    raise refused
            except AlBenchError as error:
                rounds.fail(trial, error)
                continue
            rounds.begin(trial)
            if trial.finished:
                rounds.finish(trial)
            else:
                trials.append(trial)
        execute(trials, SequentialTrainer(FirstSteps(report)), rounds)
    return rounds.outcomes, held


@contextlib.contextmanager
def _interrupting(rounds: Rounds) -> Iterator[None]:
    try:
        yield
    finally:
        rounds.interrupt()  # nothing is left to interrupt after a complete run


def outcome(
    seed: int, status: str, rows: Sequence[dict[str, Any]], message: str | None = None
) -> SeedOutcome:
    """How a seed with these committed rows ended."""
    if not rows:
        return SeedOutcome(seed, status, 0, message=message)
    last = rows[-1]
    return SeedOutcome(seed, status, len(rows), last["num_labeled"], last["test_accuracy"], message)
