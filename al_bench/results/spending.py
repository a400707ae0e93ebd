"""What a single row has spent: labels where they are bought, steps where all are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from al_bench.results.schema import SAMPLING

LABELS, STEPS = "num_labeled", "total_steps"  # the columns
_WORDS = {LABELS: "labels", STEPS: "steps"}


@dataclass(frozen=True)
class Spent:
    """An amount of what is spent.

    Args:
        column: In which a row has it.
        count: So far.
    """

    column: str
    count: int

    @property
    def word(self) -> str:
        """``labels`` or ``steps``."""
        return _WORDS[self.column]

    def __str__(self) -> str:
        return f"{self.count} {self.word}"


def spent_by(row: Mapping[str, Any]) -> Spent:
    """What a row of a curve has spent so far."""
    column = STEPS if row.get("setting") == SAMPLING else LABELS
    return Spent(column, int(row[column]))
