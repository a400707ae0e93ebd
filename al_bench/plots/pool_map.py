"""A map of the pool (first two principal components of its inputs) with the points bought."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.plots import panels, style
from al_bench.plots.bought import by_protocol, panel_titles
from al_bench.plots.figures import Options
from al_bench.plots.pools import Bought, bought_by
from al_bench.stats.projection import principal_plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

SHOWN = 2_000  # points of the pool
_FITTED = 1_000  # points that the components are found on
_POOL, _INITIAL = style.Style("#CFCFCF", ".", "none"), style.Style("#000000", "*", "none")


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``pool_map``: a panel a strategy, the pool in grey.

    Of the first seed that all strategies have. Where the data set holds features, these are shown.
    """
    content: dict[str, tuple[Bought, Array, str]] = {}
    labels: dict[str, list[str]] = {}
    for key, rows in by_protocol(frame, options).items():
        bought = bought_by(rows, options)
        if bought is not None:
            labels[key] = style.order(bought.rows["strategy_label"])
            content[key] = (bought, *_map(bought))
    drawn = [label for own in labels.values() for label in own]
    styles = style.assign([*frame["strategy_label"], *drawn])
    figures = {}
    for name, page_titles in panels.pages(panel_titles(labels, frame), "pool_map"):
        with style.look():
            page = panels.page(page_titles)
            for panel, axes in page.axes.items():
                key, label = panel.split(" ", 1)
                bought, places, said = content[key]
                _panel(axes, bought, places, label, styles[label])
                axes.set_xlabel(said)
            shown = style.order(panel.split(" ", 1)[1] for panel in page_titles)
            dots = {label: style.Style(styles[label].color, styles[label].marker, "none")
                    for label in shown}  # fmt: skip
            extra = {"pool": _POOL, "initial set": _INITIAL}
            texts = {**{name: name for name in extra}, **{label: label for label in shown}}
            panels.legend(page.figure, texts, {**extra, **dots})
            figures[name] = page.figure
    return figures


def _map(bought: Bought) -> tuple[Array, str]:
    """(2,000 or fewer of the pool and then all bought, 2) places, and how much they tell."""
    size = len(bought.pool)
    spread = np.linspace(0, size - 1, min(size, SHOWN)).astype(np.int64)
    indices = np.concatenate([spread, bought.rows["index"].to_numpy(dtype=np.int64)])
    inputs = bought.inputs(indices)
    x = inputs.reshape(len(inputs), -1)
    step = max(len(spread) // _FITTED, 1)
    center, plane, shares = principal_plane(x[: len(spread) : step])
    places: Array = (x - center) @ plane
    return places, f"Two components, {100 * shares.sum():.0f} % of the variance"


def _panel(axes: "Axes", bought: Bought, places: Array, label: str, look: style.Style) -> None:
    own = places[-len(bought.rows) :]
    mine = (bought.rows["strategy_label"] == label).to_numpy()
    first = (bought.rows["round"] < 0).to_numpy()
    layers = (
        (places[: -len(bought.rows)], _POOL, 2.0),
        (own[mine & first], _INITIAL, 5.0),
        (own[mine & ~first], look, 3.0),
    )
    for points, drawn, size in layers:
        axes.plot(
            points[:, 0],
            points[:, 1],
            color=drawn.color,
            marker=drawn.marker,
            markersize=size,
            linestyle="none",
            alpha=0.85,
            rasterized=drawn is _POOL,  # thousands of points would make files large
        )
    axes.set_xticks([])
    axes.set_yticks([])
