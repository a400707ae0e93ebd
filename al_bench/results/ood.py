"""Out-of-distribution metrics as columns of their own: ``ood_auroc_entropy_fashion_mnist``."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMN = "ood"  # of curves, with an entry for each other data set and score
QUANTITIES = ("auroc", "aupr", "fpr95")
SCORES = {  # those that evaluation knows, in words
    "entropy": "entropy",
    "max_probability": "maximum probability",
    "mutual_information": "mutual information",
    "energy": "energy",
    "density": "density",
}


def spread(entries: Iterable[Mapping[str, Any]] | None) -> dict[str, float]:
    """The metrics of a row by the names of their columns.

    Args:
        entries: What the row's column ``ood`` holds.
    """
    return {
        f"{COLUMN}_{quantity}_{entry['score']}_{entry['dataset']}": entry[quantity]
        for entry in entries or ()
        for quantity in QUANTITIES
    }


def parts(column: str) -> tuple[str, str, str] | None:
    """Quantity, score and data set of such a column; ``None`` for another one."""
    for quantity in QUANTITIES:
        for score in SCORES:
            start = f"{COLUMN}_{quantity}_{score}_"
            if column.startswith(start):
                return quantity, score, column.removeprefix(start)
    return None


def columns(names: Iterable[str]) -> list[str]:
    """Those of these columns that are such ones."""
    return [name for name in names if parts(name)]


def gathered(rows: Sequence[Mapping[str, float | None]]) -> list[list[dict[str, Any]] | None]:
    """What ``spread`` was given, row by row; ``None`` where a row has no such metric.

    Args:
        rows: Values of such columns by their names; a missing one is ``None`` or NaN.
    """
    place_of = {name: parts(name) for row in rows[:1] for name in row}
    answers = []
    for row in rows:
        entries: dict[tuple[str, str], dict[str, Any]] = {}
        for name, value in row.items():
            if value is not None and not math.isnan(value) and (place := place_of[name]):
                quantity, score, dataset = place
                entry = {"dataset": dataset, "score": score}
                entries.setdefault((score, dataset), entry)[quantity] = value
        answers.append(list(entries.values()) or None)
    return answers
