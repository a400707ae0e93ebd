"""Calibration: a reliability diagram at the last count of what is spent, ECE and NLL over it."""

import warnings
from typing import TYPE_CHECKING

import pandas as pd

from al_bench.plots import panels, style
from al_bench.plots.figures import Options
from al_bench.stats.calibration import reliability
from al_bench.stats.ceilings import without_ceilings
from al_bench.stats.measures import measure
from al_bench.stats.protocols import titles
from al_bench.stats.spent import Axis, axis_of
from al_bench.stats.summary import distinct_runs, metrics, summarize, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = ("test_ece", "test_nll")
MIN_POINTS = 20  # of a bin: fewer say nothing of its accuracy


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``calibration``: three panels a protocol.

    In the reliability diagram a point is a bin of confidences, over the test points of all seeds;
    bins with fewer than 20 are left out. Below the diagonal the model is more confident than right.
    """
    frame = without_ceilings(frame)
    bins, axis = reliability(frame, MIN_POINTS), axis_of(frame)
    valid = set(metrics(frame))
    if bins.empty or not valid.issuperset(CURVES):
        options.explain("no calibration is stored.")
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # told of the metric asked for
        curves = {name: summarize(tidy(frame, name), options.level) for name in CURVES}
    drawn = set(bins["protocol_id"])
    styles = style.assign(distinct_runs(frame)["strategy_label"])
    row_titles = titles(frame)
    wanted = {
        f"{key} {kind}": "" for key in row_titles if key in drawn for kind in ("bins", *CURVES)
    }
    figures = {}
    for name, page_titles in panels.pages(wanted, "calibration"):
        keys = {panel.split(" ")[0] for panel in page_titles}
        with style.look():
            page = panels.page(page_titles, columns=3)
            for panel, axes in page.axes.items():
                key, kind = panel.split(" ")
                if kind == "bins":
                    # One title for the three panels: room for all of a protocol's names.
                    text = panels.wrapped(row_titles[key], style.PAGE_WIDTH - 0.5)
                    axes.set_title(text, loc="left")
                    _diagram(axes, bins[bins["protocol_id"] == key], styles, axis)
                    continue
                summary, shown = curves[kind], measure(kind)
                own = summary[summary["protocol_id"] == key]
                panels.curves(axes, own, styles, shown.scale)
                if len(own):
                    axes.set_ylim(*panels.limits(own, shown, panels.room(own)))
                axes.set_xlabel(axis.title)
                axes.set_ylabel(shown.label.replace("calibration error (ECE)", "ECE"))
            counted = bins[bins["protocol_id"].isin(keys)]
            panels.legend(page.figure, panels.counted(counted), styles)
            figures[name] = page.figure
    return figures


def _diagram(axes: "Axes", bins: pd.DataFrame, styles: dict[str, style.Style], axis: Axis) -> None:
    axes.plot([0, 100], [0, 100], color="#AAAAAA", linewidth=0.8, zorder=1.2)
    for label in style.order(bins["strategy_label"]):
        own = bins[bins["strategy_label"] == label]
        axes.plot(100 * own["confidence"], 100 * own["accuracy"], label=label, markersize=2.5,
                  **styles[label].line())  # fmt: skip
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 102)
    axes.set_xlabel(f"Confidence at {axis.counted(bins['spent'].iloc[0])} (%)")
    axes.set_ylabel("Accuracy (%)")
