"""Information density: uncertain points, weighted by how typical of the pool they are.

N pool points, D features.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from al_bench.errors import ConfigError, keyed
from al_bench.strategies.base import PoolScore, PoolView, ScoreFn
from al_bench.strategies.distances import blocks
from al_bench.strategies.pointwise import Pointwise, pool_scores
from al_bench.strategies.rules import BatchRule
from al_bench.strategies.scores import needs_of
from al_bench.strategies.spaces import Space


@dataclass(frozen=True)
class InformationDensity:
    """A score times (mean cosine similarity to the pool) ** beta.

    Settles and Craven (2008): φ(x) · (1/N Σ_n sim(x, x_n))^β, the point itself included. The mean
    similarity is the product of x's unit vector and the mean of all unit vectors, so that the cost
    is O(N D). A mean similarity below 0 counts as 0; a point at the origin has similarity 0.

    Args:
        score: What is weighted; scores of at least 0, as uncertainties are.
        space: Where similarities are measured (``al_bench.strategies.spaces``).
        beta: Weight β of the density; 0 leaves the score as it is.
    """

    score: ScoreFn | PoolScore
    space: Space
    beta: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.beta < math.inf:
            raise ConfigError(f"{keyed('beta')} must be a number from 0, got {self.beta}.")

    @property
    def needs(self) -> frozenset[str]:
        """What the score and the space need."""
        return needs_of(self.score) | self.space.needs

    def of_pool(self, view: PoolView, num_samples: int | None) -> Tensor:
        """(N,) float64 weighted scores, in the score's unit."""
        scores = pool_scores(self.score, view, num_samples).cpu()
        density = mean_similarity(self.space.pool(view))
        return scores * density.clamp_min(0.0) ** self.beta


def mean_similarity(values: Tensor) -> Tensor:
    """Mean cosine similarity of each of ``values`` (N, D) to all of them, (N,) float64."""
    parts = [values[block] for block in blocks(len(values), 4 * values.shape[1])]
    sums = [normalize(part, dim=1).sum(dim=0, dtype=torch.float64) for part in parts]
    mean = (torch.stack(sums).sum(dim=0) / len(values)).to(values.dtype)
    return torch.cat([normalize(part, dim=1) @ mean for part in parts]).cpu().double()


def information_density(
    score: ScoreFn | PoolScore,
    space: Space,
    rule: BatchRule,
    beta: float = 1.0,
    num_samples: int | None = None,
) -> Pointwise:
    """The strategy: a score weighted by density, and a batch rule."""
    return Pointwise(InformationDensity(score, space, beta), rule, num_samples)
