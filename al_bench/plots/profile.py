"""Performance profiles: the share of trials that gain more than a threshold, over protocols."""

from typing import TYPE_CHECKING

import pandas as pd

from al_bench.plots import panels, style
from al_bench.plots.compared import PARTLY, marked, over_protocols, points
from al_bench.plots.figures import Options

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(frame: pd.DataFrame, options: Options) -> "dict[str, Figure]":
    """The figure ``profile_<metric>``: gains in area over the baseline's mean area.

    A higher curve is better at every threshold; bands are 95 % intervals of the bootstrap over
    seeds within each protocol (Agarwal et al. 2021, arXiv:2108.13264).
    """
    compared = over_protocols(frame, options, "a profile is")
    if compared is None:
        return {}
    found, together = compared
    styles = style.assign(together.arms)
    shown, profile = found.measure, together.profile
    x = together.thresholds * shown.scale
    title = shown.words[0].upper() + shown.words[1:]
    with style.look():
        page = panels.page({"all": f"{title} · {len(together.protocols)} protocols"})
        axes = page.axes["all"]
        axes.axvline(0.0, color="#AAAAAA", linewidth=0.8, zorder=1.2)
        for rank, arm in enumerate(style.order(together.arms)):
            row, look = together.arms.index(arm), styles[arm]
            axes.fill_between(x, 100 * profile.low[row], 100 * profile.high[row], linewidth=0,
                              color=look.color, alpha=0.12, zorder=1.5)  # fmt: skip
            places = range(rank % 5, len(x), 5)
            axes.plot(x, 100 * profile.value[row], label=arm, markevery=list(places), **look.line())
        axes.set_ylim(-2, 102)
        unit = f" ({points(shown)})" if shown.unit else ""
        note = f"\n{PARTLY}" if together.partly else ""
        axes.set_xlabel(f"Gain τ in area over {options.baseline}{unit}{note}")
        axes.set_ylabel("Trials that gain more than τ (%)")
        ordered = style.order(together.arms)
        texts = dict(zip(ordered, marked(ordered, together.partly), strict=True))
        panels.legend(page.figure, texts, styles)
    return {f"profile_{options.metric}": page.figure}
