"""Learning curves: means over seeds with 95 % intervals, a panel a protocol."""

from typing import TYPE_CHECKING

import pandas as pd

from al_bench.plots import panels, style
from al_bench.plots.figures import Options
from al_bench.stats.measures import Measure, measure
from al_bench.stats.protocols import titles
from al_bench.stats.summary import distinct_runs, summarize, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``curves_<metric>``, with ``_2`` and so on where there are more than twelve panels.

    A curve stops where a round is missing for all seeds, and starts again after it.
    """
    frame = distinct_runs(frame)
    summary = summarize(tidy(frame, options.metric), options.level)
    drawn = set(summary["protocol_id"])
    shown = {key: title for key, title in titles(frame).items() if key in drawn}
    datasets = frame.groupby("protocol_id")["dataset"].first()
    styles = style.assign(frame["strategy_label"])
    figures = {}
    for name, page in panels.pages(shown, f"curves_{options.metric}"):
        rows = summary[summary["protocol_id"].isin(list(page))]
        groups = {key: str(datasets[key]) for key in page}
        with style.look():
            figures[name] = _figure(rows, page, groups, styles, measure(options.metric))
    return figures


def _figure(
    summary: pd.DataFrame,
    titles: dict[str, str],
    groups: dict[str, str],
    styles: dict[str, style.Style],
    shown: Measure,
) -> "Figure":
    """One figure: ``titles`` of the panels, ``groups`` says which share a y axis."""
    page = panels.page(titles)
    one_group = len(set(groups.values())) == 1
    for key, axes in page.axes.items():
        panels.curves(axes, summary[summary["protocol_id"] == key], styles, shown.scale)
        members = [other for other in titles if groups[other] == groups[key]]
        axes.set_ylim(*panels.limits(summary[summary["protocol_id"].isin(members)], shown))
        if one_group and not page.is_left(key):
            axes.tick_params(labelleft=False)
    page.label("Number of labels", shown.label)
    panels.legend(page.figure, panels.counted(summary), styles)
    return page.figure
