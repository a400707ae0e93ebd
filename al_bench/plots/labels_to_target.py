"""Labels or steps to a value: median and quartiles over seeds, and how many never get there."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.plots import panels, style
from al_bench.plots.compared import comparison
from al_bench.plots.figures import Options
from al_bench.stats.arms import ProtocolResult
from al_bench.stats.intervals import quartiles
from al_bench.stats.measures import measure
from al_bench.stats.spent import axis_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

USUAL = (0.9, 0.95)


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``labels_to_target_<metric>``: a panel a protocol and value, a row a strategy.

    A dot is the median over seeds of the first stored count of labels, or steps, at which the value
    is reached, a line goes from quartile to quartile; strokes are seeds. An arrow at the right end
    stands for a median or quartile beyond the budget.
    """
    shown = measure(options.metric)
    usual = USUAL if shown.higher_is_better and shown.unit == "%" else ()
    reach = tuple(dict.fromkeys(usual if options.reach is None else options.reach))
    if not reach:
        options.explain(f"name values of {options.metric} with reach=…")
        return {}
    found = comparison(frame, options, reach, needs_baseline=False)
    if found is None:
        return {}
    along = [result for result in found.protocols if not result.is_one_count]
    if not along:
        options.explain("one round is all that the budgets buy, so there are no curves.")
        return {}
    titles, content = {}, {}
    for result in along:
        for target in reach:
            if options.reach is None and not _reached(result, target):
                continue
            unit = " %" if shown.unit == "%" else ""
            key = f"{result.key} {target:g}"
            titles[key] = f"{result.title} · to {target * shown.scale:g}{unit}"
            content[key] = (result, target)
    if not titles:
        options.explain(f"no {axis_of(frame).choice} reaches 0.9; name other values with reach=…")
        return {}
    styles = style.assign([arm.arm for result in found.protocols for arm in result.arms])
    most = max(len(result.curves) for result, _ in content.values())
    figures = {}
    for name, page_titles in panels.pages(titles, f"labels_to_target_{options.metric}"):
        with style.look():
            columns = {1: 1, 2: 2, 4: 2}.get(len(page_titles), 3)
            names = {arm for key in page_titles for arm in content[key][0].curves}
            _, row = panels.row_names(names, _limit(columns))
            page = panels.page(page_titles, columns, 0.85 + row * most, beside=0.6)
            alike = len({tuple(sorted(content[key][0].curves)) for key in page_titles}) == 1
            for key, axes in page.axes.items():
                _panel(axes, *content[key], styles, columns)
                if alike and not page.is_left(key):
                    axes.tick_params(labelleft=False)
            page.label(axis_of(frame).title)
            figures[name] = page.figure
    return figures


def _limit(columns: int) -> int:
    """Signs of an arm's name in a line, so that most of a panel is left to what it shows."""
    return 24 if columns < 3 else 16


def _reached(result: ProtocolResult, target: float) -> bool:
    return any(np.isfinite(arm.labels_to[target]).any() for arm in result.arms)


def _panel(
    axes: "Axes",
    result: ProtocolResult,
    target: float,
    styles: dict[str, style.Style],
    columns: int,
) -> None:
    from matplotlib.ticker import MaxNLocator

    labels = style.order(arm.arm for arm in result.arms)
    values = {arm.arm: arm.labels_to[target] for arm in result.arms}
    low, high = _range(result, np.concatenate([*values.values(), np.empty(0)]))
    width = max(high - low, 1.0)
    end = high + 0.06 * width  # where "beyond the budget" is drawn
    for row, label in enumerate(labels):
        _row(axes, row, values[label], end, styles[label])
        never = int(np.isinf(values[label]).sum())
        if never:
            text = f"{never} of {len(values[label])} never"
            axes.annotate(
                text, (1, row), (3, 0), ("axes fraction", "data"), "offset points",
                va="center", fontsize=6,
            )  # fmt: skip
    axes.set_yticks(range(len(labels)), panels.row_names(labels, _limit(columns))[0])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(low - 0.08 * width, high + 0.1 * width)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(visible=False, axis="y")


def _range(result: ProtocolResult, labels: NDArray[np.float64]) -> tuple[float, float]:
    """Counts at which anything happens, to the budget's end where someone lies beyond it."""
    counts = np.concatenate([curve.counts for curve in result.curves.values()])
    first, last = float(counts.min()), float(counts.max())
    reached = labels[np.isfinite(labels)]
    if len(reached) == 0:
        return first, last
    low = float(reached.min())
    high = float(reached.max()) if len(reached) == len(labels) else last
    lacking = max((last - first) / 4 - (high - low), 0.0)  # a few labels should not look like many
    return max(low - lacking / 2, first), min(high + lacking / 2, last)


def _row(
    axes: "Axes", row: int, values: NDArray[np.float64], end: float, look: style.Style
) -> None:
    if not len(values):
        return
    first, median, third = (min(value, end) for value in quartiles(values))
    axes.plot([first, third], [row, row], color=look.color, linewidth=2.2, alpha=0.45, zorder=2)
    seeds = np.sort(values[np.isfinite(values)])
    axes.plot(
        seeds,
        np.full(len(seeds), row),
        "|",
        color=look.color,
        markersize=5,
        zorder=2.2,
        markeredgewidth=0.8,
    )
    if third >= end:
        axes.plot([end], [row], ">", color=look.color, markersize=3.5, zorder=2.4)
    if median < end and not math.isnan(median):
        axes.plot([median], [row], look.marker, color=look.color, markersize=5, zorder=2.6)
