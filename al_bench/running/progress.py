"""What runs say while they go on and when they have ended."""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from al_bench import process
from al_bench.masking import masked_text
from al_bench.results.manifest import DONE
from al_bench.results.spending import spent_by
from al_bench.results.trial_key import TrialKey
from al_bench.running.execution import TrialOutcome
from al_bench.running.names import trial_name
from al_bench.running.remaining import Remaining, seconds_of
from al_bench.text.console import Console, Table
from al_bench.text.duration import about, in_words
from al_bench.text.visible import in_a_line, visible

logger = logging.getLogger(__name__)

BARS = 12  # trials that get a bar of their own; runs likewise, where trials are more


class LogReport:
    """One log line a round: for files, pipes and clusters.

    Args:
        remaining: Hears of every round, and says how long the others will take.
        names: Of the runs, by folder, where there are several.
    """

    def __init__(
        self, remaining: Remaining | None = None, names: Mapping[Path, str] | None = None
    ) -> None:
        self._remaining = remaining
        self._names = names or {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def begin(self, key: TrialKey, rounds_done: int, num_rounds: int) -> None:
        """A trial starts or goes on."""
        if self._remaining is not None:
            self._remaining.begin(key, rounds_done)
        if rounds_done:
            name, last = self._name(key), f"{rounds_done - 1}/{num_rounds - 1}"
            logger.info("%s goes on after round %s", name, last)

    def steps(self, key: TrialKey, steps: int, seconds: float) -> None:
        """The first round is a long one."""
        if self._remaining is None:
            return
        if estimate := first_estimate(self._remaining, self._names, key, steps, seconds):
            logger.info("%s: %s", self._name(key), estimate)

    def round(self, key: TrialKey, row: dict[str, Any], num_rounds: int) -> None:
        """A round is committed."""
        text = describe(row)
        if self._remaining is not None:
            self._remaining.round(key, row)
            text = "; ".join(filter(None, [text, self._remaining.in_words()]))
        logger.info("%s round %d/%d %s", self._name(key), row["round"], num_rounds - 1, text)

    def end(self, outcome: TrialOutcome) -> None:
        """A trial has ended."""
        if self._remaining is not None:
            self._remaining.end(outcome.key)
        name = self._name(outcome.key)
        if outcome.status == DONE:
            logger.info("%s done", name)
        else:
            logger.warning("%s %s: %s", name, outcome.status, outcome.message)

    def _name(self, key: TrialKey) -> str:
        return trial_name(key, self._names)


class BarReport:
    """Bars on a terminal: one a trial, one a run where trials are many, and one for all.

    Args:
        console: The terminal.
        trials: All that were asked for.
        remaining: Hears of every round, and says how long the others will take.
        names: Of the runs, by folder, where there are several.
    """

    def __init__(
        self,
        console: Console,
        trials: Sequence[TrialKey],
        remaining: Remaining,
        names: Mapping[Path, str],
    ) -> None:
        self._remaining = remaining
        self._names = names
        self._trials = trials
        self._bars: dict[TrialKey | Path | None, TaskID] = {}
        self._rounds: dict[TrialKey, tuple[int, int]] = {}  # done, all
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}", markup=False),
            console=console,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        process.set_up_streams()  # of what others print between the bars; stop puts them back
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, key: TrialKey, rounds_done: int, num_rounds: int) -> None:
        """A trial starts or goes on."""
        self._remaining.begin(key, rounds_done)
        self._show(key, rounds_done, num_rounds, "")

    def steps(self, key: TrialKey, steps: int, seconds: float) -> None:
        """The first round is a long one."""
        if estimate := first_estimate(self._remaining, self._names, key, steps, seconds):
            self._progress.console.print(f"{self._name(key)}: {estimate}")

    def round(self, key: TrialKey, row: dict[str, Any], num_rounds: int) -> None:
        """A round is committed."""
        self._remaining.round(key, row)
        self._show(key, row["round"] + 1, num_rounds, describe(row))

    def end(self, outcome: TrialOutcome) -> None:
        """A trial has ended."""
        self._remaining.end(outcome.key)
        if outcome.status == DONE:
            rounds = max(outcome.rounds, 1)
            text = "done"
            if outcome.accuracy is not None:
                text = f"done, {outcome.spent}, accuracy {outcome.accuracy:.3f}"
            self._show(outcome.key, rounds, rounds, text)
        else:
            text = f"{self._name(outcome.key)} {outcome.status}: {outcome.message}"
            self._progress.console.print(in_a_line(text), style="yellow")

    def _name(self, key: TrialKey) -> str:
        return trial_name(key, self._names)

    def _show(self, key: TrialKey, done: int, rounds: int, text: str) -> None:
        self._rounds[key] = (done, rounds)
        self._sum(None, "all", self._trials, self._remaining.in_words())
        if len(self._trials) <= BARS:
            self._bar(key, self._name(key), done, rounds, text)
        elif 1 < len(self._names) <= BARS:
            of_run = [one for one in self._trials if one.folder == key.folder]
            self._sum(key.folder, self._names[key.folder], of_run)

    def _sum(self, bar: Path | None, name: str, trials: Sequence[TrialKey], more: str = "") -> None:
        """A bar of several trials; one of which nothing is known has the rounds of the longest."""
        counts = [self._rounds[one] for one in trials if one in self._rounds]
        unknown = len(trials) - len(counts)
        everything = sum(n for _, n in counts) + unknown * max(n for _, n in counts)
        finished = sum(done == rounds for done, rounds in counts)
        text = ", ".join(filter(None, [f"{finished}/{len(trials)} trials", more]))
        self._bar(bar, name, sum(done for done, _ in counts), everything, text)

    def _bar(
        self, key: TrialKey | Path | None, name: str, done: int, rounds: int, text: str
    ) -> None:
        if key not in self._bars:
            self._bars[key] = self._progress.add_task(name, total=rounds, text=text)
        self._progress.update(self._bars[key], completed=done, total=rounds, text=text)


