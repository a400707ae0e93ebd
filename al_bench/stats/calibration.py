"""How far a model's confidence is what it is worth: reliability from stored bins."""

from typing import Any

import numpy as np
import pandas as pd

from al_bench.stats.spent import spent
from al_bench.stats.summary import CURVE, distinct_runs

_BINS = "test_calibration_"


def reliability(frame: pd.DataFrame, min_points: int = 1) -> pd.DataFrame:
    """Reliability at the last count of labels, or steps, that all trials of a protocol share.

    A strategy that ends before half of the others, since it failed for example, is left out.

    The test points of all seeds are put together: a bin's confidence and accuracy are means over
    its points.

    Args:
        frame: Rows of curves.
        min_points: Bins with fewer points of all seeds are left out.

    Returns:
        Columns ``protocol_id strategy_label spent num_seeds bin count confidence accuracy``,
        no rows where no bins are stored.
    """
    columns = [*CURVE, "spent", "num_seeds", "bin", "count", "confidence", "accuracy"]
    rows = distinct_runs(frame)
    rows = rows[rows[f"{_BINS}count"].notna()]
    rows = rows.assign(spent=spent(rows))
    rows = rows.drop_duplicates([*CURVE, "seed", "spent"], keep="last")
    parts: list[dict[str, Any]] = []
    for protocol, group in rows.groupby("protocol_id"):
        group = _not_cut_short(group)
        trials = group.groupby(["strategy_label", "seed"])["spent"].agg(set)
        shared = set.intersection(*trials)
        if not shared:
            continue
        last = group[group["spent"] == max(shared)]
        for label, seeds in last.groupby("strategy_label"):
            counts = np.stack([np.asarray(v, dtype=float) for v in seeds[f"{_BINS}count"]])  # S × B
            names = {"protocol_id": protocol, "strategy_label": label, "spent": max(shared)}
            for number in np.flatnonzero(counts.sum(axis=0) >= max(min_points, 1)):
                weights = counts[:, number] / counts[:, number].sum()
                row = {**names, "num_seeds": len(seeds), "bin": int(number)}
                row["count"] = int(counts[:, number].sum())
                for name in ("confidence", "accuracy"):
                    values = [np.asarray(v, dtype=float)[number] for v in seeds[f"{_BINS}{name}"]]
                    row[name] = float(np.nan_to_num(values) @ weights)
                parts.append(row)
    return pd.DataFrame(parts, columns=columns)


def _not_cut_short(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of strategies whose seeds all go as far as the median strategy's."""
    ends = rows.groupby(["strategy_label", "seed"])["spent"].max()
    ends = ends.groupby("strategy_label").min()
    return rows[rows["strategy_label"].isin(ends.index[ends >= ends.median()])]
