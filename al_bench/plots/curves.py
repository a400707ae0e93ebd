"""Learning curves: means over seeds with 95 % intervals, a panel a protocol."""

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.plots import style
from al_bench.plots.figures import Options
from al_bench.stats.measures import Measure, measure
from al_bench.stats.protocols import titles
from al_bench.stats.summary import distinct_runs, summarize, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 12  # to a figure; more go to further figures
_PANEL_HEIGHT = 2.3  # inches, with title and labels
_MARKERS = 9  # to a curve, at most


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``curves_<metric>``, with ``_2`` and so on where there are more than twelve panels.

    A curve stops where a round is missing for all seeds, and starts again after it.
    """
    frame = distinct_runs(frame)
    summary = summarize(tidy(frame, options.metric), options.level)
    drawn = set(summary["protocol_id"])
    panels = [(key, title) for key, title in titles(frame).items() if key in drawn]
    datasets = frame.groupby("protocol_id")["dataset"].first()
    styles = style.assign(frame["strategy_label"])
    figures = {}
    for start in range(0, len(panels), MAX_PANELS):
        page = dict(panels[start : start + MAX_PANELS])
        name = f"curves_{options.metric}" + (f"_{start // MAX_PANELS + 1}" if start else "")
        rows = summary[summary["protocol_id"].isin(list(page))]
        groups = {key: str(datasets[key]) for key in page}
        with style.look():
            figures[name] = _figure(rows, page, groups, styles, measure(options.metric))
    return figures


def _figure(
    summary: pd.DataFrame,
    page: dict[str, str],
    groups: dict[str, str],
    styles: dict[str, style.Style],
    shown: Measure,
) -> "Figure":
    """One figure: ``page`` holds the panels' titles, ``groups`` which panels share a y axis."""
    from matplotlib.figure import Figure

    columns = {1: 1, 2: 2, 4: 2}.get(len(page), 3)
    rows = math.ceil(len(page) / columns)
    width = style.COLUMN_WIDTH if columns == 1 else style.PAGE_WIDTH
    figure = Figure(figsize=(width, _PANEL_HEIGHT * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for unused in grid.flat[len(page) :]:
        unused.remove()
    one_group = len(set(groups.values())) == 1
    for place, (key, axes) in enumerate(zip(page, grid.flat, strict=False)):
        _panel(axes, summary[summary["protocol_id"] == key], styles, shown.scale)
        axes.set_title(_wrapped(page[key], width / columns))
        members = [other for other in page if groups[other] == groups[key]]
        axes.set_ylim(*_limits(summary[summary["protocol_id"].isin(members)], shown))
        if place + columns >= len(page):
            axes.set_xlabel("Number of labels")
        if place % columns == 0:
            axes.set_ylabel(shown.label)
        elif one_group:
            axes.tick_params(labelleft=False)
    _legend(figure, summary, styles)
    return figure


def _panel(
    axes: "Axes", summary: pd.DataFrame, styles: dict[str, style.Style], scale: float
) -> None:
    from matplotlib.ticker import MaxNLocator

    labels = style.order(summary["strategy_label"])
    opacity = min(0.2, max(0.08, 0.8 / len(labels)))  # bands of many curves lie above each other
    for rank, label in enumerate(labels):
        rows = summary[summary["strategy_label"] == label]
        # A NaN in front of a count that isn't joined to the one before makes a gap.
        breaks = np.flatnonzero(~rows["joined"].to_numpy())[1:]
        x = np.insert(rows["num_labeled"].to_numpy(dtype=float), breaks, np.nan)
        y = {
            name: np.insert(rows[name].to_numpy() * scale, breaks, np.nan)
            for name in ("mean", "low", "high")
        }
        alone = _alone(y["mean"])
        look = styles[label]
        # Later curves lie above earlier ones, and all lines above all bands.
        axes.fill_between(
            x, y["low"], y["high"], color=look.color, alpha=opacity, linewidth=0, zorder=1.5
        )
        axes.vlines(x[alone], y["low"][alone], y["high"][alone], color=look.color, alpha=0.5)
        axes.plot(
            x, y["mean"], label=label, markevery=_marked(alone, y["mean"], rank), **look.line()
        )
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.margins(x=0.03)


def _alone(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a value has no neighbour that a line could go to."""
    there = np.pad(~np.isnan(values), 1)
    return there[1:-1] & ~there[:-2] & ~there[2:]


def _marked(alone: NDArray[np.bool_], values: NDArray[np.float64], rank: int) -> list[int]:
    """Which points carry a marker: a few, at other places for each curve, and all lonely ones."""
    present = np.flatnonzero(~np.isnan(values))
    step = math.ceil(len(present) / _MARKERS)
    return sorted({*present[rank % step :: step].tolist(), *np.flatnonzero(alone).tolist()})


def _limits(summary: pd.DataFrame, shown: Measure) -> tuple[float, float]:
    """Ends of the y axis: all means, and the intervals as far as they leave the means readable.

    With two seeds an interval is 13 standard errors wide to either side and would flatten the rest.
    """
    means = summary["mean"] * shown.scale
    span = max(means.max() - means.min(), 1e-3 * abs(means).max(), 1e-3 * shown.scale)
    low = np.fmin(means.min(), max(summary["low"].min() * shown.scale, means.min() - span / 3))
    high = np.fmax(means.max(), min(summary["high"].max() * shown.scale, means.max() + span / 3))
    margin = 0.04 * max(high - low, span)
    # Never beyond what is possible, but for half a marker.
    return (
        float(max(low - margin, shown.low * shown.scale - margin / 2)),
        float(min(high + margin, shown.high * shown.scale + margin / 2)),
    )


def _wrapped(title: str, width: float) -> str:
    """``title`` in lines that fit ``width`` inches, broken between its parts."""
    limit = int(width * 72 / (0.58 * style.RC["axes.titlesize"]))
    lines = [""]
    for part in title.split(" · "):
        joined = f"{lines[-1]} · {part}" if lines[-1] else part
        lines = [*lines[:-1], joined] if len(joined) <= limit or not lines[-1] else [*lines, part]
    return "\n".join(lines)


def _legend(figure: "Figure", summary: pd.DataFrame, styles: dict[str, style.Style]) -> None:
    """Every strategy with its number of seeds, below the panels, in as many columns as fit."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.lines import Line2D

    FigureCanvasAgg(figure)  # text has no width without it
    width, height = figure.get_size_inches()
    limit = 26 if width == style.COLUMN_WIDTH else 48  # characters, for at least two columns
    handles, texts = [], []
    for label in style.order(summary["strategy_label"]):
        seeds = summary.loc[summary["strategy_label"] == label, "num_seeds"]
        least, most = seeds.min(), seeds.max()
        number = f"{most}" if least == most else f"{least} to {most}"
        handles.append(Line2D([], [], **styles[label].line()))
        texts.append(textwrap.fill(f"{label} (n = {number})", limit, break_long_words=False))
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(handles, texts, loc="outside lower center", ncols=columns)
        box = legend.get_window_extent()
        if box.width / figure.dpi <= 0.98 * width or columns == 1:
            break
        legend.remove()
    figure.set_size_inches(width, height + box.height / figure.dpi)
