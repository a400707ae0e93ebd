"""Mean ranks over protocols with 95 % intervals: 1 is best."""

from typing import TYPE_CHECKING

import pandas as pd

from al_bench.plots import panels, style
from al_bench.plots.compared import PARTLY, marked, over_protocols
from al_bench.plots.figures import Options

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """The figure ``ranks_<metric>``: strategies ranked by area, the mean over protocols.

    Intervals are of the bootstrap over seeds within each protocol.
    """
    from matplotlib.figure import Figure

    compared = over_protocols(frame, options, "ranks are means")
    if compared is None:
        return {}
    found, together = compared
    styles = style.assign(together.arms)
    ranks = together.ranks
    with style.look():
        names, height = panels.row_names(marked(together.arms, together.partly))
        size = (style.COLUMN_WIDTH, 0.85 + height * len(together.arms))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        for row, arm in enumerate(together.arms):
            look = styles[arm]
            axes.plot([ranks.low[row], ranks.high[row]], [row, row], color=look.color, alpha=0.5,
                      linewidth=2.2)  # fmt: skip
            axes.plot([ranks.value[row]], [row], color=look.color, marker=look.marker, markersize=5)
        axes.set_yticks(range(len(together.arms)), names)
        axes.set_ylim(len(together.arms) - 0.4, -0.6)
        axes.set_xlim(0.85, len(together.arms) + 0.15)
        axes.set_xticks(range(1, len(together.arms) + 1))
        axes.grid(visible=False, axis="y")
        count = len(together.protocols)
        note = f"\n{PARTLY}: ranked among fewer" if together.partly else ""
        figure.supxlabel(f"Mean rank, {found.measure.words}, {count} protocols{note}")
    return {f"ranks_{options.metric}": figure}
