"""Pointwise scores: what one label of each point is worth, higher is wanted more.

A score is a function of log-probabilities (n, K, C) to (n,) float64, with what it needs from the
model declared above it. A batch rule (``al_bench.strategies.rules``) makes a batch of any score.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from al_bench.information.entropies import (
    mutual_information,
    predictive_entropy,
    predictive_log_probs,
)
from al_bench.models.base import SAMPLES
from al_bench.strategies.base import PoolScore, ScoreFn


def needs(*capabilities: str) -> Callable[[ScoreFn], ScoreFn]:
    """Declare what a score needs the model to provide (``al_bench.models.base``)."""

    def declare(score: ScoreFn) -> ScoreFn:
        score.__dict__["needs"] = frozenset(capabilities)
        return score

    return declare


def needs_of(score: ScoreFn | PoolScore) -> frozenset[str]:
    """What ``score`` declared that it needs; nothing if it declared nothing."""
    if isinstance(score, PoolScore):
        return score.needs
    while isinstance(score, partial):
        score = score.func
    declared: frozenset[str] = getattr(score, "needs", frozenset())
    return declared


def least_confidence(log_probs: Tensor) -> Tensor:
    """One minus the probability of the most probable class, of the average prediction.

    Lewis and Gale (1994); with posterior samples also called variation ratio, Gal et al. (2017),
    arXiv:1703.02910.

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Scores between 0 and 1 - 1/C, (n,) float64.
    """
    return 1.0 - predictive_log_probs(log_probs).exp().amax(dim=-1)


def margin(log_probs: Tensor) -> Tensor:
    """One minus the gap between the two most probable classes, of the average prediction.

    Scheffer et al. (2001), also called best-versus-second-best.

    Args:
        log_probs: Log-probabilities (n, K, C), C at least 2.

    Returns:
        Scores between 0 and 1, (n,) float64.
    """
    top = predictive_log_probs(log_probs).exp().topk(2, dim=-1).values  # (n, 2)
    return 1.0 - (top[:, 0] - top[:, 1])


def entropy(log_probs: Tensor) -> Tensor:
    """Entropy of the average prediction, in nats; Settles and Craven (2008).

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Scores between 0 and log C, (n,) float64.
    """
    return predictive_entropy(log_probs)


@needs(SAMPLES)
def bald(log_probs: Tensor) -> Tensor:
    """Mutual information between label and parameters, in nats.

    Houlsby et al. (2011), arXiv:1112.5745; Gal et al. (2017), arXiv:1703.02910.

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Scores between 0 and log min(K, C), (n,) float64; 0 where the samples agree.
    """
    return mutual_information(log_probs)
