"""Random acquisition, the baseline of every comparison."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from al_bench.strategies.base import PoolView, Selection
from al_bench.strategies.rules import top


@dataclass(frozen=True)
class Random:
    """Uniform draws without replacement; looks at nothing."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """B positions drawn uniformly; no scores."""
        positions = top(torch.zeros(len(view)), batch_size, generator)
        return Selection(positions, torch.full((batch_size,), math.nan, dtype=torch.float64))
