"""Names for protocols: everything but strategy and seed that results were made with."""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

NAMES = ("dataset", "pool", "model", "budget")
_DISTINCT = ("network", "training", "task")  # named only where they tell protocols apart


def titles(frame: pd.DataFrame) -> dict[str, str]:
    """A distinct title for each protocol, "digits · full · mc_dropout · small".

    Where a strategy bought the initial set it is named: "… · initial set by typiclust". Protocols
    whose names are equal also name what differs between them: network, training recipe, task, or
    the first label counts ("20 + 10 labels"); where nothing in the results tells them apart, their
    identifiers.

    Args:
        frame: Rows of curves.

    Returns:
        Protocol id to title, in the order of the titles.
    """
    columns = ["protocol_id", *NAMES, *_DISTINCT]
    table = frame[columns].drop_duplicates("protocol_id").set_index("protocol_id")
    table["schedule"] = frame.groupby("protocol_id")["num_labeled"].agg(_schedule)
    # Arms that were widened on purpose differ within a protocol: what varies names none.
    shared = frame.drop_duplicates(["protocol_id", *NAMES]).groupby("protocol_id")[[*NAMES]]
    is_one = shared.nunique() < 2
    parts = {
        key: [str(row[name]) for name in NAMES if is_one.at[key, name]]
        for key, row in table.iterrows()
    }
    for protocol, buyers in frame.groupby("protocol_id")["init_strategy"]:
        if buyers.nunique() == 1 and buyers.notna().all():
            parts[protocol].append(f"initial set by {buyers.iloc[0]}")
    for column in (*_DISTINCT, "schedule"):
        for group in _equal(parts):
            values = table.loc[group, column]
            if values.nunique() > 1:
                for key in group:
                    parts[key].append(str(values[key]))
    for group in _equal(parts):
        for key in group:
            parts[key].append(f"id {str(key)[:8]}")
    named = {str(key): " · ".join(value) for key, value in parts.items()}
    return dict(sorted(named.items(), key=lambda item: (item[1], item[0])))


def _equal(parts: dict[object, list[str]]) -> list[list[object]]:
    """Keys that share their parts, where more than one does."""
    groups: dict[tuple[str, ...], list[object]] = {}
    for key in sorted(parts, key=str):
        groups.setdefault(tuple(parts[key]), []).append(key)
    return [group for group in groups.values() if len(group) > 1]


def _schedule(counts: "pd.Series[int]") -> str:
    distinct: Sequence[int] = sorted(counts.unique())
    if len(distinct) < 2:
        return f"{distinct[0]} labels"
    steps = [after - before for before, after in pairwise(distinct)]
    if distinct[0] == 0 and len(steps) > 1 and steps[0] != steps[1]:  # an initial set was bought
        return f"{steps[0]} (bought) + {steps[1]} labels"
    return f"{distinct[0]} + {steps[0]} labels"
