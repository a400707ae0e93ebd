"""Pointwise score of DDU: how far a point's features lie from those of the labeled set.

N pool points.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from al_bench.models.base import DENSITY
from al_bench.strategies.base import PoolView


@dataclass(frozen=True)
class NegativeLogDensity:
    """-log q(z), the density of features z, in nats; Mukhoti et al. (2023), arXiv:2102.11582.

    Epistemic uncertainty alone: a point whose label is anyone's guess scores low where others like
    it are labeled. Scores are of either sign, and the power rule takes none below 0. The authors'
    script of active learning sums the densities themselves in float32; with 20 to 300 labels they
    are all exactly 0 there, and its picks are ties. O(N C D²).
    """

    needs: ClassVar[frozenset[str]] = frozenset({DENSITY})

    def of_pool(self, view: PoolView, num_samples: int | None) -> Tensor:
        """(N,) float64 scores; the density is that of one network, whatever ``num_samples``."""
        return -view.log_density().double().cpu()
