"""Batch rules: from one score a point to a batch, best first.

N pool points, B batch size, β coldness. Ties are fair: the generator permutes the pool, then the
first of equals wins, so no place in the data set is preferred.

The stochastic rules are those of Kirsch et al. (2023), arXiv:2106.12059: the score of a point will
have changed once others are labeled, so scores are perturbed with Gumbel noise of scale 1/β before
the B highest are taken. That draws without replacement with the stated weights (Gumbel top-B).
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from al_bench.errors import keyed, require_number

NEGLIGIBLE = 1e-9  # a score no further below 0 is rounding


class BatchRule(Protocol):
    """What a file under ``conf/strategy/rule`` builds: a frozen dataclass."""

    def __call__(self, scores: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """B distinct positions (B,) int64, best first.

        Args:
            scores: (N,) float64, higher is wanted more; infinite scores are allowed.
            batch_size: B, between 1 and N.
            generator: The only source of randomness.

        Raises:
            ValueError: A score is NaN, or B is not between 1 and N.
        """


@dataclass(frozen=True)
class TopB:
    """The B highest scores."""

    def __call__(self, scores: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Positions (B,) of the highest scores, best first."""
        return top(scores, batch_size, generator)


@dataclass(frozen=True)
class Power:
    """Draws without replacement with weights score ** β.

    Weights need scores of at least 0: a score below ``-NEGLIGIBLE`` is refused, one between that
    and 0 is rounding and counts as 0. Points of score 0 are taken only when no positive one is
    left, then uniformly.

    Args:
        beta: Coldness β: the larger, the closer to the B highest scores.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        _check_beta(self.beta)

    def __call__(self, scores: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Positions (B,) in the order in which they were drawn.

        Raises:
            ValueError: Also when a score is below ``-NEGLIGIBLE``.
        """
        scores = scores.double()
        negative = scores < -NEGLIGIBLE
        if negative.any():
            raise ValueError(
                f"{int(negative.sum())} of {len(scores)} scores are negative, down to "
                f"{float(scores.min()):.3g}; the power rule needs scores from 0. Use "
                "strategy/rule=softmax or strategy/rule=softrank for scores of either sign."
            )
        return _perturbed_top(scores.clamp_min(0.0).log(), self.beta, batch_size, generator)


@dataclass(frozen=True)
class Softmax:
    """Draws without replacement with weights exp(β score).

    Args:
        beta: Coldness β, per unit of the score: towards 0 it is uniform.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        _check_beta(self.beta)

    def __call__(self, scores: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Positions (B,) in the order in which they were drawn."""
        return _perturbed_top(scores.double(), self.beta, batch_size, generator)


@dataclass(frozen=True)
class Softrank:
    """Draws without replacement with weights rank ** -β, rank 1 for the highest score.

    Equal scores are ranked in random order.

    Args:
        beta: Coldness β: the larger, the closer to the B highest scores.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        _check_beta(self.beta)

    def __call__(self, scores: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
        """Positions (B,) in the order in which they were drawn."""
        order = top(scores, len(scores), generator)
        log_ranks = torch.empty(len(scores), dtype=torch.float64)
        log_ranks[order] = torch.arange(1, len(scores) + 1, dtype=torch.float64).log()
        return _perturbed_top(-log_ranks, self.beta, batch_size, generator)


def top(scores: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    """Positions (B,) of the B highest ``scores`` (N,), best first, ties in random order.

    Raises:
        ValueError: A score is NaN, or B is not between 1 and N.
    """
    scores = scores.cpu()
    if scores.ndim != 1 or not 1 <= batch_size <= len(scores):
        raise ValueError(f"cannot take {batch_size} of scores of shape {tuple(scores.shape)}")
    if scores.isnan().any():
        raise ValueError(f"{int(scores.isnan().sum())} of {len(scores)} scores are NaN")
    order = torch.randperm(len(scores), generator=generator)
    return order[scores[order].argsort(descending=True, stable=True)[:batch_size]]


def _perturbed_top(
    log_weights: Tensor, beta: float, batch_size: int, generator: torch.Generator
) -> Tensor:
    log_weights = log_weights.cpu()
    # minus the logarithm of a unit exponential is a standard Gumbel variable
    exponential = torch.empty_like(log_weights).exponential_(generator=generator)
    return top(beta * log_weights - exponential.log(), batch_size, generator)


def _check_beta(beta: float) -> None:
    hint = f"Use {keyed('strategy/rule')}=top_b for the highest scores."
    require_number("beta", beta, above=0, hint=hint)
