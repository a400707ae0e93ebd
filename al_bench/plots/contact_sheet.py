"""The first points that each strategy bought, as images; needs the data set."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.plots import panels, style
from al_bench.plots.bought import by_protocol, panel_titles
from al_bench.plots.figures import Options
from al_bench.plots.pools import Bought, bought_by

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

COLUMNS = 10  # images side by side
ROWS = 2
_GAP = 0.08  # between images, of their width


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """Figures ``contact_sheet``: a panel a strategy, its first 20 points in the order of purchase.

    Of the first seed that all strategies have; the initial set, drawn or bought, is left out:
    they share it.
    """
    sheets: dict[str, Array] = {}
    labels: dict[str, list[str]] = {}
    for key, rows in by_protocol(frame, options).items():
        bought = bought_by(rows, options)
        if bought is None:
            continue
        if len(bought.pool.inputs.input_shape) not in (2, 3):
            options.explain("the inputs are no images.")
            continue
        labels[key] = style.order(bought.rows["strategy_label"])
        sheets |= {f"{key} {label}": sheet for label, sheet in _sheets(bought).items()}
    wanted = {key: title for key, title in panel_titles(labels, frame).items() if key in sheets}
    figures = {}
    for name, page_titles in panels.pages(wanted, "contact_sheet"):
        with style.look():
            columns = 1 if len(page_titles) < 5 and len(labels) == 1 else 2
            width = (style.COLUMN_WIDTH if columns == 1 else style.PAGE_WIDTH) / columns
            height = width * ROWS / COLUMNS + 0.2
            page = panels.page(page_titles, columns, height)
            for key, axes in page.axes.items():
                axes.imshow(sheets[key], cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
                axes.set_axis_off()
            figures[name] = page.figure
    return figures


def _sheets(bought: Bought) -> dict[str, Array]:
    """Each strategy's images in one, channels last, between 0 and 1; all on the same scale."""
    later = bought.rows[bought.rows["round"] >= 0]
    first = {str(k): part["index"].to_numpy()[: ROWS * COLUMNS] for k, part in
             later.groupby("strategy_label")}  # fmt: skip
    images = {label: bought.inputs(index) for label, index in first.items() if len(index)}
    images = {label: _channels_last(found) for label, found in images.items()}
    together = np.concatenate(list(images.values()))
    low = together.min(axis=(0, 1, 2), keepdims=True)
    span = np.maximum(together.max(axis=(0, 1, 2), keepdims=True) - low, 1e-12)
    return {label: _tiled((found - low) / span) for label, found in images.items()}


def _channels_last(images: Array) -> Array:
    """(n, height, width, 1 or 3); of other numbers of channels the first."""
    if images.ndim == 3:
        return images[..., None]
    last: Array = np.moveaxis(images, 1, -1)
    return last if last.shape[-1] == 3 else last[..., :1]


def _tiled(images: Array) -> Array:
    """One image of all, row by row on white."""
    count, height, width, channels = images.shape
    gap = max(round(_GAP * width), 1)
    size = (ROWS * (height + gap) - gap, COLUMNS * (width + gap) - gap, channels)
    sheet = np.ones(size)
    for place in range(count):
        top, left = (place // COLUMNS) * (height + gap), (place % COLUMNS) * (width + gap)
        sheet[top : top + height, left : left + width] = images[place]
    return sheet if channels == 3 else sheet[..., 0]