def first_estimate(
    remaining: Remaining, names: Mapping[Path, str], key: TrialKey, steps: int, seconds: float
) -> str:
    """What a trial's first steps tell of the time to come; nothing where rounds tell more."""
    most = remaining.of_steps(key, seconds / max(steps, 1))
    if most is None:
        return ""
    name = names.get(key.folder)
    return (
        f"{steps:,} steps of training took {in_words(seconds)}; by that all training"
        f"{f' of {name}' if name else ''} takes at most {about(most)}"
    )


def describe(row: dict[str, Any]) -> str:
    """A committed round in a few words."""
    seconds = seconds_of(row)
    spent = spent_by(row)
    return (
        f"{spent.word}={spent.count} accuracy={row['test_accuracy']:.3f} "
        f"nll={row['test_nll']:.3f} {seconds:.1f}s"
    )


def make_report(
    console: Console,
    trials: Sequence[TrialKey],
    remaining: Remaining,
    names: Mapping[Path, str],
) -> LogReport | BarReport:
    """Bars on a terminal, log lines elsewhere."""
    if console.is_terminal:
        return BarReport(console, trials, remaining, names)
    return LogReport(remaining, names)


def outcome_table(title: str, outcomes: Sequence[TrialOutcome]) -> Table:
    """A row a trial of one run."""
    table = Table(title)
    table.add_column("seed", justify="right")
    table.add_column("status")
    spent = {outcome.spent.word for outcome in outcomes if outcome.spent is not None} or {"labels"}
    for name in ("rounds", *spent, "test accuracy"):
        table.add_column(name, justify="right")
    if any(outcome.message for outcome in outcomes):
        table.add_column("message", overflow="fold")
    for outcome in outcomes:
        accuracy = "" if outcome.accuracy is None else f"{outcome.accuracy:.4f}"
        count = "" if outcome.spent is None else str(outcome.spent.count)
        cells = [str(outcome.key.seed), outcome.status, str(outcome.rounds), count, accuracy]
        table.add_row(*cells, *([outcome.message or ""] if len(table.columns) > 5 else []))
    return table


class _Lines(logging.Formatter):
    """A line a message, without secrets; below it the traceback where there is one."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return in_a_line(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        return visible(masked_text(super().format(record)))


def set_up_logging() -> None:
    """Log lines of al-bench on standard output; libraries' warnings too."""
    logging.raiseExceptions = False  # a closed pipe is no reason for tracebacks
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Lines("%(asctime)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger("al_bench")
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
