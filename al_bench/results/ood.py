"""Out-of-distribution metrics as columns of their own: ``ood_auroc_entropy_fashion_mnist``."""

from collections.abc import Iterable, Mapping
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
