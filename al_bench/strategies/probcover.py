"""ProbCover: balls of one radius that cover as much of the pool as possible.

N pool points, M labeled points, C classes, D features, B batch size.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from al_bench.errors import ConfigError, keyed
from al_bench.models.room import require_room
from al_bench.strategies.base import Notes, PoolView, Selection
from al_bench.strategies.clusters import k_means
from al_bench.strategies.distances import Points, blocks, joined, nearest, squared_distances
from al_bench.strategies.spaces import InSpace, Space, located

BITMAP_BYTES = 2**30  # most of a stored graph (N = 92,681); a larger one is computed again by rows


@dataclass(frozen=True)
class ProbCover(InSpace):
    """The point whose ball holds most of what no labeled or picked point's ball holds.

    Yehuda et al. (2022), arXiv:2205.11320: greedy maximum coverage of the pool by balls
    {x : |x - s| < delta} around labeled and picked points. Without ``delta`` the radius is the
    paper's: the largest for which a share of at least ``purity`` of all balls is pure, holding
    points of one pseudo-label only, that of k-means with C clusters of pool and labeled points. A
    ball is pure up to the distance to the nearest point of another pseudo-label, so that radius is
    a quantile of those distances: no grid is searched. It is estimated in every round.

    The published code leaves out the last N mod 500 points and fails once everything is covered;
    here the rest of the batch is then drawn uniformly. A comment there says that the paper's runs
    drew among the five best points; here the best is taken. The paper's features are
    self-supervised and of unit length (``space=embeddings``).

    Coverage is submodular, so greedy covers at least 1 - 1/e of what the best batch does; every
    ball's count of uncovered points is brought up to date at every pick.

    Cost: O(N² D) for the graph, twice with the radius, O(1) an edge for the picks; the graph takes
    N²/8 bytes (0.3 GB at N = 50,000). Where that is more than a gibibyte, rows of it
    are computed again, one for each point that is covered.

    Args:
        space: Where distances are measured (``al_bench.strategies.spaces``).
        delta: Radius, in units of the space; ``None`` estimates it.
        purity: Share of pure balls that the estimate asks for.
    """

    space: Space
    delta: float | None = None
    purity: float = 0.95

    def __post_init__(self) -> None:
        if self.delta is not None and not 0 < self.delta < math.inf:
            raise ConfigError(
                f"{keyed('delta')} must be a positive number, got {self.delta}.",
                "Use null to have it estimated.",
            )
        if not 0 < self.purity <= 1:
            raise ConfigError(
                f"{keyed('purity')} must be above 0 and at most 1, got {self.purity}."
            )

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are the numbers of points that each newly covers.

        Notes: ``delta`` (if finite), ``coverage`` (share of the pool within a ball, afterwards),
        ``num_drawn`` (picks that cover nothing new, so that they were drawn uniformly),
        ``fell_back`` = ``random`` when that is the whole batch or all points are the same.
        """
        order, pool, labeled = located(self.space, view, batch_size, generator)
        delta = self.delta
        if delta is None:
            delta = pure_radius(joined(pool, labeled), view.num_classes, self.purity, generator)
        graph = Balls(pool, labeled, delta)
        picks: list[int] = []
        scores: list[int] = []
        left = torch.ones(len(pool), dtype=torch.bool)
        while len(picks) < batch_size:
            best = int(torch.where(left, graph.degrees, -len(pool)).argmax())
            picks.append(best)
            left[best] = False
            scores.append(graph.add(best))
        notes: Notes = {"coverage": graph.coverage}
        if delta < math.inf:
            notes["delta"] = delta
        drawn = scores.count(0)
        if drawn:
            notes["num_drawn"] = drawn
        if drawn == batch_size or (pool.values == pool.values[0]).all():
            notes["fell_back"] = "random"
        return Selection(order[picks], torch.tensor(scores, dtype=torch.float64), notes)


def pure_radius(
    points: Points, num_classes: int, purity: float, generator: torch.Generator
) -> float:
    """The largest radius at which a share of ``purity`` of the balls around ``points`` is pure.

    Args:
        points: n points.
        num_classes: Clusters of the k-means that gives pseudo-labels.
        purity: Above 0, at most 1.
        generator: Of the k-means.

    Returns:
        The radius of open balls; infinite when all points have one pseudo-label.
    """
    labels = k_means(points.values, min(num_classes, len(points)), generator).labels
    by_label = labels.argsort(stable=True)
    points = points[by_label.to(points.device)]
    distances = torch.full((len(points),), torch.inf)  # to the nearest of another pseudo-label
    start = 0
    for size in labels.bincount().tolist():
        for block in blocks(size, 4 * len(points)):
            rows = slice(start + block.start, start + block.stop)
            squared = squared_distances(points[rows], points)
            squared[:, start : start + size] = torch.inf
            distances[rows] = squared.amin(dim=1).sqrt().cpu()
        start += size
    num_impure = math.floor((1 - purity) * len(points) + 1e-9)
    return float(distances.sort().values[min(num_impure, len(points) - 1)])


class Balls:
    """Which points of a pool lie in whose ball, and which are covered.

    Args:
        pool: N points.
        labeled: M points whose balls are there from the start.
        radius: Of the open balls.

    Attributes:
        degrees: (N,) int64 on the CPU: points that a ball would newly cover.
    """

    def __init__(self, pool: Points, labeled: Points, radius: float) -> None:
        self._pool, self._radius = pool, radius
        self._uncovered = ~self._within(nearest(pool, labeled)[0]).cpu()
        self.degrees = torch.empty(len(pool), dtype=torch.int64)
        # The number of points alone decides: what is computed in other blocks is rounded otherwise.
        is_stored = len(pool) ** 2 // 8 <= BITMAP_BYTES
        if is_stored:
            what = f"Pairs of {len(pool):,} points"
            require_room(len(pool) ** 2 // 8, torch.device("cpu"), what)
        self._bitmap = np.empty((len(pool) if is_stored else 0, (len(pool) + 7) // 8), np.uint8)
        for block in blocks(len(pool), 8 * len(pool)):
            inside = self._computed(pool[block])
            self.degrees[block] = (inside & self._uncovered).sum(dim=1)
            if is_stored:
                self._bitmap[block] = np.packbits(inside.numpy(), axis=1)

    @property
    def coverage(self) -> float:
        """Share of the pool that is covered."""
        return 1 - float(self._uncovered.double().mean())

    def add(self, position: int) -> int:
        """Add the ball of the point at ``position``; how many points that newly covers."""
        row = torch.tensor([position])
        newly = (self._inside(row)[0] & self._uncovered).nonzero().squeeze(1)
        self._uncovered[newly] = False
        for block in blocks(len(newly), 8 * len(self._pool)):
            self.degrees -= self._inside(newly[block]).sum(dim=0)  # the graph is symmetric
        return len(newly)

    def _inside(self, rows: Tensor) -> Tensor:
        """(n, N) bool on the CPU: which points lie in the balls of those at ``rows``."""
        if len(self._bitmap):
            bits = np.unpackbits(self._bitmap[rows.numpy()], axis=1, count=len(self._pool))
            return torch.from_numpy(bits).bool()
        return self._computed(self._pool[rows.to(self._pool.device)])

    def _computed(self, rows: Points) -> Tensor:
        return self._within(squared_distances(rows, self._pool)).cpu()

    def _within(self, squared: Tensor) -> Tensor:
        return squared < self._radius**2
