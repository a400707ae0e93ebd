"""What a run says while it goes on and when it has ended."""

import logging
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from al_bench import process
from al_bench.masking import masked_text
from al_bench.running.execution import DONE, SeedOutcome
from al_bench.running.remaining import Remaining
from al_bench.text.console import Console, Table
from al_bench.text.duration import about, in_words
from al_bench.text.visible import in_a_line, visible

logger = logging.getLogger(__name__)

BARS = 12  # seeds that get a bar of their own


class LogReport:
    """One log line a round: for files, pipes and clusters.

    Args:
        remaining: Hears of every round, and says how long the others will take.
    """

    def __init__(self, remaining: Remaining | None = None) -> None:
        self._remaining = remaining

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def begin(self, seed: int, rounds_done: int, num_rounds: int) -> None:
        """A seed starts or goes on."""
        if self._remaining is not None:
            self._remaining.begin(seed, rounds_done)
        if rounds_done:
            logger.info("seed %d goes on after round %d/%d", seed, rounds_done - 1, num_rounds - 1)

    def steps(self, seed: int, steps: int, seconds: float) -> None:
        """The first round is a long one."""
        if self._remaining is not None and (said := told_steps(self._remaining, steps, seconds)):
            logger.info("seed %d: %s", seed, said)

    def round(self, seed: int, row: dict[str, Any], num_rounds: int) -> None:
        """A round is committed."""
        said = describe(row)
        if self._remaining is not None:
            self._remaining.round(seed, row)
            said = "; ".join(filter(None, [said, self._remaining.said()]))
        logger.info("seed %d round %d/%d %s", seed, row["round"], num_rounds - 1, said)

    def end(self, outcome: SeedOutcome) -> None:
        """A seed has ended."""
        if self._remaining is not None:
            self._remaining.end(outcome.seed)
        if outcome.status == DONE:
            logger.info("seed %d done", outcome.seed)
        else:
            logger.warning("seed %d %s: %s", outcome.seed, outcome.status, outcome.message)


class BarReport:
    """Bars on a terminal: one a seed, and one for all, with the time that is left.

    Args:
        console: The terminal.
        seeds: All that were asked for.
        remaining: Hears of every round, and says how long the others will take.
    """

    def __init__(self, console: Console, seeds: Sequence[int], remaining: Remaining) -> None:
        self._remaining = remaining
        self._seeds = list(seeds)
        self._bars: dict[int | None, TaskID] = {}
        self._rounds: dict[int, tuple[int, int]] = {}  # seed: done, all
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[said]}", markup=False),
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

    def begin(self, seed: int, rounds_done: int, num_rounds: int) -> None:
        """A seed starts or goes on."""
        self._remaining.begin(seed, rounds_done)
        self._show(seed, rounds_done, num_rounds, "")

    def steps(self, seed: int, steps: int, seconds: float) -> None:
        """The first round is a long one."""
        if said := told_steps(self._remaining, steps, seconds):
            self._progress.console.print(f"seed {seed}: {said}")

    def round(self, seed: int, row: dict[str, Any], num_rounds: int) -> None:
        """A round is committed."""
        self._remaining.round(seed, row)
        self._show(seed, row["round"] + 1, num_rounds, describe(row))

    def end(self, outcome: SeedOutcome) -> None:
        """A seed has ended."""
        self._remaining.end(outcome.seed)
        if outcome.status == DONE:
            rounds = max(outcome.rounds, 1)
            said = f"done, {outcome.num_labeled} labels, accuracy {outcome.accuracy:.3f}"
            self._show(outcome.seed, rounds, rounds, said)
        else:
            said = f"seed {outcome.seed} {outcome.status}: {outcome.message}"
            self._progress.console.print(in_a_line(said), style="yellow")

    def _show(self, seed: int, done: int, rounds: int, said: str) -> None:
        self._rounds[seed] = (done, rounds)
        known = list(self._rounds.values())
        everything = max(rounds for _, rounds in known) * len(self._seeds)
        finished = sum(done == rounds for done, rounds in known)
        trials = f"{finished}/{len(self._seeds)} trials"
        label = ", ".join(filter(None, [trials, self._remaining.said()]))
        self._bar(None, "all", sum(done for done, _ in known), everything, label)
        if len(self._seeds) <= BARS:
            self._bar(seed, f"seed {seed}", done, rounds, said)

    def _bar(self, key: int | None, name: str, done: int, rounds: int, said: str) -> None:
        if key not in self._bars:
            self._bars[key] = self._progress.add_task(name, total=rounds, said=said)
        self._progress.update(self._bars[key], completed=done, total=rounds, said=said)


def told_steps(remaining: Remaining, steps: int, seconds: float) -> str:
    """What the first steps tell of the time to come; nothing where rounds tell more."""
    most = remaining.of_steps(seconds / max(steps, 1))
    if most is None:
        return ""
    return (
        f"{steps:,} steps of training took {in_words(seconds)}; by that all training takes at most "
        f"{about(most)}"
    )


def describe(row: dict[str, Any]) -> str:
    """A committed round in a few words."""
    parts = ("seconds_fit", "seconds_evaluate", "seconds_score", "seconds_select")
    seconds = sum(row.get(part) or 0.0 for part in parts)
    return (
        f"labels={row['num_labeled']} accuracy={row['test_accuracy']:.3f} "
        f"nll={row['test_nll']:.3f} {seconds:.1f}s"
    )


def make_report(
    console: Console, seeds: Sequence[int], remaining: Remaining
) -> LogReport | BarReport:
    """Bars on a terminal, log lines elsewhere."""
    if console.is_terminal:
        return BarReport(console, seeds, remaining)
    return LogReport(remaining)


def outcome_table(title: str, outcomes: Sequence[SeedOutcome]) -> Table:
    """A row a seed."""
    table = Table(title)
    table.add_column("seed", justify="right")
    table.add_column("status")
    for name in ("rounds", "labels", "test accuracy"):
        table.add_column(name, justify="right")
    if any(ended.message for ended in outcomes):
        table.add_column("message", overflow="fold")
    for ended in outcomes:
        accuracy = "" if ended.accuracy is None else f"{ended.accuracy:.4f}"
        labels = "" if ended.num_labeled is None else str(ended.num_labeled)
        cells = [str(ended.seed), ended.status, str(ended.rounds), labels, accuracy]
        table.add_row(*cells, *([ended.message or ""] if len(table.columns) > 5 else []))
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
