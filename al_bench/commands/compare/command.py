"""``al-bench compare``: is one strategy better than another, by how much, and is it chance?"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from al_bench.configuration.arguments import (
    Arguments,
    Command,
    Option,
    listed,
    new_file,
    number,
    one_of,
    switch,
    text,
)
from al_bench.errors import ConfigError
from al_bench.results import outputs
from al_bench.text.spreadsheet import without_formulas
from al_bench.text.terminal import print_table, warnings_as_lines, wide_console
from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    import pandas as pd

    from al_bench.stats.comparison import Comparison

FORMATS = ("table", "csv", "json", "parquet", "latex", "markdown")

COMMAND = Command(
    name="compare",
    summary="Compares stored results with a baseline, seed by seed, and says in words what holds.",
    options=(
        Option(
            "baseline",
            "arm that the others are compared with (default: random; of selections uniform)",
        ),
        Option("metric", "column to compare", "test_accuracy"),
        Option(
            "arms",
            "what is compared: strategy, or [strategy,model] and any further keys",
            ["strategy"],
            listed(text),
        ),
        Option(
            "reach",
            "values of the metric, 0.9 for 90 %: how many labels, or steps, do they take",
            read=listed(number()),
        ),
        Option(
            "margin",
            "differences of area within it are equivalent, in the table's unit: points of accuracy "
            "(default: 0.5 points)",
            read=number(minimum=0.0),
        ),
        Option("count_validation", "count validation points as labels", False, switch),
        Option(
            "aa",
            "compare the baseline's seeds with themselves too: how often is chance called a find",
            False,
            switch,
        ),
        Option("format", "table, csv, json, parquet, latex or markdown", "table", one_of(*FORMATS)),
        Option("out", "file to write instead of the terminal", read=new_file("comparison.csv")),
    ),
    words="results",
    words_help="folders of results, whole, in part or copied (default: results)",
)


def compare(arguments: Sequence[str]) -> int:
    """Compare what the arguments name and print or write the result; 0.

    Raises:
        ConfigError: There is no such key, folder, metric, arm or baseline.
        ResultsError: There is nothing to read, or the file cannot be written.
    """
    parsed = COMMAND.parse(arguments)
    if parsed is None:
        return 0
    if parsed["format"] == "parquet" and parsed["out"] is None:
        raise ConfigError("format=parquet needs a file.", "Add out=comparison.parquet.")
    from al_bench.results import manifest, sweeps
    from al_bench.results.frame import read_curves
    from al_bench.results.schema import ENGINE
    from al_bench.stats.comparison import compare as compare_frame
    from al_bench.stats.measures import measure

    with warnings_as_lines():
        folders = [Path(word) for word in parsed.words or ["results"]]
        frame = read_curves(folders, apart=[arm for arm in parsed["arms"] if arm in ENGINE])
        result = compare_frame(
            frame,
            metric=parsed["metric"],
            baseline=parsed["baseline"],
            arms=parsed["arms"],
            reach=parsed["reach"] or (),
            margin=parsed["margin"] and parsed["margin"] / measure(parsed["metric"]).scale,
            count_validation=parsed["count_validation"],
            aa=parsed["aa"],
            spans=manifest.spans(content for _, content in manifest.under(folders))
            if frame["seed"].nunique() > 2
            else None,
            staged=sweeps.read_decisions(folders),
        )
    _show(result, parsed)
    return 0


def _print(result: "Comparison", parsed: Arguments, stream: IO[str]) -> None:
    from al_bench.commands.compare.terminal import (
        across_table,
        itself_table,
        labels_table,
        speed_up_table,
        targets_of,
        verdict_table,
    )
    from al_bench.stats.across import across

    console = wide_console(stream)
    for protocol in result.protocols:
        print_table(console, verdict_table(result, protocol))
        says_more = protocol.is_compared or targets_of(protocol)
        if protocol.baseline is not None and says_more and not protocol.is_one_count:
            print_table(console, labels_table(result, protocol))
            if any(arm.speed_up is not None for arm in protocol.arms):
                print_table(console, speed_up_table(protocol))
        for arm in protocol.arms:
            if arm.against_itself is not None:
                print_table(console, itself_table(arm.arm, arm.against_itself))
        console.print()
    for axis, kind in result.by_axis().items():
        together = across(kind)
        if together is not None:
            baseline = parsed["baseline"] or axis.baseline
            print_table(console, across_table(together, baseline, result.measure))
            console.print()
    for caveat in result.caveats:
        console.print(f"note: {in_a_line(caveat)}", soft_wrap=True)


def _show(result: "Comparison", parsed: Arguments) -> None:
    """Print the result, or write it to the file that was asked for."""
    out = parsed["out"]
    if out is None:
        _content(result, parsed, sys.stdout)
        return
    with outputs.written(Path(out)) as stream:
        if parsed["format"] == "parquet":
            _rows(result).to_parquet(stream)
        else:
            text = io.StringIO()
            _content(result, parsed, text)
            stream.write(text.getvalue().encode(errors="backslashreplace"))
    print(out)


def _content(result: "Comparison", parsed: Arguments, stream: IO[str]) -> None:
    if parsed["format"] == "table":
        _print(result, parsed, stream)
    else:
        print(_formatted(_rows(result), parsed["format"]), file=stream)


def _rows(result: "Comparison") -> "pd.DataFrame":
    from al_bench.stats.rows import arm_rows

    return arm_rows(result)


def _formatted(rows: "pd.DataFrame", format: str) -> str:
    if format == "csv":
        return str(without_formulas(rows).to_csv(index=False)).rstrip("\n")
    if format == "json":
        return str(rows.to_json(orient="records", indent=2))
    from al_bench.commands.compare.publish import latex, markdown

    return latex(rows) if format == "latex" else markdown(rows)
