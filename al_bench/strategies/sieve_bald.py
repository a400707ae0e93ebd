"""SieveBALD: BatchBALD from pairs of points.

N pool points, K posterior samples, C classes, B batch size.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.information.changes import PairwiseInformation
from al_bench.models.base import SAMPLES
from al_bench.models.room import require_room
from al_bench.strategies.base import (
    Notes,
    PoolView,
    Selection,
    check_num_samples,
    require_batch_size,
)

ROUNDING = 1e-6  # a score no further below 0 is rounding


@dataclass(frozen=True)
class SieveBALD:
    """2-BALD, greedily: BALD less what it shares with each point of the batch.

    Kirsch (2023), arXiv:2301.09490. The first two orders of the inclusion and exclusion of what the
    labels of a batch tell about the parameters,

        I[Y_1, …, Y_B; Ω] ≈ Σ_i I[Y_i; Ω] - Σ_{i<j} I[Y_i; Y_j],

    so a pick has the highest I[Y; Ω | x] - Σ_{j in batch} I[Y; Y_j | x, x_j]. Exact for two points,
    where it is BatchBALD; beyond that information shared by three is subtracted too often, and
    scores can fall below 0 (``negative_from`` is the rank of the first pick where they do): fewer
    points a batch, or BatchBALD, are then the better choice. Picks go on by score all the same, as
    in the published code, which reports running sums of these scores. Scores can only shrink, since
    no two points share less than nothing, but greedy relies on none of it: every candidate's score
    is brought up to date at every pick.

    No joint labelings are needed: 2·B·N·K·C² operations in float32 and B·N·C² logarithms, exact up
    to rounding (about 3e-6 nats a pair). Memory: the pool's probabilities once more in float32.

    Args:
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
    """

    num_samples: int | None = None
    needs: ClassVar[frozenset[str]] = frozenset({SAMPLES})

    def __post_init__(self) -> None:
        check_num_samples(self.num_samples)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are BALD less the shared information, in nats.

        Notes: ``negative_from`` (rank of the first pick with a negative score), ``fell_back`` =
        ``random`` when no point has any information.
        """
        require_batch_size(batch_size, len(view))
        log_probs = view.log_probs(self.num_samples)  # (N, K, C)
        if log_probs.isnan().any():
            raise ValueError("log-probabilities are NaN")
        order = torch.randperm(len(log_probs), generator=generator)
        require_room(
            log_probs.nbytes, log_probs.device, f"SieveBALD: probabilities of {len(view):,} points"
        )
        pairs = PairwiseInformation(log_probs, order.to(log_probs.device))
        scores = pairs.alone.clone()
        picks: list[Tensor] = []
        values: list[Tensor] = []
        for rank in range(batch_size):
            best = (scores == scores.max()).int().argmax(dim=0, keepdim=True)  # the first one
            picks.append(best)
            values.append(scores[best])
            scores.index_fill_(0, best, -math.inf)
            if rank + 1 < batch_size:
                scores -= pairs.with_point(best)
        found = torch.cat(values).cpu()
        notes: Notes = {}
        negative = (found < -ROUNDING).tolist()
        if True in negative:
            notes["negative_from"] = negative.index(True)
        if not pairs.alone.any():
            notes["fell_back"] = "random"
        return Selection(order[torch.cat(picks).cpu()], found, notes)
