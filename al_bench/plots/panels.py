"""What figures share: pages of panels, curves with bands, limits, wrapped titles, legends."""

import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.plots import style
from al_bench.stats.measures import Measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

MAX_PANELS = 12  # to a figure; more go to further figures
PANEL_HEIGHT = 2.3  # inches, with title and labels
_MARKERS = 9  # to a curve, at most
_LINE = 1.25  # height of a line of text, of its size
_ROW = 0.19  # inches of a row that has a name of one line
_TICKS = 0.4  # inches beside a panel that its labels take and its title cannot


@dataclass(frozen=True)
class Page:
    """A figure with its panels by key, row by row; made by ``page``."""

    figure: "Figure"
    axes: "dict[str, Axes]"
    columns: int

    def is_left(self, key: str) -> bool:
        """Whether the panel begins a row."""
        return list(self.axes).index(key) % self.columns == 0

    def label(self, x: str = "", y: str = "") -> None:
        """Label the x axes that have no panel below them and the y axes at the left."""
        for place, (key, axes) in enumerate(self.axes.items()):
            if place + self.columns >= len(self.axes):
                axes.set_xlabel(x)
            if self.is_left(key):
                axes.set_ylabel(y)


def pages(panels: Mapping[str, str], name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """File names and panels of the figures that ``panels`` (key to title) fill.

    The first is called ``name``, the others ``name_2`` and so on.
    """
    items = list(panels.items())
    for start in range(0, len(items), MAX_PANELS):
        suffix = f"_{start // MAX_PANELS + 1}" if start else ""
        yield name + suffix, dict(items[start : start + MAX_PANELS])


def page(
    panels: Mapping[str, str],
    columns: int | None = None,
    height: float = PANEL_HEIGHT,
    beside: float = 0.0,
) -> Page:
    """A figure with an empty panel for each key of ``panels`` under its title.

    Args:
        panels: Key to title; the parts of a title are joined by " · ".
        columns: ``None`` chooses by the number of panels: one to four side by side.
        height: Of a row of panels, inches; further lines of titles come on top of it.
        beside: Room beside a panel that its title cannot use, inches, if more than usual.
    """
    from matplotlib.figure import Figure

    columns = columns or {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    rows = math.ceil(len(panels) / columns)
    width = style.COLUMN_WIDTH if columns == 1 else style.PAGE_WIDTH
    titles = [wrapped(title, width / columns - max(beside, _TICKS)) for title in panels.values()]
    further = sum(
        max(title.count("\n") for title in titles[start : start + columns])
        for start in range(0, len(titles), columns)
    )
    inches = height * rows + further * lines_height(1, style.RC["axes.titlesize"])
    figure = Figure(figsize=(width, inches), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for unused in grid.flat[len(panels) :]:
        unused.remove()
    axes = dict(zip(panels, grid.flat, strict=False))
    for own, title in zip(axes.values(), titles, strict=True):
        own.set_title(title)
    return Page(figure, axes, columns)


def lines_height(count: int, size: float) -> float:
    """Inches that so many lines of text take; ``size`` is of their font, points."""
    return count * size * _LINE / 72


def curves(
    axes: "Axes", summary: pd.DataFrame, styles: Mapping[str, style.Style], scale: float
) -> None:
    """A line a strategy with its band, and gaps where rounds are missing.

    Args:
        axes: The panel.
        summary: What ``stats.summary.summarize`` returned, of one protocol.
        styles: Of the strategies.
        scale: Shown value over stored value.
    """
    from matplotlib.ticker import MaxNLocator

    labels = style.order(summary["strategy_label"])
    for rank, label in enumerate(labels):
        rows = summary[summary["strategy_label"] == label]
        # A NaN in front of a count that isn't joined to the one before makes a gap.
        breaks = np.flatnonzero(~rows["joined"].to_numpy())[1:]
        x = np.insert(rows["spent"].to_numpy(dtype=float), breaks, np.nan)
        y = {
            name: np.insert(rows[name].to_numpy() * scale, breaks, np.nan)
            for name in ("mean", "low", "high")
        }
        alone = _alone(y["mean"])
        look = styles[label]
        # Later curves lie above earlier ones, and all lines above all bands.
        axes.fill_between(
            x, y["low"], y["high"], color=look.color, linewidth=0, zorder=1.5,
            alpha=opacity(len(labels), rows["num_seeds"].max()),
        )  # fmt: skip
        axes.vlines(x[alone], y["low"][alone], y["high"][alone], color=look.color, alpha=0.5)
        axes.plot(
            x, y["mean"], label=label, markevery=_marked(alone, y["mean"], rank), **look.line()
        )
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.margins(x=0.03)


def opacity(bands: int, seeds: int) -> float:
    """Of one of so many bands, that of a curve over so many seeds."""
    usual = min(0.2, max(0.08, 0.8 / max(bands, 1)))  # many bands lie above each other
    # The interval of two seeds is 13 standard errors wide: it must not hide the others.
    return 0.35 * usual if seeds <= 2 else usual


def _alone(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a value has no neighbour that a line could go to."""
    there = np.pad(~np.isnan(values), 1)
    return there[1:-1] & ~there[:-2] & ~there[2:]


def _marked(alone: NDArray[np.bool_], values: NDArray[np.float64], rank: int) -> list[int]:
    """Which points carry a marker: a few, at other places for each curve, and all lonely ones."""
    present = np.flatnonzero(~np.isnan(values))
    step = math.ceil(len(present) / _MARKERS)
    return sorted({*present[rank % step :: step].tolist(), *np.flatnonzero(alone).tolist()})


def limits(summary: pd.DataFrame, shown: Measure, room: float = 1 / 3) -> tuple[float, float]:
    """Ends of the y axis: all means, and the intervals as far as they leave the means readable.

    Intervals get at most ``room`` times the height of the means on either side.

    With two seeds an interval is 13 standard errors wide to either side and would flatten the rest.
    """
    means = summary["mean"] * shown.scale
    least = max(1e-3 * abs(means).max(), 1e-2 * shown.scale)  # less is not worth a picture
    span = max(means.max() - means.min(), least)
    beyond = span * room / (1 if summary["num_seeds"].max() > 2 else 2)
    low = np.fmin(means.min(), max(summary["low"].min() * shown.scale, means.min() - beyond))
    high = np.fmax(means.max(), min(summary["high"].max() * shown.scale, means.max() + beyond))
    lacking = max(least - (high - low), 0.0)
    low, high = low - lacking / 2, high + lacking / 2
    margin = 0.04 * max(high - low, span)
    # Never beyond what is possible, but for half a marker.
    return (
        float(max(low - margin, shown.low * shown.scale - margin / 2)),
        float(min(high + margin, shown.high * shown.scale + margin / 2)),
    )


def room(summary: pd.DataFrame, beside_lines: float = 1 / 3) -> float:
    """The ``room`` of ``limits`` for what ``summarize`` returned.

    Points that no line joins, of more than two seeds, show their whole intervals.
    """
    is_alone = not summary["joined"].any() and summary["num_seeds"].max() > 2
    return math.inf if is_alone else beside_lines


def wrapped(title: str, width: float) -> str:
    """``title`` in lines that fit ``width`` inches, broken between its parts."""
    limit = int(width * 72 / (0.58 * style.RC["axes.titlesize"]))
    lines = [""]
    parts = style.shown(title).split(" · ")
    for part in (piece for whole in parts for piece in broken(whole, limit)):
        joined = f"{lines[-1]} · {part}" if lines[-1] else part
        lines = [*lines[:-1], joined] if len(joined) <= limit or not lines[-1] else [*lines, part]
    return "\n".join(lines)


def broken(text: str, limit: int) -> list[str]:
    """``text`` in lines of at most ``limit`` signs, broken behind a sign where it can be."""
    lines = [""]
    for piece in re.findall(r"[^\s(,./_-]*[\s(,./_-]?", text):
        if len(lines[-1] + piece.rstrip()) > limit and lines[-1]:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > limit:
            lines = [*lines[:-1], lines[-1][:limit], lines[-1][limit:]]
    return [line.strip() for line in lines if line.strip()]


def row_names(names: Iterable[str], limit: int = 24) -> tuple[list[str], float]:
    """Names at the left of rows, in lines of at most ``limit`` signs, and the height of a row.

    The height is in inches, that of the name with most lines.
    """
    lines = [broken(style.shown(name), limit) for name in names]
    most = max((len(each) for each in lines), default=1)
    height = max(_ROW, lines_height(most, style.RC["ytick.labelsize"]) + 0.05)
    return ["\n".join(each) for each in lines], height


def counted(summary: pd.DataFrame) -> dict[str, str]:
    """Strategy to "bald (n = 3)", from the columns ``strategy_label`` and ``num_seeds``."""
    texts = {}
    for label in style.order(summary["strategy_label"]):
        seeds = summary.loc[summary["strategy_label"] == label, "num_seeds"]
        least, most = seeds.min(), seeds.max()
        number = f"{most}" if least == most else f"{least} to {most}"
        texts[label] = f"{label} (n = {number})"
    return texts


def legend(figure: "Figure", texts: Mapping[str, str], styles: Mapping[str, style.Style]) -> None:
    """The strategies of ``texts`` below the panels, in as many columns as fit."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.lines import Line2D

    if not texts:
        return
    FigureCanvasAgg(figure)  # text has no width without it
    width, height = figure.get_size_inches()
    limit = 26 if width == style.COLUMN_WIDTH else 48  # characters, for at least two columns
    handles = [Line2D([], [], **styles[label].line()) for label in texts]
    lines = [_filled(text, limit) for text in texts.values()]
    row = _legend(figure, handles, lines, len(handles))
    widths = np.array([text.get_window_extent().width for text in row.get_texts()])
    beside = (row.get_window_extent().width - widths.sum()) / len(handles)  # a column's
    row.remove()
    for columns in range(len(handles), 0, -1):
        parts = np.array_split(widths, columns)  # as the legend fills its columns
        estimate = sum(part.max() for part in parts) + columns * beside
        if estimate / figure.dpi > 1.05 * width and columns > 1:
            continue  # making a legend only to see that it is too wide takes long
        found = _legend(figure, handles, lines, columns)
        box = found.get_window_extent()
        if box.width / figure.dpi <= 0.98 * width or columns == 1:
            figure.set_size_inches(width, height + box.height / figure.dpi)
            break
        found.remove()


def _legend(
    figure: "Figure", handles: "Sequence[Line2D]", lines: Sequence[str], columns: int
) -> "Legend":
    # A name that begins with _ would be left out.
    found = figure.legend(handles, [" "] * len(lines), loc="outside lower center", ncols=columns)
    for text, line in zip(found.get_texts(), lines, strict=True):
        text.set_text(line)
    return found


def _filled(text: str, limit: int) -> str:
    """``text`` in lines of at most ``limit`` characters; what stands in brackets stays together."""
    kept = re.sub(r"\([^)]*\)", lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    kept = kept if max(map(len, kept.split(" "))) <= limit else text
    lines = textwrap.fill(kept, limit, break_long_words=False)
    return lines.replace("\N{NO-BREAK SPACE}", " ")
