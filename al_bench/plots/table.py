"""The numbers behind learning curves, as tables for a terminal."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from al_bench.errors import ConfigError
from al_bench.plots.style import order
from al_bench.stats.measures import Measure, check_reach, measure
from al_bench.stats.protocols import titles
from al_bench.stats.spent import Axis, by_axis
from al_bench.stats.summary import CURVE, final_table, metrics, quartiles, tidy
from al_bench.text.natural import natural

if TYPE_CHECKING:
    from al_bench.text.console import Table

_REACH = (0.9, 0.95)


def tables(
    frame: pd.DataFrame, metric: str, reach: Sequence[float] | None = None, level: float = 0.95
) -> "list[Table]":
    """A table for each protocol, a row for each strategy, the best final value first.

    Args:
        frame: Rows of curves.
        metric: A numeric column.
        reach: Values of the metric as stored (0.9 for 90 %); the labels, or steps, that it takes to
            reach them are shown. None looks for 0.9 and 0.95 where the metric is a fraction to be
            raised, and shows those that some strategy reaches.
        level: Of the intervals.

    Raises:
        ConfigError: The metric cannot be shown, or a value of ``reach`` lies out of its range.
    """
    shown = measure(metric)
    check_reach(reach or (), metric, shown)
    usual = _REACH if shown.higher_is_better and shown.unit == "%" else ()
    thresholds = list(usual if reach is None else dict.fromkeys(reach))
    descending = shown.higher_is_better is not False
    result = []
    for axis, part in _with_metric(frame, metric):
        numbers = final_table(tidy(part, metric), thresholds, descending, level)
        numbers = numbers.sort_values("strategy_label", key=lambda labels: labels.map(natural))
        numbers = numbers.sort_values("final", ascending=not descending, kind="stable")
        for key, title in titles(part).items():
            rows = numbers[numbers["protocol_id"] == key].to_dict("records")
            columns = [
                t
                for t in thresholds
                if reach or any(r[f"never_{t:g}"] < r[f"known_{t:g}"] for r in rows)
            ]
            if rows:
                result.append(_table(title, rows, shown, axis, columns, level))
    return result


def tables_at(frame: pd.DataFrame, metric: str, counts: Sequence[int]) -> "list[Table]":
    """A table for each protocol: median [quartiles] over seeds at the counts asked for.

    Args:
        frame: Rows of curves.
        metric: A numeric column.
        counts: Of labels, or of steps where these are spent.

    Raises:
        ConfigError: No curve has a round at one of them.
    """
    from al_bench.text.console import Table

    shown = measure(metric)
    parts = {axis: (part, tidy(part, metric)) for axis, part in _with_metric(frame, metric)}
    stored = sorted({int(count) for _, curves in parts.values() for count in curves["spent"]})
    for count in counts:
        if count not in stored:
            near = sorted(stored, key=lambda known: (abs(known - count), known))[:2]
            hint = f"The nearest are {' and '.join(map(str, sorted(near)))}."
            spent = " or ".join(axis.many for axis in parts)
            raise ConfigError(f"No curve has a round at {count} {spent}.", hint)
    result = []
    for axis, (part, curves) in parts.items():
        numbers = quartiles(curves, counts)
        seeds: dict[Any, int] = curves.groupby(CURVE)["seed"].nunique().to_dict()
        for key, title in titles(part).items():
            rows = numbers[numbers["protocol_id"] == key]
            table = Table(
                f"{title}: {shown.label}",
                caption="median [quartiles] over seeds; nothing where no seed has a round",
            )
            table.add_column(axis.choice, overflow="fold")
            table.add_column("seeds", justify="right")
            for count in counts:
                table.add_column(f"at {count} {axis.many}", justify="right")
            for label in order(rows["strategy_label"]):
                own = rows[rows["strategy_label"] == label].set_index("spent")
                total = seeds[key, label]
                cells = [_quartiles(own, count, total, shown) for count in counts]
                table.add_row(label, str(total), *cells)
            if len(rows):
                result.append(table)
    return result


def _with_metric(frame: pd.DataFrame, metric: str) -> list[tuple[Axis, pd.DataFrame]]:
    """What spends labels and what spends steps, as far as it has the metric."""
    kinds = list(by_axis(frame))
    return [kind for kind in kinds if len(kinds) == 1 or metric in metrics(kind[1])]


def _quartiles(rows: pd.DataFrame, count: int, total: int, shown: Measure) -> str:
    """``91.2 [90.1, 92.0]``, and of how many seeds where some have no round there."""
    if count not in rows.index:
        return ""
    row: Any = rows.loc[count]
    digits = 3 if shown.scale == 1 else 2
    median, low, high = (
        f"{row[name] * shown.scale:.{digits}f}" for name in ("median", "low", "high")
    )
    seeds = int(row["num_seeds"])
    return f"{median} [{low}, {high}]" + ("" if seeds == total else f" ({seeds} of {total})")


def _table(
    title: str,
    rows: Sequence[dict[Any, Any]],
    shown: Measure,
    axis: Axis,
    thresholds: Sequence[float],
    level: float,
) -> "Table":
    from al_bench.text.console import Table

    caption = f"± half of the {100 * level:g} % interval over seeds"
    heading = f"{title}: {shown.label}"
    if any(math.isnan(row["area"]) for row in rows):
        caption += "; no area where there is one count, or no seed has all"
    table = Table(heading, caption=caption)
    table.add_column(axis.choice, overflow="fold")
    for name in ("seeds", axis.many, "at the end", "normalized area"):
        table.add_column(name, justify="right")
    for threshold in thresholds:
        unit = " %" if shown.unit == "%" else ""
        table.add_column(f"{axis.many} to {threshold * shown.scale:g}{unit}", justify="right")
    for row in rows:
        table.add_row(
            row["strategy_label"],
            str(row["num_seeds"]),
            f"{row['first']} to {row['last']}" if row["first"] < row["last"] else str(row["last"]),
            _with_interval(row, "final", shown),
            _with_interval(row, "area", shown),
            *(_to(row, threshold) for threshold in thresholds),
        )
    return table


def _with_interval(row: dict[Any, Any], name: str, shown: Measure) -> str:
    """``91.25 ± 0.40``, and of how many seeds where some have no part in it."""
    mean, half = row[name] * shown.scale, (row[f"{name}_high"] - row[name]) * shown.scale
    if math.isnan(mean):
        return ""
    digits = 3 if shown.scale == 1 else 2
    text = f"{mean:.{digits}f}" + ("" if math.isnan(half) else f" ± {half:.{digits}f}")
    seeds = row[f"{name}_seeds"]
    return text if seeds == row["num_seeds"] else f"{text} ({seeds} of {row['num_seeds']})"


def _to(row: dict[Any, Any], threshold: float) -> str:
    """The median count, and how many seeds never got there."""
    median, never, known = (row[f"{name}_{threshold:g}"] for name in ("to", "never", "known"))
    if never == known:
        return "never" if never else ""
    text = "more" if math.isinf(median) else f"{median:g}"
    return f"{text} ({never} of {known} never)" if never else text
