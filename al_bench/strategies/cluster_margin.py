"""Cluster-Margin: uncertain points, taken in turn from clusters of the pool.

N pool points, D features, B batch size.
"""

import base64
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from al_bench.errors import ConfigError, keyed, require_whole
from al_bench.models.room import require_room
from al_bench.strategies.base import (
    PoolView,
    Selection,
    check_num_samples,
    require_batch_size,
)
from al_bench.strategies.distances import Points, blocks, nearest, squared_distances
from al_bench.strategies.rules import top
from al_bench.strategies.scores import margin
from al_bench.strategies.spaces import InSpace, Space, located

PAIR_BYTES = 8  # of a distance and scipy's copy of it, for half of the pairs


@dataclass(frozen=True)
class ClusterMargin(InSpace):
    """Of the points of smallest margin, one of each cluster in turn, small clusters first.

    Citovsky et al. (2021), arXiv:2107.14263. Once, in the first round, the pool is clustered by
    average linkage (HAC), cut so that clusters hold ``cluster_size`` points on average. In every
    round the ``margin_factor`` · B points of smallest margin (of the average prediction) are
    grouped by cluster, clusters are sorted by how many of those they hold, fewest first, and the
    batch is filled round-robin with a random point of each, leaving out clusters that are used up.

    HAC needs all pairs. Of a pool of more than ``max_points``, a random subset of that many is
    clustered, into as many clusters, and every other point joins that of the nearest one of them.
    The clusters travel with the run in the strategy's state; a point that they lack (a wrapper
    showed others before) has everything clustered anew.

    Cost: once O(n² D) time and 8 n² bytes for n = min(N, ``max_points``), and O(N n D); then that
    of the margins.

    Args:
        space: Where distances are measured (``al_bench.strategies.spaces``).
        margin_factor: Points of smallest margin that are looked at, per point of the batch (k_m =
            10 k_t in the paper).
        cluster_size: Points of a cluster on average, at least.
        max_points: Points that HAC is run on, at most.
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
    """

    space: Space
    margin_factor: float = 10.0
    cluster_size: int = 10
    max_points: int = 10000
    num_samples: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.margin_factor < math.inf:
            raise ConfigError(
                f"{keyed('margin_factor')} must be a number from 1, got {self.margin_factor}.",
                "1 buys the points of smallest margin.",
            )
        require_whole("cluster_size", self.cluster_size, 1)
        require_whole("max_points", self.max_points, 2)
        check_num_samples(self.num_samples)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in round-robin order; scores are margins as ``margin`` gives them, 0 to 1.

        Notes: ``num_clusters``, in the whole pool at the time of clustering. State: the cluster of
        every point.

        Raises:
            AlBenchError: Distances of all pairs do not fit into memory; said before any work.
        """
        require_batch_size(batch_size, len(view))
        clusters = _unpacked(view.state)  # by pool index
        indices = view.indices.cpu()
        unknown = len(clusters) <= int(indices.max()) or bool((clusters[indices] < 0).any())
        if unknown:
            self._require_room(len(view))
        scores = view.score([margin], self.num_samples)[0].cpu()
        considered = min(len(view), math.ceil(self.margin_factor * batch_size))
        uncertain = top(scores, considered, generator)
        if unknown:
            clusters = torch.full((int(indices.max()) + 1,), -1)
            order, pool, _ = located(self.space, view, batch_size, generator)
            clusters[indices[order]] = self._clustered(pool)
        uncertain = uncertain[torch.randperm(considered, generator=generator)]
        taken = _round_robin(clusters[indices[uncertain]], generator)[:batch_size]
        picks = uncertain[taken]
        notes = {"num_clusters": int(clusters.max()) + 1}
        return Selection(picks, scores[picks].double(), notes, _packed(clusters))

    def _require_room(self, num_points: int) -> None:
        count = min(num_points, self.max_points)

        def hint(there: int) -> str:
            most = max(2, math.isqrt(there // PAIR_BYTES))
            return (
                f"Cluster fewer: {keyed('max_points', self)}={most}. Or choose among fewer: "
                f"strategy=subsample strategy@strategy.of=… strategy.size={most}."
            )

        what = f"Cluster-Margin: distances of {count:,} points to each other"
        require_room(PAIR_BYTES * count**2, torch.device("cpu"), what, hint)

    def _clustered(self, pool: Points) -> Tensor:
        """(N,) int64 cluster of every point of a pool in random order."""
        from scipy.cluster.hierarchy import fcluster, linkage

        count = min(len(pool), self.max_points)
        chosen = pool[slice(0, count)]
        if count == 1:
            return torch.zeros(len(pool), dtype=torch.int64)
        tree = linkage(_condensed(chosen), method="average")
        num_clusters = min(count, max(1, len(pool) // self.cluster_size))
        found = fcluster(tree, num_clusters, criterion="maxclust")
        labels = torch.from_numpy(found).long() - 1
        if count == len(pool):
            return labels
        return labels[nearest(pool, chosen)[1].cpu()]


def _condensed(points: Points) -> Any:
    """Distances of all pairs i < j, float64, by i and then by j."""
    count = len(points)
    distances = np.empty(count * (count - 1) // 2)
    filled = 0
    for block in blocks(count, 4 * count):
        rows = squared_distances(points[block], points).sqrt_().cpu().numpy()
        for i, row in zip(range(block.start, block.stop), rows, strict=True):
            distances[filled : filled + count - 1 - i] = row[i + 1 :]
            filled += count - 1 - i
    return distances


def _round_robin(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Places in ``labels`` (n,), one of each cluster in turn, clusters with fewer places first.

    Clusters of equal size are in random order, places of a cluster in theirs.
    """
    count = int(labels.max()) + 1
    sizes = labels.bincount(minlength=count)
    visits = torch.randperm(count, generator=generator)
    visits = visits[sizes[visits].argsort(stable=True)]
    visited = torch.empty_like(visits)
    visited[visits] = torch.arange(count)  # when a cluster has its turn
    by_turn = visited[labels].argsort(stable=True)
    starts = (sizes[visits].cumsum(0) - sizes[visits])[visited[labels[by_turn]]]
    turns = torch.arange(len(labels)) - starts  # rank of a place in its cluster
    return by_turn[turns.argsort(stable=True)]


def _packed(clusters: Tensor) -> dict[str, str]:
    content = zlib.compress(clusters.to(torch.int32).numpy().tobytes(), 9)
    return {"clusters": base64.b64encode(content).decode("ascii")}


def _unpacked(state: Mapping[str, Any] | None) -> Tensor:
    """(…,) int64 cluster by pool index, -1 for none; empty without a state."""
    if not state or "clusters" not in state:
        return torch.empty(0, dtype=torch.int64)
    content = zlib.decompress(base64.b64decode(state["clusters"]))
    return torch.from_numpy(np.frombuffer(content, dtype=np.int32).astype(np.int64))
