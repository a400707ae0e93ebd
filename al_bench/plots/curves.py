"""Learning curves: means over seeds with 95 % intervals, a panel a protocol."""

from typing import TYPE_CHECKING

import pandas as pd

from al_bench.plots import panels, style
from al_bench.plots.figures import Options
from al_bench.stats.ceilings import ceilings, without_ceilings
from al_bench.stats.measures import Measure, measure
from al_bench.stats.protocols import titles
from al_bench.stats.spent import axis_of
from al_bench.stats.summary import distinct_runs, summarize, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALL = "all labels"
_CEILING = style.Style("#000000", "", "dotted")


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``curves_<metric>``, with ``_2`` and so on where there are more than twelve panels.

    A curve stops where a round is missing for all seeds, and starts again after it. A dotted line
    shows what the same protocol reaches with all labels, where there is a run with ``budget=full``.
    """
    tops = ceilings(frame, options.metric)
    frame = distinct_runs(without_ceilings(frame))
    summary = summarize(tidy(frame, options.metric), options.level)
    drawn = set(summary["protocol_id"])
    wanted = {key: title for key, title in titles(frame).items() if key in drawn}
    datasets = frame.groupby("protocol_id")["dataset"].first()
    styles = style.assign(frame["strategy_label"])
    figures = {}
    for name, page in panels.pages(wanted, f"curves_{options.metric}"):
        rows = summary[summary["protocol_id"].isin(list(page))]
        groups = {key: str(datasets[key]) for key in page}
        with style.look():
            shown = measure(options.metric)
            figures[name] = _figure(rows, page, groups, styles, shown, tops, axis_of(frame).title)
    return figures


def _figure(
    summary: pd.DataFrame,
    titles: dict[str, str],
    groups: dict[str, str],
    styles: dict[str, style.Style],
    shown: Measure,
    tops: dict[str, float],
    x: str,
) -> "Figure":
    """One figure: ``titles`` of the panels, ``groups`` says which share a y axis.

    ``tops`` are values with all labels by panel, ``x`` is what is spent.
    """
    page = panels.page(titles)
    one_group = len(set(groups.values())) == 1
    for key, axes in page.axes.items():
        panels.curves(axes, summary[summary["protocol_id"] == key], styles, shown.scale)
        members = [other for other in titles if groups[other] == groups[key]]
        group = summary[summary["protocol_id"].isin(members)]
        low, high = panels.limits(group, shown, panels.room(group))
        high_tops = [tops[member] * shown.scale for member in members if member in tops]
        margin = 0.04 * (high - low)
        ends = (min([low, *(top - margin for top in high_tops)]),
                max([high, *(top + margin for top in high_tops)]))  # fmt: skip
        axes.set_ylim(*ends)
        if key in tops:
            axes.axhline(tops[key] * shown.scale, label=_ALL, **_CEILING.line())
        if one_group and not page.is_left(key):
            axes.tick_params(labelleft=False)
    page.label(x, shown.label)
    texts = panels.counted(summary)
    if tops.keys() & titles.keys():
        texts[_ALL] = _ALL
    panels.legend(page.figure, texts, {**styles, _ALL: _CEILING})
    return page.figure
