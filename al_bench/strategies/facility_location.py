"""Strategies whose batch has a similar point for every point of the pool, on average.

With a similarity k, the worth of centers S is F(S) = 1/N Σ_n max_{s ∈ S} k(x_n, s): monotone and
submodular. N pool points, M labeled points, D features, B batch size.
"""

import math
from dataclasses import dataclass

import torch

from al_bench.errors import ConfigError, keyed
from al_bench.strategies.base import PoolView, Selection
from al_bench.strategies.lazy_greedy import LazyGreedy
from al_bench.strategies.spaces import InSpace, Space, located


@dataclass(frozen=True)
class FacilityLocation(InSpace):
    """Lowers the mean distance of the pool to its nearest labeled or picked point the most.

    Greedy maximisation of F with k(x, s) = d_max - |x - s|, that is greedy k-medoids; Wei, Iyer and
    Bilmes (2015), "Submodularity in data subset selection and active learning". Labeled points
    count as picked. That paper's filter, to the most uncertain points, is not used.

    Cost: O(N² D) for the first pick, exact, then for the share of candidates whose gain from
    earlier exceeds the best one now (lazy greedy, Minoux 1978, which relies on F being
    submodular); memory O(N D).

    Args:
        space: Where distances are measured (``al_bench.strategies.spaces``).
    """

    space: Space

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are the drop in mean distance that each pick brought.

        The first pick without labeled points has no score (NaN). Notes: ``share_evaluated`` (work
        done, as a share of evaluating every candidate at every pick), ``num_drawn`` (picks that
        gained nothing, so that they were drawn uniformly), ``fell_back`` = ``random`` when all
        points are the same.
        """
        order, pool, labeled = located(self.space, view, batch_size, generator)
        d_max = 2 * math.sqrt(float(pool.squares.max()))  # no two points are farther apart
        greedy = LazyGreedy(pool, labeled, lambda squared: squared.sqrt_().neg_(), -d_max)
        return greedy.selection(order, batch_size, is_first_scored=len(labeled) > 0)


@dataclass(frozen=True)
class MaxHerding(InSpace):
    """Raises the mean over the pool of the kernel with its most similar labeled or picked point.

    Bae et al. (2024), arXiv:2407.12212: greedy maximisation of F, the generalized coverage, with
    k(x, s) = exp(-|x - s|² / sigma²) on features of unit length, sigma = 1. ProbCover is the same
    with a kernel of 0 and 1. The published code takes candidates from a random subset of at most
    35,000 points; here the whole pool is.

    Cost: O(N² D) for the first pick, exact, then for the share of candidates whose gain from
    earlier exceeds the best one now (lazy greedy, Minoux 1978, which relies on F being
    submodular); memory O(N D).

    Args:
        space: Where distances are measured (``al_bench.strategies.spaces``).
        sigma: Length scale, in units of the space.
    """

    space: Space
    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise ConfigError(
                f"{keyed('sigma')} must be a positive number, got {self.sigma}.",
                "1 is the paper's for features of unit length.",
            )

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are the coverage that each pick added, 0 to 1.

        Notes: ``share_evaluated`` (work done, as a share of evaluating every candidate at every
        pick), ``num_drawn`` (picks that gained nothing, so that they were drawn uniformly),
        ``fell_back`` = ``random`` when all points are the same.
        """
        order, pool, labeled = located(self.space, view, batch_size, generator)
        scale = -1 / self.sigma**2
        greedy = LazyGreedy(pool, labeled, lambda squared: squared.mul_(scale).exp_(), 0.0)
        return greedy.selection(order, batch_size, is_first_scored=True)
