"""``al-bench info``: a stored run in words, and what differs between two."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from al_bench.configuration.arguments import Command, Option, file_or_folder
from al_bench.errors import ConfigError
from al_bench.text.terminal import PIPE_WIDTH, print_table, wide_console
from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    from al_bench.commands.info.differences import Difference
    from al_bench.commands.info.stored_run import StoredRun
    from al_bench.text.console import Table

COMMAND = Command(
    name="info",
    summary="Tells what a stored run is and how it came about; of two runs also what differs.",
    options=(
        Option(
            "results", "results folder in which run ids are looked up", "results", file_or_folder
        ),
    ),
    words="run",
    words_help="a run's folder, a file in it (of one seed: that seed alone), or its id, or the "
    "first digits of it; two of them are compared",
    max_words=2,
)


def info(arguments: Sequence[str]) -> int:
    """Print what is known of one run, or of two and what differs; 0.

    Raises:
        ConfigError: There is no such run, or several have that name.
    """
    parsed = COMMAND.parse(arguments)
    if parsed is None:
        return 0
    if not parsed.words:
        raise ConfigError("Which run?", "Name its folder or id; al-bench status lists them.")
    from al_bench.commands.info.description import lines
    from al_bench.commands.info.differences import differences, sentences
    from al_bench.commands.info.stored_run import find

    runs = [find(word, Path(parsed["results"])) for word in parsed.words]
    width = wide_console().width
    for run in runs:
        print(in_a_line(run.label))
        for name, text in lines(run):
            print(_wrapped(name, in_a_line(text), width))
        print()
    if len(runs) == 2:
        first, second = runs
        differing = differences(first, second)
        for sentence in sentences(first, second, differing):
            print(in_a_line(sentence))
        if differing:
            print_table(wide_console(), _table(differing, runs))
    return 0


def _wrapped(name: str, text: str, width: int) -> str:
    head = f"{name:<15}"
    if width >= PIPE_WIDTH or name in ("command", "files"):  # to be copied, or to be searched
        return f"  {head}{text}"
    return textwrap.fill(
        text,
        width,
        initial_indent=f"  {head}",
        subsequent_indent=" " * 17,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _table(differing: "Sequence[Difference]", runs: "Sequence[StoredRun]") -> "Table":
    from al_bench.text.console import Table

    table = Table()
    table.add_column("what differs", overflow="fold")
    for run in runs:
        table.add_column(_short(run, runs), overflow="fold")
    for one in differing:
        name = one.name if one.kind in ("settings", "code", "seeds") else f"{one.kind}: {one.name}"
        table.add_row(name, one.first, one.second)
    return table


def _short(run: "StoredRun", runs: "Sequence[StoredRun]") -> str:
    """The strategy where that tells the runs apart, else the folder's name, else the folder."""
    labels = [one.name("strategy_label") for one in runs]
    if len(set(labels)) == len(runs):
        return labels[list(runs).index(run)]
    names = {one.folder.name for one in runs}
    return run.folder.name if len(names) == len(runs) else str(run.folder)
