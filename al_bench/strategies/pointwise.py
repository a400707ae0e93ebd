"""Strategies that score every point by itself: a score and a batch rule."""

from dataclasses import dataclass

import torch

from al_bench.strategies.base import PoolView, ScoreFn, Selection, check_num_samples
from al_bench.strategies.rules import BatchRule
from al_bench.strategies.scores import needs_of


@dataclass(frozen=True)
class Pointwise:
    """Any score with any batch rule: BALD is ``bald`` × ``TopB``, PowerBALD ``bald`` × ``Power``.

    Args:
        score: Log-probabilities (n, K, C) to scores (n,) (``al_bench.strategies.scores``).
        rule: Scores (N,) to positions (B,) (``al_bench.strategies.rules``).
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
    """

    score: ScoreFn
    rule: BatchRule
    num_samples: int | None = None

    def __post_init__(self) -> None:
        check_num_samples(self.num_samples)

    @property
    def needs(self) -> frozenset[str]:
        """What the score needs."""
        return needs_of(self.score)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Score the pool, then apply the rule; the scores returned are the unperturbed ones.

        Notes ``fell_back`` = ``random`` when all scores are equal, so that the batch is a random
        one.
        """
        (scores,) = view.score([self.score], self.num_samples)
        positions = self.rule(scores, batch_size, generator)
        tied = bool((scores == scores[0]).all())
        return Selection(
            positions=positions,
            scores=scores.cpu()[positions],
            notes={"fell_back": "random"} if tied else {},
        )
