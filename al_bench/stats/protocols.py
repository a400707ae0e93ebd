"""Names for protocols: everything but strategy and seed that results were made with."""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from al_bench.results.wording import distinctions
from al_bench.stats.runs import by_protocol, by_run
from al_bench.stats.spent import STEPS, axis_of, spent
from al_bench.text.natural import natural

NAMES = ("dataset", "pool", "model", "budget")


def titles(frame: pd.DataFrame) -> dict[str, str]:
    """A distinct title for each protocol, "digits · full · mc_dropout · small".

    Where a strategy bought the initial set it is named: "… · initial set by typiclust". Protocols
    whose names are equal also name what differs between them, as ``wording`` puts it: networks,
    recipes, keys ("start=warm"); where only names are stored, the first counts ("20 + 10 labels",
    "every 94 steps"), and where nothing at all tells them apart, their identifiers.

    Args:
        frame: Rows of curves.

    Returns:
        Protocol id to title, in the order of the titles.
    """
    protocols = by_protocol(frame)  # what varies within one, on purpose, is not common: no name
    parts = {
        key: [one.names[name] for name in NAMES if name in one.names]
        for key, one in protocols.items()
    }
    for key, one in protocols.items():
        if buyer := one.names.get("init_strategy"):
            parts[key].append(f"initial set by {buyer}")
    others = {key for run in by_run(frame).values() for key in run.settings}
    for group in _equal(parts):
        words = distinctions([protocols[key] for key in group], NAMES, others=others)
        for key, more in zip(group, words, strict=True):
            parts[key] += more
    if groups := _equal(parts):
        schedules = {str(key): _schedule(rows) for key, rows in frame.groupby("protocol_id")}
        for group in groups:
            if len({schedules[key] for key in group}) > 1:
                for key in group:
                    parts[key].append(schedules[key])
    for group in _equal(parts):
        for key in group:
            parts[key].append(f"id {key[:8]}")
    names = {key: " · ".join(value) for key, value in parts.items()}
    return dict(sorted(names.items(), key=lambda item: (natural(item[1]), item[0])))


def _equal(parts: dict[str, list[str]]) -> list[list[str]]:
    """Keys that share their parts, where more than one does."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for key in sorted(parts):
        groups.setdefault(tuple(parts[key]), []).append(key)
    return [group for group in groups.values() if len(group) > 1]


def _schedule(rows: pd.DataFrame) -> str:
    axis = axis_of(rows)
    distinct: Sequence[int] = sorted(spent(rows).unique())
    if len(distinct) < 2:
        return f"{distinct[0]} {axis.many}"
    steps = [after - before for before, after in pairwise(distinct)]
    if axis is STEPS:
        return f"every {axis.counted(steps[0])}"
    if distinct[0] == 0 and len(steps) > 1 and steps[0] != steps[1]:  # an initial set was bought
        return f"{steps[0]} (bought) + {steps[1]} labels"
    return f"{distinct[0]} + {steps[0]} labels"
