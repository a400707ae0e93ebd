"""Differences to the baseline with simultaneous 95 % bands, paired by seed, a panel a protocol."""

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

import pandas as pd

from al_bench.plots import panels, style
from al_bench.plots.compared import comparison, points
from al_bench.plots.figures import Options
from al_bench.stats.bands import difference_bands
from al_bench.stats.spent import axis_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``difference_<metric>``: strategy less baseline over what is spent.

    A band holds the whole curve of expected differences with 95 % probability: where it leaves out
    zero anywhere, the strategy differs from the baseline.
    """
    found = comparison(frame, options)
    if found is None:
        return {}
    parts = [difference_bands(protocol, level=options.level) for protocol in found.protocols]
    parts = [_drawable(part) for part in parts if len(part)]
    if not parts:
        options.explain(f"nothing shares a seed with {options.baseline}.")
        return {}
    rows = pd.concat(parts, ignore_index=True)
    drawn = set(rows["protocol_id"])
    titles = {result.key: result.title for result in found.protocols if result.key in drawn}
    styles = style.assign([*frame["strategy_label"], *rows["strategy_label"]])
    base = styles[options.baseline]
    unit = points(found.measure)
    shown = replace(found.measure, words=f"Δ {found.measure.words}", unit=unit, low=-inf, high=inf)
    figures = {}
    for name, page_titles in panels.pages(titles, f"difference_{options.metric}"):
        own = rows[rows["protocol_id"].isin(list(page_titles))]
        with style.look():
            page = panels.page(page_titles)
            for key, axes in page.axes.items():
                part = own[own["protocol_id"] == key]
                axes.axhline(0.0, color=base.color, linestyle=base.linestyle, zorder=1.8)
                panels.curves(axes, part, styles, shown.scale)
                for label, band in part.groupby("strategy_label"):
                    for end in ("low", "high"):  # edges tell bands apart that lie above each other
                        axes.plot(
                            band["spent"],
                            band[end] * shown.scale,
                            color=styles[str(label)].color,
                            linewidth=0.5,
                            alpha=0.6,
                            label="_edge",
                        )
                zero = part.iloc[:1].assign(mean=0.0, low=0.0, high=0.0)
                room = panels.room(part, beside_lines=0.8)
                axes.set_ylim(*panels.limits(pd.concat([part, zero]), shown, room))
            page.label(axis_of(frame).title, shown.label)
            plain = {options.baseline: replace(base, marker="")}
            texts = {options.baseline: f"{options.baseline} (baseline)", **panels.counted(own)}
            panels.legend(page.figure, texts, {**styles, **plain})
            figures[name] = page.figure
    return figures


def _drawable(rows: pd.DataFrame) -> pd.DataFrame:
    """Without strategies that ended at their first count, where others went on."""
    counts = rows.groupby("strategy_label")["spent"].transform("size")
    return rows[(counts > 1) | (counts.max() == 1)]
