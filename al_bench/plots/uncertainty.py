"""Uncertainty: entropy and log density of the run's own test set against those of other data."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from al_bench.plots import panels, style
from al_bench.plots.bought import panel_titles
from al_bench.plots.figures import Options
from al_bench.stats.protocols import titles
from al_bench.stats.uncertainty import Spread, spreads

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SCORES = {"entropy": "Entropy (nats)", "log_density": "Log density (nats)"}


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``uncertainty``: a panel a protocol, strategy and score, after the last round.

    The run's own test set is filled, other data sets are lines; all are shares of their test
    points for each unit of the score, the mean over seeds. What lies beyond either end is counted
    in the last bin there.
    """
    content = spreads(frame)
    if not content:
        options.explain("no evaluation.ood is stored.")
        return {}
    labels = {
        protocol: style.order(label for key, label, _ in content if key == protocol)
        for protocol in titles(frame)
        if any(key == protocol for key, _, _ in content)
    }
    wanted = {
        f"{panel} {score}": title
        for panel, title in panel_titles(labels, frame).items()
        for score in _SCORES
        if (*panel.split(" ", 1), score) in content
    }
    spread_of = {f"{p} {label} {score}": one for (p, label, score), one in content.items()}
    sets = dict.fromkeys(name for one in spread_of.values() for name in one.densities)
    styles = {name: replace(one, marker="") for name, one in style.assign(sets).items()}
    columns = 2 if any(score != "entropy" for _, _, score in content) else None
    figures = {}
    for name, page_titles in panels.pages(wanted, "uncertainty"):
        with style.look():
            page = panels.page(page_titles, columns=columns)
            for panel, axes in page.axes.items():
                _panel(axes, spread_of[panel], styles)
                axes.set_xlabel(_SCORES[panel.rpartition(" ")[2]])
                if page.is_left(panel):
                    axes.set_ylabel("Share of test points per nat")
            texts: dict[str, str] = {}
            for panel in page_titles:
                first, *others = spread_of[panel].densities
                texts |= {first: f"{first} (its own test set)"} | {other: other for other in others}
            panels.legend(page.figure, texts, styles)
            figures[name] = page.figure
    return figures


def _panel(axes: "Axes", spread: Spread, styles: dict[str, style.Style]) -> None:
    for place, (name, density) in enumerate(spread.densities.items()):
        color = styles[name].color
        if place == 0:
            axes.fill_between(spread.values, density, color=color, alpha=0.3, linewidth=0)
        axes.plot(spread.values, density, label=name, **styles[name].line())
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
