"""Strategies that buy the point farthest from the nearest center: core-set and LCMD.

N pool points, M labeled points, D features, B batch size.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.strategies.base import Notes, PoolView, Selection
from al_bench.strategies.distances import Points, centered, nearest, to_point
from al_bench.strategies.spaces import InSpace, Space, in_order, located, random_order


@dataclass(frozen=True)
class CoreSet(InSpace):
    """k-center greedy: the point farthest from what is labeled or picked, again and again.

    Sener and Savarese (2018), arXiv:1708.00489, algorithm 1. With S the labeled and picked points,
    a pick is argmax_x min_{s ∈ S} |x - s|. Their robust variant (a mixed-integer program that may
    leave outliers uncovered) is not offered. Without labeled points the first pick is uniform.
    Greedy relies on the triangle inequality alone: the radius is at most twice the smallest one.

    Cost: O(N M D) for the labeled points, as a matrix product, then O(N D) a pick; memory O(N D).

    Args:
        space: Where distances are measured (``al_bench.strategies.spaces``).
    """

    space: Space

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are distances to the nearest center at that moment.

        The first pick without labeled points has no score (NaN). Notes: ``num_drawn``, picks that
        were drawn uniformly because there was no center or only copies of centers were left;
        ``fell_back`` = ``random`` when that is the whole batch.
        """
        order, pool, labeled = located(self.space, view, batch_size, generator)
        centers = Centers(pool, labeled)
        while len(centers.picks) < batch_size:
            centers.add(centers.squared.argmax(keepdim=True))
        return centers.selection(order, is_first_drawn=True)


@dataclass(frozen=True)
class LCMD(InSpace):
    """Largest cluster maximum distance: the farthest point of the cluster that is worst covered.

    Holzmüller et al. (2023), arXiv:2203.09410, in the mode that counts labeled points (TP). Every
    pool point belongs to the nearest labeled or picked point; of the cluster with the largest sum
    of squared distances, the farthest point is picked. Without labeled points the first pick is the
    point of largest norm, as published. The paper's kernel is a choice of ``space`` here. A
    heuristic: it relies on no property of its clusters, and every distance is brought up to date at
    every pick.

    Cost: O(N M D) for the labeled points, as a matrix product, then O(N D) a pick; memory O(N D).

    Args:
        space: Where distances are measured (``al_bench.strategies.spaces``).
    """

    space: Space

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are distances to the nearest center at that moment.

        Scores are not sorted: the largest cluster need not hold the farthest point. The first pick
        without labeled points has no score (NaN). Notes: as ``CoreSet``'s.
        """
        order = random_order(view, batch_size, generator)
        values = in_order(self.space, view, order)
        longest = torch.linalg.vector_norm(values, dim=1).argmax(keepdim=True)
        centers = Centers(*centered(values, self.space.labeled(view)))
        if not centers.count:
            centers.add(longest)
        while len(centers.picks) < batch_size:
            centers.add(self._worth(centers).argmax(keepdim=True))
        return centers.selection(order, is_first_drawn=False)

    def _worth(self, centers: "Centers") -> Tensor:
        """(N,) squared distances, -1 outside of the largest cluster and for picks."""
        squared, owner = centers.squared.cpu(), centers.owner.cpu()
        sums = torch.zeros(centers.count, dtype=torch.float64)
        sums.index_add_(0, owner, squared.clamp_min(0).double())
        if not sums.any():
            return squared
        return torch.where((sums == sums.max())[owner], squared, -1.0)


class Centers:
    """Points of a pool with their nearest center, as centers are added.

    Args:
        pool: N points.
        labeled: The first M centers.

    Attributes:
        squared: (N,) squared distances to the nearest center, infinite without one, -1 for picks.
        owner: (N,) which center that is, in the order in which they came.
        count: Centers so far, at least 1.
        picks: Positions of the centers added, (1,) int64 each, where the points are.
    """

    def __init__(self, pool: Points, labeled: Points) -> None:
        self._pool, self._num_labeled = pool, len(labeled)
        self.squared, self.owner = nearest(pool, labeled)
        self.picks: list[Tensor] = []
        self._worth: list[Tensor] = []

    @property
    def count(self) -> int:
        """Centers so far."""
        return self._num_labeled + len(self.picks)

    def add(self, position: Tensor) -> None:
        """Make the point at ``position`` (1,) a center."""
        position = position.to(self.squared.device)
        self._worth.append(self.squared[position])
        squared = to_point(self._pool, position)
        closer = squared < self.squared
        self.squared = torch.where(closer, squared, self.squared)
        self.owner = self.owner.masked_fill(closer, self.count)
        self.picks.append(position)
        self.squared[position] = -1.0

    def selection(self, order: Tensor, *, is_first_drawn: bool) -> Selection:
        """The picks as positions before ``order``, with distances and notes.

        Args:
            order: (N,) positions of the points of the pool.
            is_first_drawn: Whether a first pick without centers was uniform.
        """
        scores = torch.cat(self._worth).cpu().double().sqrt()
        scores[scores.isinf()] = math.nan
        drawn = int((scores == 0).sum()) + int(is_first_drawn and scores[0].isnan())
        notes: Notes = {"num_drawn": drawn} if drawn else {}
        if drawn == len(self.picks):
            notes["fell_back"] = "random"
        return Selection(order[torch.cat(self.picks).cpu()], scores, notes)
