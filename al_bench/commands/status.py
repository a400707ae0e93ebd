"""``al-bench status``, and the table at the end of a sweep: what became of everything."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from al_bench.configuration.arguments import Command, Option, one_of, switch
from al_bench.results import sweeps
from al_bench.results.ledger import DAMAGED, DONE, FAILED, PLANNED, RUNNING, STALE, STATES, Entry
from al_bench.results.ledger import status as ledger
from al_bench.results.ledger_words import distinctions
from al_bench.text.console import Console, Table
from al_bench.text.duration import in_words
from al_bench.text.terminal import spans, warnings_as_lines
from al_bench.text.visible import in_a_line

COLORS = {DONE: "green", DAMAGED: "red", FAILED: "red", RUNNING: "cyan", STALE: "yellow"}
_LEAST_NAME = 5  # columns of a name that gives way to what is whole
_LEAST_WIDTH = 70  # of the table; a terminal that is narrower breaks its lines
CHOSEN = ("strategy=", "selection=", "model=")  # words that tell what a job is of

COMMAND = Command(
    "status",
    "Tells what is planned, running, done, damaged, failed, stale or interrupted in a results "
    "folder.",
    options=[
        Option("state", "show only these: " + ", ".join(STATES), None, one_of(*STATES)),
        Option(
            "check",
            "compare the files of finished trials with the hashes in their manifests, not with the "
            "sizes alone",
            False,
            switch,
        ),
    ],
    words="results",
    words_help="results folders, each with a table of its own (default: results)",
)


def status(arguments: list[str]) -> int:
    """Print a line a run and state; failed trials with what went wrong.

    Returns:
        0, or 1 where ``check=true`` has found a file that is not what was stored.
    """
    parsed = COMMAND.parse(arguments)
    if parsed is None:
        return 0
    roots = {Path(word).resolve(): Path(word) for word in parsed.words or ["results"]}
    with warnings_as_lines():
        ledgers = {root: ledger(root, thorough=parsed["check"]) for root in roots.values()}
    wrong = False
    for root, entries in ledgers.items():
        wrong |= any(entry.message for entry in entries if entry.state in (DONE, DAMAGED, STALE))
        asked = [entry for entry in entries if parsed["state"] in (None, entry.state)]
        none = f"none {parsed['state']}, " if entries and not asked else ""
        show(asked)
        print(f"{f'{root}: ' * (len(ledgers) > 1)}{none}{counts(asked or entries)}")
    return int(wrong and parsed["check"])


def summarize_sweep(folder: Path) -> int:
    """Print how the jobs of a sweep ended; 0 when every trial of every job is done, else 1."""
    root = folder.parent.parent
    jobs = [
        sweeps.read_job(folder / planned.job) or planned for planned in sweeps.read_plan(folder)
    ]
    trials = {
        (root / name, seed)
        for job in jobs
        for name, seeds in (job.trials or {}).items()
        for seed in seeds
    }
    stopped = sweeps.stopped(folder)
    more = []
    for job in jobs:
        if job.trials is None and stopped:
            message = f"not run: {stopped}"
            more.append(Entry(PLANNED, job=job.job, overrides=job.overrides, message=message))
        elif job.error is not None or job.trials is None:
            message = job.error or "it did not start"
            more.append(Entry(FAILED, job=job.job, overrides=job.overrides, message=message))
    return summarize(root, trials, f"{len(jobs)} job{'s' * (len(jobs) != 1)}", more)


def summarize(
    root: Path, trials: Set[tuple[Path, int]], what: str, more: Sequence[Entry] = ()
) -> int:
    """Print how these trials ended; 0 when every one is done, else 1.

    Args:
        root: The results folder.
        trials: Folders of runs, with seeds.
        what: What had them to do, with its number: "3 jobs".
        more: Entries of what has no trials.
    """
    with warnings_as_lines():
        entries = ledger(root)
    entries = [entry for entry in entries if (entry.folder, entry.seed) in trials]
    for folder, seed in trials - {(entry.folder, entry.seed) for entry in entries}:
        entries.append(Entry(FAILED, run_id=folder.name, seed=seed, message="it left no record"))
    entries += more
    show(entries)
    print(f"{what}, {counts(entries)}\nresults: {root}")
    return 0 if all(entry.state == DONE for entry in entries) else 1


def show(entries: Sequence[Entry]) -> None:
    """Print a row a run and state, then what went wrong and who runs what, a line each."""
    width = None if sys.stdout.isatty() else 160
    console = Console(width=width, soft_wrap=True)
    console.width = max(console.width, _LEAST_WIDTH)
    words = distinctions(entries)
    everywhere = _everywhere(entries)
    if rows := [entry for entry in entries if entry.run_id or entry.state == PLANNED]:
        console.print(table(rows, words, everywhere))
    for group in _grouped(entries):
        first = group[0]
        run = _run_in_words(first, words)
        where = (
            f"{run} seed {spans(seeds_of(group))}"
            if first.run_id
            else _choice_of(first, everywhere)
        )
        if first.message:
            text = ": ".join(filter(None, (first.state, where, first.message)))
            console.print(in_a_line(text))
        elif first.state == RUNNING:
            sign = _last_sign(group)
            text = f"running: {where} on {first.host}, process {first.pid}{sign}"
            console.print(in_a_line(text))


def _last_sign(entries: Sequence[Entry]) -> str:
    """When these trials have shown that they live; empty where they need not.

    A time to come is by another clock than this machine's, and shown as it is.
    """
    signs = [entry.last_sign for entry in entries if entry.last_sign is not None]
    if not signs:
        return ""
    seconds = time.time() - max(signs)
    if seconds > -1:
        return f", last sign of life {in_words(max(seconds, 0.0))} ago"
    try:
        date = datetime.fromtimestamp(max(signs), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        date = "beyond the year 9999"
    return f", last sign of life dated {date}, by another clock than this machine's"


def table(
    entries: Sequence[Entry],
    words: Mapping[Path, Sequence[str]],
    everywhere: Mapping[str, Set[str]],
) -> Table:
    """A row a run and state; jobs without trials have rows of their own.

    Args:
        entries: What is shown.
        words: What tells runs apart, by folder; see ``distinctions``.
        everywhere: What was typed for every job, by sweep; see ``_everywhere``.
    """
    result = Table()
    differs = ["what differs"] if any(words.values()) else []
    amounts = {entry.spent.word for entry in entries if entry.spent}
    mixed = len(amounts) != 1
    amount = "spent" if mixed else amounts.pop()
    for name in ("data set", "model", "strategy", *differs):
        # Words are folded rather than cut: they are what tells rows apart.
        result.add_column(name, overflow="fold", min_width=_LEAST_NAME)
    for name in ("state", "seeds", amount, "run"):
        result.add_column(name, justify="right" if name == amount else "left")
    for group in _grouped(entries):
        first = group[0]
        distinction = ", ".join(words.get(first.folder, ())) if first.folder else ""
        result.add_row(
            first.task,
            first.model,
            first.strategy_label or _choice_of(first, everywhere),
            *([distinction] if differs else []),
            Text(first.state, COLORS.get(first.state, "default")),
            spans(seeds_of(group)),
            _amount(group, with_word=mixed),
            first.run_id,
        )
    result.keep_whole("state", "seeds", amount, "run")
    return result


def _amount(entries: Iterable[Entry], with_word: bool) -> str:
    """What the trials of a run have spent, from the least to the most."""
    spent = [entry.spent for entry in entries if entry.spent]
    if not spent:
        return ""
    counts = sorted({one.count for one in spent})
    amount = "–".join(map(str, dict.fromkeys([counts[0], counts[-1]])))
    return f"{amount} {spent[0].word}" if with_word else amount


def _run_in_words(entry: Entry, words: Mapping[Path, Sequence[str]]) -> str:
    """A run in words; its id where there are none."""
    if not entry.strategy_label or entry.folder is None:
        return entry.run_id
    return ", ".join([f"{entry.strategy_label} on {entry.task}", *words.get(entry.folder, ())])


def seeds_of(entries: Iterable[Entry]) -> list[int]:
    """The seeds of trials."""
    return [entry.seed for entry in entries if entry.seed is not None]


def _everywhere(entries: Iterable[Entry]) -> dict[str, set[str]]:
    """What was typed for every job of a sweep of which no trial is known, by sweep."""
    common: dict[str, set[str]] = {}
    for entry in entries:
        if entry.overrides:
            words = set(entry.overrides)
            common[entry.sweep] = common.get(entry.sweep, words) & words
    return common


def _choice_of(entry: Entry, everywhere: Mapping[str, Set[str]]) -> str:
    """What tells a job that has no trials: its choices and what differs, or all that was typed."""
    common = everywhere.get(entry.sweep, set())
    chosen = [w for w in entry.overrides if w.startswith(CHOSEN) or w not in common]
    return " ".join(chosen or entry.overrides)


def _grouped(entries: Iterable[Entry]) -> list[list[Entry]]:
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in entries:
        where = (entry.host, entry.pid) if entry.state == RUNNING else ()
        key = (entry.folder, entry.overrides, entry.state, entry.message, where)
        groups.setdefault(key, []).append(entry)
    return list(groups.values())


def counts(entries: Sequence[Entry]) -> str:
    """How many trials are in which state."""
    tally = Counter(entry.state for entry in entries)
    return ", ".join(f"{tally[state]} {state}" for state in STATES if tally[state]) or "nothing yet"
