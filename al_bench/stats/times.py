"""Where the time of trials goes, and what it buys."""

from dataclasses import dataclass

import pandas as pd

from al_bench.stats.intervals import mean_interval
from al_bench.stats.summary import CURVE, distinct_runs, tidy

PHASES = ("fit", "score", "select")


@dataclass(frozen=True)
class Times:
    """Seconds of trials, evaluation left out.

    Args:
        curves: Columns ``protocol_id strategy_label num_labeled seconds mean low high num_seeds``:
            the metric with its interval, and the mean time from the beginning of a trial to the
            end of the fit that gave it.
        totals: Columns ``protocol_id strategy_label num_seeds fit score select``: mean seconds of
            whole trials.
    """

    curves: pd.DataFrame
    totals: pd.DataFrame


def times(frame: pd.DataFrame, metric: str, level: float = 0.95) -> Times:
    """The metric against time, and time by phase, over seeds; trials without times are left out."""
    rows = distinct_runs(frame)
    seconds = [f"seconds_{phase}" for phase in PHASES]
    rows = rows[rows["seconds_fit"].notna()].sort_values([*CURVE, "seed", "round"])
    spent = rows[seconds].astype(float).fillna(0.0)
    trial = [rows[name] for name in (*CURVE, "seed")]
    until = spent.sum(axis=1).groupby(trial).cumsum() - spent["seconds_score"]
    rows = rows.assign(**spent, seconds=until - spent["seconds_select"])
    totals = rows.groupby([*CURVE, "seed"])[seconds].sum().reset_index()
    groups = totals.groupby(CURVE)
    table = groups[seconds].mean().rename(columns=lambda name: name.removeprefix("seconds_"))
    table.insert(0, "num_seeds", groups.size())
    if rows.empty:
        return Times(pd.DataFrame(), table.reset_index())
    curves = tidy(frame, metric).merge(
        rows.drop_duplicates([*CURVE, "seed", "num_labeled"], keep="last")[
            [*CURVE, "seed", "num_labeled", "seconds"]
        ],
        on=[*CURVE, "seed", "num_labeled"],
    )
    parts = []
    for keys, own in curves.groupby([*CURVE, "num_labeled"]):
        mean, low, high, number = (part.item() for part in mean_interval(own["value"], level))
        names = dict(zip([*CURVE, "num_labeled"], keys, strict=True))
        values = {"seconds": own["seconds"].mean(), "mean": mean, "low": low, "high": high}
        parts.append({**names, **values, "num_seeds": number})
    return Times(pd.DataFrame(parts), table.reset_index())
