"""TypiClust: the most typical points of the largest clusters that have no label yet.

N pool points, M labeled points, D features, B batch size.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.errors import require_whole
from al_bench.strategies.base import Notes, PoolView, Selection
from al_bench.strategies.clusters import k_means
from al_bench.strategies.distances import Points, blocks, joined, squared_distances
from al_bench.strategies.spaces import InSpace, Space, located

MOST_LLOYD = 50  # more clusters than that are found by mini-batch k-means, as published
LEAST_DISTANCE = 1e-5  # added to the mean distance, as published: copies have finite typicality


@dataclass(frozen=True)
class TypiClust(InSpace):
    """A typical point of each of the largest uncovered clusters.

    Hacohen et al. (2022), arXiv:2202.02794. Pool and labeled points together are clustered into
    min(M + B, ``max_clusters``) clusters (k-means up to 50, mini-batch k-means above); clusters are
    visited by number of labeled points, fewest first, then by size, largest first, leaving out
    those with fewer than ``min_cluster_size`` points. Each visit picks the point of highest
    typicality, 1 / mean distance to its ``num_neighbors`` nearest neighbors among the cluster's
    points that are neither labeled nor picked (half of them in a cluster of less than twice as
    many). After the last cluster come further picks from the first.

    The published code differs: it averages squared distances (its index returns those) and leaves
    out clusters of exactly 5 points too. When no cluster large enough has points left (small
    pools), the small ones follow here, where it fails. The paper's features are self-supervised and
    of unit length: ``space=embeddings space.normalize=true``; for the first, YAML sets the second.

    Cost: k-means, O(N (M + B) D) an iteration, and O(n² D) for a cluster of n points.

    Args:
        space: Where distances are measured (``al_bench.strategies.spaces``).
        max_clusters: Clusters at most.
        min_cluster_size: Points, labeled ones included, that a cluster must have.
        num_neighbors: Neighbors that typicality averages over.
    """

    space: Space
    max_clusters: int = 500
    min_cluster_size: int = 5
    num_neighbors: int = 20

    def __post_init__(self) -> None:
        for name in ("max_clusters", "min_cluster_size", "num_neighbors"):
            require_whole(name, getattr(self, name), 1)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in the order of the clusters; scores are typicalities, NaN for a lone point.

        Notes: ``num_clusters``, how many were not empty; ``fell_back`` = ``random`` when all points
        are the same.
        """
        order, pool, labeled = located(self.space, view, batch_size, generator)
        points = joined(pool, labeled)
        num_clusters = min(len(labeled) + batch_size, self.max_clusters, len(points))
        clusters = k_means(
            points.values, num_clusters, generator, mini_batch=num_clusters > MOST_LLOYD
        )
        of_pool = clusters.labels[: len(pool)].clone()  # -1 once picked
        picks: list[int] = []
        scores: list[float] = []
        for round_of_clusters in self._visits(clusters.labels, len(pool), num_clusters):
            while len(picks) < batch_size:
                before = len(picks)
                for cluster in round_of_clusters[: batch_size - before]:
                    members = (of_pool == cluster).nonzero().squeeze(1)
                    if len(members):
                        typicality = self._typicality(pool[members.to(pool.device)])
                        best = int(typicality.argmax())
                        picks.append(int(members[best]))
                        scores.append(float(typicality[best]))
                        of_pool[members[best]] = -1
                if len(picks) == before:
                    break
        notes: Notes = {
            "num_clusters": int((clusters.labels.bincount() > 0).sum()),
        }
        if (pool.values == pool.values[0]).all():
            notes["fell_back"] = "random"
        return Selection(order[picks], torch.tensor(scores, dtype=torch.float64), notes)

    def _visits(self, labels: Tensor, num_pool: int, num_clusters: int) -> list[list[int]]:
        """Clusters large enough, then the others, each in the order in which they are visited."""
        sizes = labels.bincount(minlength=num_clusters)
        counts = labels[num_pool:].bincount(minlength=num_clusters)  # of labeled points
        visits = sizes.argsort(descending=True, stable=True)
        visits = visits[counts[visits].argsort(stable=True)]
        visits = visits[sizes[visits] > counts[visits]]  # something to pick
        large = sizes[visits] >= self.min_cluster_size
        return [visits[large].tolist(), visits[~large].tolist()]

    def _typicality(self, members: Points) -> Tensor:
        """(n,) float64 typicalities of the points of one cluster; NaN for a lone one."""
        count = len(members)
        num_neighbors = max(1, min(self.num_neighbors, count // 2))
        if count == 1:
            return torch.tensor([math.nan], dtype=torch.float64)
        typicality = torch.empty(count, dtype=torch.float64)
        num_features = members.values.shape[1]
        for block in blocks(count, 4 * (2 * count + 2 * num_neighbors * num_features)):
            rows = members[block]
            squared = squared_distances(rows, members)
            squared[torch.arange(len(rows)), torch.arange(count)[block]] = torch.inf
            found = squared.topk(num_neighbors, largest=False).indices
            differences = members.values[found] - rows.values[:, None]  # (rows, neighbors, D)
            distances = torch.linalg.vector_norm(differences, dim=2).mean(dim=1)
            typicality[block] = 1 / (distances.cpu().double() + LEAST_DISTANCE)
        return typicality
