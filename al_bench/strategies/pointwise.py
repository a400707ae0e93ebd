"""Strategies that score every point by itself: a score and a batch rule."""

from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.errors import ConfigError, keyed
from al_bench.models.base import DENSITY, GRADIENTS
from al_bench.strategies.base import (
    PoolScore,
    PoolView,
    ScoreFn,
    Selection,
    check_num_samples,
)
from al_bench.strategies.rules import BatchRule
from al_bench.strategies.scores import needs_of

_OF_ONE_NETWORK = {
    GRADIENTS: "gradients are those of the mean network",
    DENSITY: "the density of features is that of one network",
}


@dataclass(frozen=True)
class Pointwise:
    """Any score with any batch rule: BALD is ``bald`` × ``TopB``, PowerBALD ``bald`` × ``Power``.

    Args:
        score: Log-probabilities (n, K, C) to scores (n,) (``al_bench.strategies.scores``), or a
            ``PoolScore``.
        rule: Scores (N,) to positions (B,) (``al_bench.strategies.rules``).
        num_samples: Posterior samples to score with; ``None`` takes all K of the model, and is all
            that goes with a score that needs gradients or a density.
    """

    score: ScoreFn | PoolScore
    rule: BatchRule
    num_samples: int | None = None

    def __post_init__(self) -> None:
        check_num_samples(self.num_samples)
        if self.num_samples is None:
            return
        for name, of in _OF_ONE_NETWORK.items():
            if name in self.needs:
                raise ConfigError(
                    f"{keyed('num_samples')}={self.num_samples} takes posterior samples, but {of}.",
                    f"Use {keyed('num_samples')}=null.",
                )

    @property
    def needs(self) -> frozenset[str]:
        """What the score needs."""
        return needs_of(self.score)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Score the pool, then apply the rule; the scores returned are the unperturbed ones.

        An infinite score ranks, but is none to store (NaN).

        Notes ``fell_back`` = ``random`` when all scores are equal, so that the batch is a random
        one.
        """
        scores = pool_scores(self.score, view, self.num_samples)
        positions = self.rule(scores, batch_size, generator)
        tied = bool((scores == scores[0]).all())
        return Selection(
            positions=positions,
            scores=scores.masked_fill(scores.isinf(), torch.nan).cpu()[positions],
            notes={"fell_back": "random"} if tied else {},
        )


def pool_scores(score: ScoreFn | PoolScore, view: PoolView, num_samples: int | None) -> Tensor:
    """(N,) float64 scores of the pool, of either kind of score."""
    if isinstance(score, PoolScore):
        return score.of_pool(view, num_samples)
    return view.score([score], num_samples)[0]
