"""Quality against time, and where a trial's time goes: its phases."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from al_bench.plots import panels, style
from al_bench.plots.figures import Options
from al_bench.stats.ceilings import without_ceilings
from al_bench.stats.measures import Measure, measure
from al_bench.stats.protocols import titles
from al_bench.stats.spent import axis_of
from al_bench.stats.times import phases, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHADES = ("#333333", "#8C8C8C", "#D0D0D0")
_WORDS = {"irreducible": "irreducible losses"}
_UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
_LOG = 20.0  # times that differ by more need a logarithmic axis


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``time_<metric>``: two panels a protocol, evaluation left out of all times.

    Left the metric over the mean time from the beginning of a trial; right the mean time of whole
    trials by phase. The training of irreducible-loss models counts.
    """
    frame = without_ceilings(frame)
    found = times(frame, options.metric, options.level)
    if found.curves.empty:
        options.explain("no times are stored.")
        return {}
    drawn = set(found.curves["protocol_id"])
    shown = measure(options.metric)
    wanted: dict[str, str] = {}
    for key, title in titles(frame).items():
        if key in drawn:
            wanted |= {f"{key} curves": title, f"{key} bars": "Time of a trial"}
    styles = style.assign([*frame["strategy_label"], *found.curves["strategy_label"]])
    figures = {}
    for name, page_titles in panels.pages(wanted, f"time_{options.metric}"):
        keys = {panel: panel.split(" ")[0] for panel in page_titles}
        own = found.curves[found.curves["protocol_id"].isin(set(keys.values()))]
        with style.look():
            _, row = panels.row_names(own["strategy_label"].unique())
            most = own.groupby("protocol_id")["strategy_label"].nunique().max()
            height = max(panels.PANEL_HEIGHT, 1.1 + 0.95 * row * most)
            page = panels.page(page_titles, columns=2, height=height)
            for panel, axes in page.axes.items():
                rows = own[own["protocol_id"] == keys[panel]]
                if panel.endswith("curves"):
                    _curves(axes, rows, styles, shown)
                    axes.set_ylabel(shown.label)
                else:
                    totals = found.totals
                    own_totals = totals[totals["protocol_id"] == keys[panel]]
                    _bars(axes, own_totals, phases(axis_of(frame)))
            panels.legend(page.figure, panels.counted(own), styles)
            figures[name] = page.figure
    return figures


def _curves(
    axes: "Axes", rows: pd.DataFrame, styles: dict[str, style.Style], shown: Measure
) -> None:
    unit, size = _unit(rows["seconds"].max())
    labels = style.order(rows["strategy_label"])
    for rank, label in enumerate(labels):
        own = rows[rows["strategy_label"] == label].sort_values("spent")
        x, look = own["seconds"] / size, styles[label]
        axes.fill_between(x, own["low"] * shown.scale, own["high"] * shown.scale, linewidth=0,
                          color=look.color, zorder=1.5,
                          alpha=panels.opacity(len(labels), own["num_seeds"].max()))  # fmt: skip
        step = math.ceil(len(own) / 8)
        axes.plot(x, own["mean"] * shown.scale, label=label,
                  markevery=list(range(rank % step, len(own), step)), **look.line())  # fmt: skip
    axes.set_ylim(*panels.limits(rows, shown))
    ends = rows.groupby("strategy_label")["seconds"].max()
    if ends.max() > _LOG * ends.min() > 0:
        axes.set_xscale("log")
    axes.set_xlabel(f"Time since the beginning ({unit})")


def _bars(axes: "Axes", totals: pd.DataFrame, names: Sequence[str]) -> None:
    labels = style.order(totals["strategy_label"])
    rows = totals.set_index("strategy_label").loc[labels]
    unit, size = _unit(rows[list(names)].sum(axis=1).max())
    left = pd.Series(0.0, index=rows.index)
    for phase, shade in zip(names, _SHADES, strict=True):
        if phase == "irreducible" and not rows[phase].any():
            continue
        width = rows[phase] / size
        axes.barh(range(len(rows)), width, left=left, height=0.7, color=shade,
                  label=_WORDS.get(phase, phase))  # fmt: skip
        left = left + width
    axes.set_yticks(range(len(rows)), panels.row_names(labels)[0])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"Time ({unit})")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.01), ncols=3, handlelength=1.0,
                borderaxespad=0.0, columnspacing=0.8, fontsize=6.5)  # fmt: skip
    axes.set_ylim(len(rows) - 0.4, -1.3)


def _unit(seconds: float) -> tuple[str, float]:
    """The greatest unit of which there are at least two, and its seconds."""
    return next((unit for unit in _UNITS if seconds >= 2 * unit[1]), _UNITS[-1])
