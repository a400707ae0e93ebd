"""``al-bench plot``: stored results as figures and tables."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from al_bench.configuration.arguments import (
    Command,
    Option,
    listed,
    new_folder,
    number,
    one_of,
    text,
    whole_number,
)
from al_bench.errors import ConfigError, ResultsError, choose
from al_bench.report.publishing import in_lines
from al_bench.text.terminal import print_table, warnings_as_lines, wide_console
from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    from al_bench.configuration.trust import Trust

DEFAULT = ("curves",)  # figures
KINDS = ("curves", "acquisitions", "manifests")  # folders of a run
FORMATS = ("png", "pdf", "svg")

COMMAND = Command(
    name="plot",
    summary="Draws stored results, learning curves above all, and prints their numbers.",
    options=(
        Option("metric", "column to show, or several", ["test_accuracy"], listed(text)),
        Option("format", "png, pdf, svg or several", ["png", "pdf"], listed(one_of(*FORMATS))),
        Option(
            "out",
            "folder of the figures (default: plots in the first folder of results, or here for "
            "single runs and files)",
            read=new_folder,
        ),
        Option(
            "figure",
            "figures to draw: modules of al_bench.plots by name, a function or module of your own "
            "by dotted name, all for whatever there is to show",
            list(DEFAULT),
            listed(text),
        ),
        Option(
            "baseline",
            "strategy that others are compared with (default: random; of selections uniform)",
        ),
        Option(
            "reach",
            "values of the metric, 0.9 for 90 %: how many labels, or steps, do they take",
            read=listed(number()),
        ),
        Option(
            "at",
            "counts of labels or steps, such as [100,150]: the metric there, median and quartiles "
            "over seeds",
            read=listed(whole_number()),
        ),
    ),
    words="results",
    words_help="folders of results, whole, in part or copied (default: results)",
    reads_data=True,  # contact_sheet and pool_map
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
    from al_bench.configuration.trust import Trust

    folders = [Path(word) for word in parsed.words or ["results"]]
    out = Path(parsed["out"]) if parsed["out"] else _default_out(folders[0])
    with warnings_as_lines():
        _plot(
            folders,
            out,
            metric=parsed["metric"],
            figure=parsed["figure"],
            baseline=parsed["baseline"],
            moved=parsed.moved,
            trust=Trust.from_arguments(parsed),
            format=parsed["format"],
            reach=parsed["reach"],
            at=parsed["at"],
        )
    return 0


def _default_out(first: Path) -> Path:
    """``plots`` in a folder of results; here for a run's folder and what lies in it."""
    inside = (
        first.is_file() or first.name in KINDS or any((first / kind).is_dir() for kind in KINDS)
    )
    folder = Path("plots") if inside else first / "plots"
    if not inside and not folder.resolve().is_relative_to(first.resolve()):
        raise ResultsError(
            f"{folder} is a link that leads out of {first}: nothing is written there.",
            "Name the folder of the figures with out=…",
        )
    return folder


def _plot(
    folders: Sequence[Path],
    out: Path,
    *,
    metric: Sequence[str],
    figure: Sequence[str],
    baseline: str | None,
    moved: Mapping[str, str],
    trust: "Trust",
    format: Sequence[str],
    reach: Sequence[float] | None,
    at: Sequence[int] | None,
) -> None:
    from al_bench.plots.figures import Options, available, drawn, find, save
    from al_bench.plots.table import tables, tables_at
    from al_bench.results.frame import read_curves
    from al_bench.stats.summary import mark_controls, marked, metrics, unequal_seeds

    drawers = available() if "all" in figure else {}
    drawers |= {name: find(name) for name in figure if name != "all"}
    frame = mark_controls(in_lines(read_curves(folders)))
    baseline = baseline and in_a_line(baseline)
    valid = metrics(frame)
    for column in metric:
        if column not in valid:
            message = f"These results have no values of a metric {column!r}."
            raise ConfigError(message, choose(column, valid))
    labels = sorted(set(frame["strategy_label"]))
    if baseline is not None and marked(baseline) in labels:
        baseline = marked(baseline)
    if baseline is not None and baseline not in labels:
        raise ConfigError(f"There is no baseline {baseline!r}.", choose(baseline, labels))
    printed = [table for column in metric for table in tables(frame, column, reach)]
    if at:
        printed += [table for column in metric for table in tables_at(frame, column, at)]
    if sentence := unequal_seeds(frame):
        warnings.warn(sentence, stacklevel=1)
    files: set[str] = set()
    sentences: dict[str, None] = {}  # in order, each once
    for column in metric:
        for name, draw in drawers.items():
            reasons: list[str] = []
            options = Options(
                metric=column,
                reach=reach,
                folders=folders,
                moved=moved,
                trust=trust,
                explain=reasons.append,
            )
            figures = drawn(name, draw, frame, options, baseline)
            fresh = {file: figures[file] for file in figures if file not in files}
            files |= fresh.keys()
            for file in save(fresh, out, format):
                print(file, flush=True)  # all figures of many results take minutes
            if not figures:
                reason = f": {reasons[0]}" if reasons else "."
                sentences[f"{name} has nothing to show for {column}{reason}"] = None
            else:
                sentences |= {f"{name} does not show all: {one}": None for one in reasons}
    for sentence in sentences:
        print(in_a_line(sentence), file=sys.stderr)
    console = wide_console()
    for table in printed:
        console.print()
        print_table(console, table)
