"""What was bought: classes, overlap between strategies, copies, noisy and foreign labels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.plots import panels, style
from al_bench.plots.bought import by_protocol, panel_titles
from al_bench.plots.figures import Options
from al_bench.stats.bought import ClassShares, class_shares, flaws, overlaps
from al_bench.stats.measures import Measure
from al_bench.stats.protocols import titles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

_KINDS = {
    "copies": "copies of points bought before",
    "noisy": "noisy labels",
    "foreign": "out-of-pool points",
    "refused": "refused labels",
}
_MAX_CLASSES = 6  # that are all named at an axis
_OCTAVES = 2.0  # the color scale ends at a quarter and at four times the reference


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``audit_classes``, ``audit_overlap`` and ``audit_flaws``, where they say anything.

    Classes: labels of a class among those bought so far, relative to the pool, which the baseline's
    purchases stand for (an unbiased sample of it where the baseline is random). Overlap: Jaccard's
    index of what two strategies bought, paired by seed. Flaws: bought points one would rather not
    have bought.
    """
    protocols = by_protocol(frame, options)
    if not protocols:
        return {}
    labels = [label for rows in protocols.values() for label in rows["strategy_label"]]
    styles = style.assign([*frame["strategy_label"], *labels])
    with style.look():
        return {
            **_classes(protocols, frame, options),
            **_overlap(protocols, frame, styles),
            **_flaws(protocols, frame, styles),
        }


def _classes(
    protocols: Mapping[str, pd.DataFrame], frame: pd.DataFrame, options: Options
) -> "dict[str, Figure]":
    found = {key: class_shares(rows) for key, rows in protocols.items()}
    found = {key: shares for key, shares in found.items() if options.baseline in shares}
    wanted = panel_titles({key: style.order(shares) for key, shares in found.items()}, frame)
    figures = {}
    for name, page_titles in panels.pages(wanted, "audit_classes"):
        page = panels.page(page_titles, height=1.75, beside=0.5)  # of the color bar
        image = None
        for panel, axes in page.axes.items():
            key, label = panel.split(" ", 1)
            image = _heat(axes, found[key][label], found[key][options.baseline].bought)
        page.label("Number of labels", "Class")
        if image is not None:
            bar = page.figure.colorbar(
                image,
                ax=list(page.axes.values()),
                shrink=min(0.95, 2 * page.columns / len(page.axes)),
                pad=0.01,
                aspect=30,
            )
            bar.set_ticks([-2, -1, 0, 1, 2], labels=["≤ ¼", "½", "1", "2", "≥ 4"])
            bar.set_label(f"Share of labels,\ntimes that of\n{options.baseline}")
            bar.outline.set_visible(False)
        figures[name] = page.figure
    return figures


def _heat(axes: "Axes", own: ClassShares, reference: NDArray[np.float64]) -> "QuadMesh":
    """Shares over rounds relative to the reference, classes from below."""
    from matplotlib.ticker import MaxNLocator

    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.log2(own.shares.T / reference[:, None])  # (C, R)
    image = axes.pcolormesh(
        _edges(own.counts),
        np.arange(len(reference) + 1) - 0.5,
        np.clip(times, -_OCTAVES, _OCTAVES),
        cmap="PuOr_r",
        vmin=-_OCTAVES,
        vmax=_OCTAVES,
        rasterized=True,
    )
    axes.grid(visible=False)
    if len(reference) > _MAX_CLASSES:
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    else:
        axes.set_yticks(range(len(reference)))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 2.5, 5, 10]))
    return image


def _edges(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the column of each count ends: half way to its neighbors, (R + 1,)."""
    between = (counts[1:] + counts[:-1]) / 2
    first = 2 * counts[0] - between[0] if len(between) else counts[0] - 0.5
    last = 2 * counts[-1] - between[-1] if len(between) else counts[-1] + 0.5
    return np.array([first, *between, last], dtype=np.float64)


def _overlap(
    protocols: Mapping[str, pd.DataFrame], frame: pd.DataFrame, styles: dict[str, style.Style]
) -> "dict[str, Figure]":
    found = {key: overlaps(rows) for key, rows in protocols.items()}
    wanted = panel_titles({key: style.order(own) for key, own in found.items() if own}, frame)
    shown = Measure("shared points", "%", 100.0, low=0.0, high=1.0)
    return _pages(
        {panel: found[panel.split(" ", 1)[0]][panel.split(" ", 1)[1]] for panel in wanted},
        wanted,
        "audit_overlap",
        "Bought by both (% of either)",
        shown,
        styles,
        shared=True,
    )


def _flaws(
    protocols: Mapping[str, pd.DataFrame], frame: pd.DataFrame, styles: dict[str, style.Style]
) -> "dict[str, Figure]":
    names = titles(frame)
    content, wanted = {}, {}
    for key, rows in protocols.items():
        for kind, curves in flaws(rows).items():
            content[f"{key} {kind}"] = curves
            title = f"{_KINDS[kind]} · {names[key]}"
            wanted[f"{key} {kind}"] = title if len(protocols) > 1 else _KINDS[kind]
    shown = Measure("bought points", "%", 100.0, low=0.0, high=1.0)
    return _pages(content, wanted, "audit_flaws", "Bought points (%)", shown, styles, shared=False)


def _pages(
    content: Mapping[str, pd.DataFrame],
    wanted: Mapping[str, str],
    name: str,
    y: str,
    shown: Measure,
    styles: dict[str, style.Style],
    shared: bool,
) -> "dict[str, Figure]":
    """Pages of curves; panels of a protocol have equal y axes where ``shared``."""
    figures = {}
    for file, page_titles in panels.pages(wanted, name):
        page = panels.page(page_titles)
        for panel, axes in page.axes.items():
            panels.curves(axes, content[panel], styles, shown.scale)
            protocol = panel.split(" ", 1)[0]
            group = [content[other] for other in content if other.split(" ", 1)[0] == protocol]
            low, high = panels.limits(pd.concat(group if shared else [content[panel]]), shown)
            axes.set_ylim(max(low, -0.02 * high), high)
        page.label("Number of labels", y)
        drawn = pd.concat([content[panel] for panel in page_titles])
        panels.legend(page.figure, panels.counted(drawn), styles)
        figures[file] = page.figure
    return figures
