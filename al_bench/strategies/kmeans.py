"""Strategies that spread the batch as k-means spreads centers.

N pool points, M labeled points, D features, B batch size.
"""

from dataclasses import dataclass

import torch

from al_bench.strategies.base import Notes, PoolView, Selection
from al_bench.strategies.clusters import k_means
from al_bench.strategies.d2_sampling import d2_sample
from al_bench.strategies.distances import blocks, nearest, to_point
from al_bench.strategies.spaces import InSpace, Space, located


@dataclass(frozen=True)
class KMeans(InSpace):
    """The points nearest to the centroids of B clusters of the pool, largest cluster first.

    Clustering the pool before labeling: Nguyen and Smeulders (2004); as a batch strategy Zhdanov
    (2019), arXiv:1901.05954, without that paper's weights and prefiltering. Each cluster gives its
    own member nearest to its centroid, so that the batch is distinct. Labeled points play no role.

    Cost: O(N B D) an iteration (scikit-learn's k-means++ and Lloyd, at most 300), memory O(N D).

    Args:
        space: Where distances are measured (``al_bench.strategies.spaces``).
    """

    space: Space

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks by size of their cluster, which is also their score.

        With fewer than B distinct points some clusters are empty; then the rest of the batch is
        drawn uniformly, without a score (NaN). Notes: ``num_drawn``, how many those are;
        ``fell_back`` = ``random`` when all points are the same.
        """
        order, pool, _ = located(self.space, view, batch_size, generator)
        clusters = k_means(pool.values, batch_size, generator)
        labels = clusters.labels
        squared = torch.empty(len(pool))
        for block in blocks(len(pool), 12 * pool.values.shape[1]):
            differences = pool.values[block].cpu() - clusters.centroids[labels[block]]
            squared[block] = differences.square().sum(dim=1)
        ranked = squared.argsort(stable=True)
        ranked = ranked[labels[ranked].argsort(stable=True)]  # by cluster, nearest first
        sizes = labels.bincount(minlength=batch_size)
        starts = sizes.cumsum(0) - sizes
        largest = sizes.argsort(descending=True, stable=True)[: int((sizes > 0).sum())]
        picks = ranked[starts[largest]]
        scores = torch.full((batch_size,), torch.nan, dtype=torch.float64)
        scores[: len(picks)] = sizes[largest].double()
        notes: Notes = {}
        missing = batch_size - len(picks)
        if missing:
            left = torch.ones(len(pool), dtype=torch.bool)
            left[picks] = False
            picks = torch.cat([picks, left.nonzero().squeeze(1)[:missing]])  # in random order
            notes["num_drawn"] = missing
        if (pool.values == pool.values[0]).all():
            notes["fell_back"] = "random"
        return Selection(order[picks], scores, notes)


@dataclass(frozen=True)
class KMeansPlusPlus(InSpace):
    """D² sampling: each pick with probability ∝ squared distance to the nearest center.

    The seeding of k-means++, Arthur and Vassilvitskii (2007), as a batch strategy Holzmüller et al.
    (2023), arXiv:2203.09410. With ``use_labeled`` labeled points are centers from the start (that
    paper's mode TP), without it the batch ignores them (mode P). The first pick without a center is
    uniform. BADGE is this on gradients, ignoring labeled points.

    Cost: O(N M D) for the labeled points, as a matrix product, then O(N D) a pick; memory O(N D).

    Args:
        space: Where distances are measured (``al_bench.strategies.spaces``).
        use_labeled: Whether labeled points are centers.
    """

    space: Space
    use_labeled: bool = True

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks as drawn; scores are distances to the nearest center at that moment.

        A first pick without centers has no score (NaN). Notes: ``num_drawn``, picks that were drawn
        uniformly because there was no center or only copies of centers were left; ``fell_back`` =
        ``random`` when that is the whole batch.
        """
        order, pool, labeled = located(self.space, view, batch_size, generator)
        start = nearest(pool, labeled)[0] if self.use_labeled and len(labeled) else None
        picks, squared = d2_sample(
            lambda position: to_point(pool, position),
            len(pool),
            batch_size,
            generator,
            nearest=start,
        )
        drawn = int((~(squared > 0)).sum())
        notes: Notes = {"num_drawn": drawn} if drawn else {}
        if drawn == batch_size:
            notes["fell_back"] = "random"
        return Selection(order[picks], squared.sqrt(), notes)
