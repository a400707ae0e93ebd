"""What selections took their steps on: points wrongly labeled, known, outside or seen before."""

import warnings
from typing import TYPE_CHECKING

import pandas as pd

from al_bench.plots import panels, style
from al_bench.plots.bought import panel_titles
from al_bench.plots.figures import Options
from al_bench.stats.measures import Measure
from al_bench.stats.protocols import titles
from al_bench.stats.selected import KINDS, shares
from al_bench.stats.spent import axis_of
from al_bench.stats.summary import distinct_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WORDS = {
    "wrong": "wrong labels",
    "known": "already predicted right",
    "outside": "out of place",
    "seen": "trained on before",
}


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``selected``: a panel a protocol and kind, means with intervals over steps.

    A value is a share of the points chosen since the evaluation before. Kinds that no selection of
    a protocol has chosen are left out. "Out of place" are points of a class that the test set
    lacks, or from another data set.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # told of the metric asked for
        content = shares(frame, options.level)
    if not content:
        options.explain("it shows what steps were taken on, which no row here tells.")
        return {}
    kinds = {key: [k for k in KINDS if (key, k) in content] for key in titles(frame)}
    shown_kinds = {key: [_WORDS[kind] for kind in own] for key, own in kinds.items() if own}
    wanted = panel_titles(shown_kinds, frame)
    panel_of = {f"{key} {_WORDS[kind]}": curves for (key, kind), curves in content.items()}
    styles = style.assign(distinct_runs(frame)["strategy_label"])
    shown = Measure("points chosen", "%", 100.0, low=0.0, high=1.0)
    figures = {}
    for name, page_titles in panels.pages(wanted, "selected"):
        with style.look():
            page = panels.page(page_titles)
            for panel, axes in page.axes.items():
                panels.curves(axes, panel_of[panel], styles, shown.scale)
                low, high = panels.limits(panel_of[panel], shown)
                axes.set_ylim(max(low, -0.02 * high), high)
            page.label(axis_of(frame).title, "Points chosen (%)")
            drawn = pd.concat([panel_of[panel] for panel in page_titles])
            panels.legend(page.figure, panels.counted(drawn), styles)
            figures[name] = page.figure
    return figures
