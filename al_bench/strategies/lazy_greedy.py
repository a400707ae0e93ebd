"""Greedy maximisation of the mean similarity to the most similar center, without all of N² pairs.

N pool points, M labeled points.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from al_bench.strategies.base import Notes, Selection
from al_bench.strategies.distances import Points, blocks, squared_distances

FIRST_BLOCK = 16  # candidates evaluated first, then twice as many, and so on

Similarity = Callable[[Tensor], Tensor]  # of squared distances, which it may overwrite; decreasing


class LazyGreedy:
    """Picks the candidate with the highest gain of F(S) = 1/N Σ_n max_{s ∈ S} k(x_n, s).

    A gain can only shrink as centers are added, so a gain from earlier is an upper bound now
    (Minoux 1978): candidates are evaluated from the highest bound down, until no bound exceeds the
    best gain. Similarities and their sums are float32.

    Args:
        pool: N points, the candidates and what they are to be similar to, in random order, so that
            the first of equals is a fair choice.
        labeled: M centers.
        similarity: k, of squared distances.
        least: F without centers.

    Attributes:
        picks: Candidates picked.
        gains: What each added to F.
    """

    def __init__(self, pool: Points, labeled: Points, similarity: Similarity, least: float) -> None:
        self._pool, self._similarity = pool, similarity
        self._best = torch.full((len(pool),), least, device=pool.device)  # (N,) max_s k(x_n, s)
        if len(labeled):
            for block in blocks(len(pool), 4 * len(labeled)):
                squared = squared_distances(pool[block], labeled).amin(dim=1)
                self._best[block] = torch.maximum(self._best[block], similarity(squared))
        self._bounds = torch.full((len(pool),), math.inf, dtype=torch.float64)  # -inf once picked
        self._evaluated = 0
        self.picks: list[int] = []
        self.gains: list[float] = []

    @property
    def share_evaluated(self) -> float:
        """Gains computed, as a share of those of every candidate at every pick."""
        rounds = len(self.picks)
        return self._evaluated / (len(self._pool) * rounds - rounds * (rounds - 1) / 2)

    def pick(self) -> None:
        """Add the candidate with the highest gain."""
        queue = self._bounds.argsort(descending=True, stable=True)[: self._num_left]
        best, start, size = -math.inf, 0, FIRST_BLOCK
        while start < len(queue) and float(self._bounds[queue[start]]) > best:
            block = queue[start : start + size]
            self._bounds[block] = self._gains(block)
            best = max(best, float(self._bounds[block].max()))
            start, size = start + size, 2 * size
        evaluated = queue[:start]
        self._evaluated += len(evaluated)
        # A bound of another candidate may equal the best gain.
        chosen = int(evaluated[self._bounds[evaluated] == best].min())
        self.gains.append(best)
        self.picks.append(chosen)
        self._bounds[chosen] = -math.inf
        squared = squared_distances(self._pool[chosen : chosen + 1], self._pool)[0]
        self._best = torch.maximum(self._best, self._similarity(squared))

    def selection(self, order: Tensor, batch_size: int, *, is_first_scored: bool) -> Selection:
        """Pick ``batch_size`` candidates; positions before ``order``, gains and notes.

        Args:
            order: (N,) positions of the points of the pool.
            batch_size: B.
            is_first_scored: Whether the first gain means something.
        """
        while len(self.picks) < batch_size:
            self.pick()
        notes: Notes = {"share_evaluated": self.share_evaluated}
        drawn = sum(gain == 0 for gain in self.gains)
        if drawn:
            notes["num_drawn"] = drawn
        if (self._pool.values == self._pool.values[0]).all():
            notes["fell_back"] = "random"
        scores = torch.tensor(self.gains, dtype=torch.float64)
        if not is_first_scored:
            scores[0] = math.nan
        return Selection(order[self.picks], scores, notes)

    @property
    def _num_left(self) -> int:
        return len(self._pool) - len(self.picks)

    def _gains(self, candidates: Tensor) -> Tensor:
        """(n,) float64 gains of ``candidates``."""
        gains = torch.empty(len(candidates), dtype=torch.float64)
        rows = candidates.to(self._pool.device)
        for block in blocks(len(candidates), 4 * len(self._pool)):
            similarity = self._similarity(squared_distances(self._pool[rows[block]], self._pool))
            added = similarity.sub_(self._best).clamp_(min=0)
            gains[block] = added.sum(dim=1).cpu().double()
        return gains / len(self._pool)
