"""Runs whose budget buys all of its labels in one round, so that there is no curve to come."""

import pandas as pd

from al_bench.results.settings import Settings
from al_bench.stats.ceilings import FULL
from al_bench.stats.runs import by_run

TOTAL = "budget.total"  # null where everything is labeled at once


def is_one_round(rows: pd.DataFrame) -> bool:
    """Whether each trial has one round, and its run's budget is spent with it.

    A run that has only begun has one round too; its budget has labels left. Where a run's settings
    are not stored, its budget is known by the name ``full`` alone.

    Args:
        rows: Rows of curves that have bought labels.
    """
    if rows.duplicated(["run_id", "seed"]).any():
        return False
    runs = by_run(rows)
    return all(_is_spent(runs[str(run)].settings, own) for run, own in rows.groupby("run_id"))


def _is_spent(settings: Settings, rows: pd.DataFrame) -> bool:
    """Whether the rows of a run, one a trial, are all that its budget buys."""
    if TOTAL not in settings:
        return bool((rows["budget"] == FULL).all())
    total = settings[TOTAL]
    asked = rows["num_queried"].astype("Float64").fillna(rows["num_labeled"])
    return total is None or bool((asked >= total).all())
