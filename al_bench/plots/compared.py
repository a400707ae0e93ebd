"""The comparison that several figures draw, and the marks that they have in common."""

from collections.abc import Collection, Sequence

import pandas as pd

from al_bench.plots.figures import Options
from al_bench.stats.ceilings import without_ceilings
from al_bench.stats.comparison import Comparison, compare
from al_bench.stats.measures import Measure, measure

PARTLY = "* not in every protocol"


def comparison(
    frame: pd.DataFrame, options: Options, reach: tuple[float, ...] = ()
) -> Comparison | None:
    """All strategies beside the baseline; None, with the reason told, where there is none."""
    if measure(options.metric).higher_is_better is None:
        options.explain(f"{options.metric} is neither to be raised nor lowered.")
        return None
    if options.baseline not in set(frame["strategy_label"]):
        options.explain(f"there is no baseline {options.baseline}; name one with baseline=…")
        return None
    return compare(without_ceilings(frame), options.metric, options.baseline, reach=reach)


def marked(names: Sequence[str], partly: Collection[str]) -> list[str]:
    """Names as they are shown: with a star where some protocol lacks the arm."""
    return [f"{name} *" if name in partly else name for name in names]


def points(shown: Measure) -> str:
    """Unit of differences: percentages differ by points."""
    return "points" if shown.unit == "%" else shown.unit
