"""As redundant as possible: what a choice costs that learns nothing new.

N pool points, M labeled points, D features, B batch size.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.models.base import FEATURES
from al_bench.strategies.base import PoolView, Selection
from al_bench.strategies.spaces import LastLayer, in_order, random_order

BLOCK_BYTES = 2**26  # of distances


@dataclass(frozen=True)
class Worst:
    """Repeatedly the pool point nearest to what is labeled or picked: k-centre greedy, backwards.

    The distance is Euclidean between features. Without labeled points the first pick is random.
    O(N (M + B) D) time and one pass over the features a pick, O(N) memory beside them. A control
    that sees no labels. Greedy relies on nothing here: a batch that is worse still may exist.
    """

    needs: ClassVar[frozenset[str]] = frozenset({FEATURES})

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in that order; scores are minus the distance at which each was picked.

        A first pick without labeled points has no score (NaN). Notes ``fell_back`` = ``random``
        when every pick was one of equals.
        """
        order = random_order(view, batch_size, generator)
        features = in_order(LastLayer(), view, order)
        nearest = _nearest(features, view.labeled_features().to(features))  # (N,)
        gone = torch.zeros(len(view), dtype=torch.bool, device=features.device)
        picked: list[Tensor] = []
        distances: list[Tensor] = []
        tied = torch.tensor(True, device=features.device)
        for _ in range(batch_size):
            left = nearest.clamp_max(torch.finfo(nearest.dtype).max)  # all, where all are infinite
            best = left.masked_fill(gone, math.inf).argmin(keepdim=True)
            picked.append(best)
            distances.append(nearest[best])
            tied &= ((nearest == distances[-1]) | gone).all()
            gone.index_fill_(0, best, True)
            nearest = torch.minimum(nearest, _nearest(features, features[best]))
        scores = -torch.cat(distances).cpu().double()
        return Selection(
            order[torch.cat(picked).cpu()],
            scores.masked_fill(scores.isinf(), math.nan),
            {"fell_back": "random"} if bool(tied) else {},
        )


def _nearest(points: Tensor, centers: Tensor) -> Tensor:
    """Distance of each of ``points`` (n, D) to the nearest of ``centers``, (n,); inf without one.

    From differences, not from a product of matrices: near points are what matters here, and equal
    ones must come out equal.
    """
    if not len(centers):
        return points.new_full((len(points),), math.inf)
    blocks = torch.split(points, max(1, BLOCK_BYTES // (4 * len(centers))))
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cat([torch.cdist(b, centers, compute_mode=mode).amin(dim=1) for b in blocks])
