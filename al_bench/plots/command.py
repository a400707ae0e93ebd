"""``al-bench plot``: stored results as figures and tables."""

import sys
from collections.abc import Sequence
from pathlib import Path

from al_bench.arguments import Command, Option, listed, number, one_of, text
from al_bench.errors import ConfigError, choose
from al_bench.terminal import warnings_as_lines, wide_console

FORMATS = ("png", "pdf", "svg")

COMMAND = Command(
    name="plot",
    summary="Draws stored results, learning curves above all, and prints their numbers.",
    options=(
        Option("metric", "column to show, or several", ["test_accuracy"], listed(text)),
        Option("format", "png, pdf, svg or several", ["png", "pdf"], listed(one_of(*FORMATS))),
        Option("out", "folder of the figures (default: plots in the first folder of results)"),
        Option(
            "figure",
            "figures to draw: modules of al_bench.plots by name, your own by dotted name "
            "(default: all of al_bench.plots that have something to show)",
            read=listed(text),
        ),
        Option(
            "reach",
            "values of the metric, 0.9 for 90 %: how many labels do they take",
            read=listed(number()),
        ),
    ),
    words="results",
    words_help="folders of results, whole, in part or copied (default: results)",
)


def plot(arguments: Sequence[str]) -> int:
    """Draw what the arguments ask for; print the paths and the numbers.

    Warnings go to stderr, a line each.

    Returns:
        The exit code, 0.

    Raises:
        ConfigError: There is no such key, folder, metric or figure.
        ResultsError: There is nothing to read, or the figures cannot be written.
    """
    parsed = COMMAND.parse(arguments)
    if parsed is None:
        return 0
    folders = [Path(word) for word in parsed.words or ["results"]]
    first = folders[0].parent if folders[0].is_file() else folders[0]
    out = Path(parsed["out"]) if parsed["out"] else first / "plots"
    with warnings_as_lines():
        _plot(
            folders,
            out,
            metric=parsed["metric"],
            figure=parsed["figure"],
            format=parsed["format"],
            reach=parsed["reach"],
        )
    return 0


def _plot(
    folders: Sequence[Path],
    out: Path,
    *,
    metric: Sequence[str],
    figure: Sequence[str] | None,
    format: Sequence[str],
    reach: Sequence[float] | None,
) -> None:
    from al_bench.plots.figures import Options, available, find, save
    from al_bench.plots.table import tables
    from al_bench.results.frame import read_curves
    from al_bench.stats.summary import metrics

    drawers = {name: find(name) for name in figure} if figure else available()
    frame = read_curves(folders)
    valid = metrics(frame)
    for column in metric:
        if column not in valid:
            message = f"These results have no values of a metric {column!r}."
            raise ConfigError(message, choose(column, valid))
    printed = [table for column in metric for table in tables(frame, column, reach)]
    for column in metric:
        for name, draw in drawers.items():
            figures = draw(frame, Options(column))
            for path in save(figures, out, format):
                print(path)
            if not figures and figure:
                print(f"{name} has nothing to show for {column}.", file=sys.stderr)
    console = wide_console()
    for table in printed:
        console.print()
        console.print(table)
