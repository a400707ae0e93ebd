"""What the same protocol reaches with all labels: runs with ``budget=full``."""

import warnings

import pandas as pd

from al_bench.results.wording import distinctions
from al_bench.stats.intervals import mean_interval
from al_bench.stats.protocols import titles
from al_bench.stats.runs import alike, by_run

FULL = "full"  # the budget's name


def without_ceilings(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs that buy labels; all rows where there is nothing else."""
    rest = frame[frame["budget"] != FULL]
    return rest if len(rest) else frame


def ceilings(frame: pd.DataFrame, metric: str) -> dict[str, float]:
    """The metric on the whole pool, for each protocol that has such a run beside it.

    The mean over seeds of the runs that equal the protocol in everything but budget and strategy,
    which had nothing to do. Where such runs disagree about a seed, there is none, and a warning.

    Args:
        frame: Rows of curves.
        metric: A numeric column.

    Returns:
        Protocol id to value.
    """
    full = frame[(frame["budget"] == FULL) & frame[metric].notna()]
    rest = without_ceilings(frame).drop_duplicates("protocol_id")
    if full.empty or rest["budget"].eq(FULL).all():
        return {}
    same, _ = alike(frame, ["budget"])
    full = full.assign(whose=full["run_id"].map(same)).sort_values(["seed", "round"])
    full = full.drop_duplicates(["run_id", "seed"], keep="last")
    by_protocol = {}
    for key, run in zip(rest["protocol_id"], rest["run_id"], strict=True):
        rows = full[full["whose"] == same[run]]
        seeds = rows.groupby("seed")[metric]
        if rows.empty:
            continue
        if (seeds.max() > seeds.min()).any():
            problem = f"{titles(frame)[key]}: runs on all labels disagree ({_values(rows, metric)})"
            warnings.warn(f"{problem}: none is drawn.", stacklevel=2)
            continue
        by_protocol[str(key)] = float(mean_interval(seeds.first().astype(float)).mean)
    return by_protocol


def _values(rows: pd.DataFrame, metric: str) -> str:
    """Means of runs, named by what differs."""
    runs, means = by_run(rows), rows.groupby("run_id")[metric].mean()
    differences = distinctions(list(runs.values()))
    return "; ".join(
        f"{', '.join(words) or f'run {run[:8]}'}: {means[run]:.4g}"
        for run, words in zip(runs, differences, strict=True)
    )
