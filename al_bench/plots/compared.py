"""The comparison that several figures draw, and the marks that they have in common."""

from collections.abc import Collection, Sequence

import pandas as pd

from al_bench.plots.figures import Options
from al_bench.stats.across import Across, across
from al_bench.stats.ceilings import without_ceilings
from al_bench.stats.comparison import Comparison, compare
from al_bench.stats.measures import Measure, measure
from al_bench.text.natural import natural

PARTLY = "* not in every protocol"


def comparison(
    frame: pd.DataFrame,
    options: Options,
    reach: tuple[float, ...] = (),
    needs_baseline: bool = True,
) -> Comparison | None:
    """All strategies beside the baseline.

    Args:
        frame: Rows of curves.
        options: The metric and the baseline.
        reach: Values of the metric to which labels or steps are counted.
        needs_baseline: Whether what is drawn is beside the baseline; otherwise another strategy
            stands in for one that is not there.

    Returns:
        None, with the reason told, where nothing can be compared.
    """
    if measure(options.metric).higher_is_better is None:
        options.explain(f"{options.metric} is neither to be raised nor lowered.")
        return None
    baseline, arms = options.baseline, sorted(set(frame["strategy_label"]), key=natural)
    if baseline not in arms:
        if needs_baseline:
            options.explain(f"there is no baseline {baseline}; name one with baseline=…")
            return None
        baseline = arms[0]
    return compare(without_ceilings(frame), options.metric, baseline, reach=reach)


def over_protocols(
    frame: pd.DataFrame, options: Options, what: str
) -> tuple[Comparison, Across] | None:
    """All strategies over several protocols; None, with the reason told, where there are none.

    Args:
        frame: Rows of curves.
        options: The metric and the baseline.
        what: Is over several of them, the subject of a sentence.
    """
    found = comparison(frame, options)
    if found is None:
        return None
    together = across(found)
    if together is None:
        options.explain(f"{what} over two data sets or models at least.")
        return None
    return found, together


def marked(names: Sequence[str], partly: Collection[str]) -> list[str]:
    """Names as they are shown: with a star where some protocol lacks the arm."""
    return [f"{name} *" if name in partly else name for name in names]


def points(shown: Measure) -> str:
    """Unit of differences: percentages differ by points."""
    return "points" if shown.unit == "%" else shown.unit
