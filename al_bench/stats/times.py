"""Where the time of trials goes, and what it buys."""

from dataclasses import dataclass

import pandas as pd

from al_bench.stats.intervals import mean_interval
from al_bench.stats.spent import STEPS, Axis, axis_of, spent
from al_bench.stats.summary import CURVE, TRIAL, distinct_runs, tidy


@dataclass(frozen=True)
class Times:
    """Seconds of trials, evaluation left out.

    Args:
        curves: Columns ``protocol_id strategy_label spent seconds mean low high num_seeds``:
            the metric with its interval, and the mean time from the beginning of a trial to the
            end of the fit that gave it.
        totals: Columns ``protocol_id strategy_label num_seeds`` and the phases: mean seconds of
            whole trials.
    """

    curves: pd.DataFrame
    totals: pd.DataFrame


def phases(axis: Axis) -> tuple[str, ...]:
    """What a trial spends its time on beside evaluation, as columns ``seconds_…`` name it.

    Where labels are bought, scoring and selecting follow the fit that is evaluated. Where steps are
    chosen for, the training of the irreducible-loss models comes first, and a stretch of selecting
    and fitting before its evaluation.
    """
    return ("irreducible", "select", "fit") if axis is STEPS else ("fit", "score", "select")


def elapsed(rows: pd.DataFrame) -> pd.DataFrame:
    """Seconds from the beginning of a trial to the end of the fit that each row evaluates.

    Args:
        rows: Rows of curves of one kind, a copy of each trial.

    Returns:
        The rows of trials that have times, in the order of their rounds, with ``spent``,
        ``seconds``, and 0 for a phase that was not measured.
    """
    axis = axis_of(rows)
    columns = [f"seconds_{phase}" for phase in phases(axis)]
    timed = rows["seconds_fit"].notna()
    if axis is STEPS:  # the untrained network of round 0 may have none
        timed = timed.groupby([rows[name] for name in TRIAL]).transform("any")
    rows = rows[timed].sort_values([*TRIAL, "round"])
    parts = rows[columns].astype(float).fillna(0.0)
    seconds = parts.sum(axis=1).groupby([rows[name] for name in TRIAL]).cumsum()
    if axis is not STEPS:
        seconds = seconds - parts["seconds_score"] - parts["seconds_select"]
    return rows.assign(**parts, seconds=seconds, spent=spent(rows))


def times(frame: pd.DataFrame, metric: str, level: float = 0.95) -> Times:
    """The metric against time, and time by phase, over seeds; trials without times are left out."""
    rows = elapsed(distinct_runs(frame))
    columns = [f"seconds_{phase}" for phase in phases(axis_of(frame))]
    totals = rows.groupby(TRIAL)[columns].sum().reset_index()
    groups = totals.groupby(CURVE)
    table = groups[columns].mean().rename(columns=lambda name: name.removeprefix("seconds_"))
    table.insert(0, "num_seeds", groups.size())
    if rows.empty:
        return Times(pd.DataFrame(), table.reset_index())
    curves = tidy(frame, metric).merge(
        rows.drop_duplicates([*TRIAL, "spent"], keep="last")[[*TRIAL, "spent", "seconds"]],
        on=[*TRIAL, "spent"],
    )
    parts = []
    for keys, group in curves.groupby([*CURVE, "spent"]):
        mean, low, high, number = (part.item() for part in mean_interval(group["value"], level))
        names = dict(zip([*CURVE, "spent"], keys, strict=True))
        values = {"seconds": group["seconds"].mean(), "mean": mean, "low": low, "high": high}
        parts.append({**names, **values, "num_seeds": number})
    return Times(pd.DataFrame(parts), table.reset_index())
