"""Pairwise penalties: in how many rounds the row is significantly better than the column."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.plots import panels, style
from al_bench.plots.compared import PARTLY, comparison, marked
from al_bench.plots.figures import Options
from al_bench.stats.across import lost, partly, penalty_matrix
from al_bench.stats.spent import axis_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_IN_COLUMN = 8  # strategies that one column of a page has room for
_MAX_NUMBERS = 14  # and those whose cells have room for numbers
_ROW = 0.24  # inches of a row of cells


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """The figure ``penalties_<metric>``.

    A cell is the share of rounds in which the row's strategy is significantly better than the
    column's (paired t-test at the 5 % level), summed over protocols (Ash et al. 2020,
    arXiv:1906.03671); a dash: no protocol has both. The last row adds up a column: what a strategy
    loses in all; the least is first.
    """
    from matplotlib.figure import Figure

    found = comparison(frame, options, needs_baseline=False)
    if found is None:
        return {}
    names, matrix = penalty_matrix(found)
    if len(names) < 2:
        options.explain(f"it takes two {axis_of(frame).choices}.")
        return {}
    size = len(names)
    count = len(found.protocols)
    lacking = partly(found.protocols, names)
    shown, row = panels.row_names(marked(names, lacking))
    longest = max(len(line) for name in shown for line in name.split("\n"))
    # Names below the columns lean; those of several lines stand, or they would cross each other.
    slope = 90 if any("\n" in name for name in shown) else 40
    column = size <= _MAX_IN_COLUMN and slope < 90
    width = style.COLUMN_WIDTH if column else style.PAGE_WIDTH
    text = style.RC["ytick.labelsize"]
    below = 0.2 + math.sin(math.radians(slope)) * longest * 0.55 * text / 72
    height = max(row, _ROW) * (size + 1) + below + 0.7
    with style.look():
        figure = Figure(figsize=(width, height), layout="constrained")
        cells, totals = figure.subplots(
            2, 1, sharex=True, height_ratios=[size, 1], gridspec_kw={"hspace": 0.02}
        )
        _cells(cells, matrix, shown, "Blues", float(count))
        most = float(count * (size - 1))
        _cells(totals, lost(matrix)[None], ["total"], "Greys", most)
        cells.tick_params(labelbottom=False)
        leaning = {"ha": "right", "rotation_mode": "anchor"} if slope < 90 else {}
        totals.set_xticks(range(size), shown, rotation=slope, **leaning)
        if lacking:
            figure.supxlabel(f"{PARTLY}: less to lose", fontsize=text)
        what = "share of all" + (f", summed over {count} protocols" if count > 1 else "")
        title = f"Rounds in which the row beats the column\n{found.measure.words}, {what}"
        figure.suptitle(title, fontsize=style.RC["axes.titlesize"])
    return {f"penalties_{options.metric}": figure}


def _cells(
    axes: "Axes", values: NDArray[np.float64], rows: Sequence[str], map: str, most: float,
) -> None:  # fmt: skip
    own = np.zeros(values.shape, dtype=np.bool_)
    if len(rows) > 1:
        np.fill_diagonal(own, True)
    shown = np.where(own, np.nan, values)
    axes.imshow(shown, cmap=map, vmin=0.0, vmax=max(1.3 * most, 1e-9), aspect="auto")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if values.shape[1] <= _MAX_NUMBERS:
        for (row, column), value in np.ndenumerate(shown):
            if own[row, column]:
                continue
            text = "–" if np.isnan(value) else f"{value:.2f}" if value else "0"
            color = "white" if value > 0.8 * most else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=color)
