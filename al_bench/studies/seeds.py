"""Numbers of a study over seeds: means with intervals, as rows, as text and as curves."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from al_bench.plots import style
from al_bench.plots.panels import Page, legend, limits, opacity
from al_bench.stats.intervals import mean_interval
from al_bench.stats.measures import Measure

CAPTION = "± half of the 95 % interval over seeds"


def over_seeds(rows: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """The mean of a value with its 95 % interval over seeds, a row a group.

    A seed's own value in a group is the mean of its rows there; rows without a value don't count.

    Args:
        rows: With ``seed``, the columns of ``by`` and ``value``.
        by: What makes a group.
        value: A numeric column.

    Returns:
        The columns of ``by``, ``mean``, ``low``, ``high`` (NaN with one seed) and ``num_seeds``, in
        the order in which groups are met.
    """
    keys = list(by)
    of_seed = rows.groupby([*keys, "seed"], sort=False, dropna=False)[value].mean()
    found = []
    for key, values in of_seed.groupby(level=keys, sort=False, dropna=False):
        interval = mean_interval(values.to_numpy(dtype=float))
        names = dict(zip(keys, key if isinstance(key, tuple) else (key,), strict=True))
        found.append({**names, **{name: end.item() for name, end in interval._asdict().items()}})
    return pd.DataFrame(found, columns=[*keys, "mean", "low", "high", "num_seeds"])


def in_words(summary: pd.DataFrame, digits: int = 3) -> str:
    """``0.912 ± 0.031`` of one row of ``over_seeds``; empty where there is none, or no mean."""
    if summary.empty or np.isnan(summary["mean"].iloc[0]):
        return ""
    row = summary.iloc[0]
    text = f"{row['mean']:.{digits}f}"
    half = row["high"] - row["mean"]
    return text if np.isnan(half) else f"{text} ± {half:.{digits}f}"


def draw_curves(
    page: Page, curves: Mapping[str, Mapping[str, pd.DataFrame]], x: str, shown: Measure
) -> None:
    """Lines over one of the columns of ``by``, with their intervals as bands, and a legend.

    Args:
        page: With a panel for each key of ``curves``.
        curves: By panel and label, what ``over_seeds`` returned.
        x: The column.
        shown: What the values are.
    """
    from matplotlib.ticker import MaxNLocator

    labels = {label: None for lines in curves.values() for label in lines}
    looks = style.assign(labels)
    seeds = max(int(s["num_seeds"].max()) for lines in curves.values() for s in lines.values())
    for key, lines in curves.items():
        axes = page.axes[key]
        for label, summary in lines.items():
            places, look = summary[x].to_numpy(dtype=float), looks[label]
            alpha = opacity(len(lines), seeds)
            axes.fill_between(places, summary["low"], summary["high"], color=look.color,
                              alpha=alpha, linewidth=0, zorder=1.5)  # fmt: skip
            axes.plot(places, summary["mean"], label=label, **look.line())
        axes.set_ylim(*limits(pd.concat(list(lines.values())), shown))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend(page.figure, {label: f"{label} (n = {seeds})" for label in labels}, looks)
