"""What the same protocol reaches with all labels: runs with ``budget=full``."""

import pandas as pd

from al_bench.stats.intervals import mean_interval

FULL = "full"  # the budget's name
_SHARED = ("task", "dataset", "pool", "model", "network", "training")


def without_ceilings(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs that buy labels; all rows where there is nothing else."""
    rest = frame[frame["budget"] != FULL]
    return rest if len(rest) else frame


def ceilings(frame: pd.DataFrame, metric: str) -> dict[str, float]:
    """The metric on the whole pool, for each protocol that has such a run beside it.

    The mean over seeds of the runs whose names, the budget's left out, are the protocol's; their
    strategies had nothing to do and are not told apart.

    Args:
        frame: Rows of curves.
        metric: A numeric column.

    Returns:
        Protocol id to value.
    """
    full = frame[(frame["budget"] == FULL) & frame[metric].notna()]
    full = full.sort_values([*_SHARED, "seed", "run_id", "round"])
    full = full.drop_duplicates([*_SHARED, "seed"], keep="last")
    values = {
        keys: float(mean_interval(rows[metric].astype(float)).mean)
        for keys, rows in full.groupby(list(_SHARED))
    }
    rest = without_ceilings(frame).drop_duplicates("protocol_id")
    names = zip(*(rest[name] for name in _SHARED), strict=True)
    found = dict(zip(rest["protocol_id"], names, strict=True))
    return {str(key): values[own] for key, own in found.items() if own in values}
