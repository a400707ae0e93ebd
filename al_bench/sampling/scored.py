"""Selections that score every candidate by itself: a score and a batch rule.

n candidates, B of them chosen, K posterior samples, C classes.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from al_bench.errors import ConfigError, keyed
from al_bench.sampling.base import IRREDUCIBLE, CandidateView, Chosen
from al_bench.sampling.irreducible import IrreducibleModel
from al_bench.strategies.base import ScoreFn, check_num_samples
from al_bench.strategies.rules import BatchRule
from al_bench.strategies.scores import needs_of


@runtime_checkable
class CandidateScore(Protocol):
    """What one step on each candidate is worth, its label known: a frozen dataclass."""

    @property
    def needs(self) -> frozenset[str]:
        """What the run must provide (``al_bench.sampling.base``)."""

    def of_candidates(self, view: CandidateView, num_samples: int | None) -> Tensor:
        """(n,) float64 scores, higher is wanted more.

        Args:
            view: The candidates.
            num_samples: Posterior samples to score with; ``None`` takes all K of the model.
        """


@dataclass(frozen=True)
class Scored:
    """Any score with any batch rule: the B highest scores, or draws in proportion to them.

    Args:
        score: A score of labeled candidates (``al_bench.sampling.scores``), or one that active
            learning has for predictions alone (``al_bench.strategies.scores``).
        rule: Scores (n,) to positions (B,) (``al_bench.strategies.rules``).
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
        irreducible: Gives the irreducible losses, for a score that needs them.
    """

    score: CandidateScore | ScoreFn
    rule: BatchRule
    num_samples: int | None = None
    irreducible: IrreducibleModel | None = None

    def __post_init__(self) -> None:
        check_num_samples(self.num_samples)
        if self.irreducible is not None and IRREDUCIBLE not in self.needs:
            raise ConfigError(
                f"{keyed('irreducible')} gives irreducible losses, which this score does not "
                "look at.",
                "Leave it out, or use selection=rho_loss.",
            )

    @property
    def needs(self) -> frozenset[str]:
        """What the score needs."""
        if isinstance(self.score, CandidateScore):
            return self.score.needs
        return needs_of(self.score)

    def choose(self, view: CandidateView, batch_size: int, generator: torch.Generator) -> Chosen:
        """Score the candidates, then apply the rule.

        Notes ``fell_back`` = ``random`` when all scores are equal, so that chance decides.
        """
        scores = candidate_scores(self.score, view, self.num_samples).cpu()
        positions = self.rule(scores, batch_size, generator)
        tied = batch_size < len(scores) and bool((scores == scores[0]).all())
        return Chosen(positions, notes={"fell_back": "random"} if tied else {})


def candidate_scores(
    score: CandidateScore | ScoreFn, view: CandidateView, num_samples: int | None
) -> Tensor:
    """(n,) float64 scores of the candidates, of either kind of score."""
    if isinstance(score, CandidateScore):
        return score.of_candidates(view, num_samples).double()
    return score(view.log_probs(num_samples)).double()
