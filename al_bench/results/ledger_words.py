"""How the runs of a results folder differ, in the words that tell them apart."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from al_bench.results import settings, wording
from al_bench.results.ledger import Entry


def distinctions(entries: Iterable[Entry]) -> dict[Path, tuple[str, ...]]:
    """How runs of one data set and model differ beside their strategies, by folder.

    Strategies of one name are told apart too.
    """
    runs = {entry.folder: entry for entry in entries if entry.folder and entry.names}
    alike: dict[tuple[str, str], list[Path]] = {}
    for folder, entry in runs.items():
        alike.setdefault((entry.task, entry.model), []).append(folder)
    by_folder: dict[Path, tuple[str, ...]] = {}
    for folders in alike.values():
        labels = {runs[folder].strategy_label for folder in folders}
        if len(labels) < len(folders):  # else their strategies tell them apart
            by_folder |= _words([runs[folder] for folder in folders])
    return by_folder


def _words(runs: Sequence[Entry]) -> dict[Path, tuple[str, ...]]:
    """How these runs differ but for their strategies; where those are equal too, in anything."""
    aside = ("dataset", "pool", "model")
    first = {run.protocol_id: run for run in runs}  # one run says it all, and files are many
    words = wording.distinctions(
        [_setup(run) for run in first.values()],
        aside,
        covers=wording.is_of_protocol,
    )
    by_protocol = dict(zip(first, words, strict=True))
    by_folder: dict[Path, tuple[str, ...]] = {}
    equal: dict[tuple[str, str], list[Entry]] = {}
    for run in runs:
        equal.setdefault((run.strategy_label, run.protocol_id), []).append(run)
    for (_, protocol), group in equal.items():
        further: Sequence[tuple[str, ...]] = [()]
        if len(group) > 1:
            further = wording.distinctions([_setup(run) for run in group], aside)
        for run, rest in zip(group, further, strict=True):
            assert run.folder is not None
            by_folder[run.folder] = by_protocol[protocol] + rest
    return by_folder


def _setup(run: Entry) -> wording.Setup:
    names = {group: run.names[name] for group, name in wording.NAMES.items()}
    assert run.folder is not None
    return wording.Setup(names, settings.of_run(run.folder) or {})
