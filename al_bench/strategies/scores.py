"""Pointwise scores: what one label of each point is worth, higher is wanted more.

A score is a function of log-probabilities (n, K, C) to (n,) float64, with what it needs from the
model declared above it. A batch rule (``al_bench.strategies.rules``) makes a batch of any score.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from al_bench.information.average import average_prediction
from al_bench.information.entropies import (
    COARSE,
    ROUNDING,
    conditional_entropy,
    mutual_information,
    predictive_entropy,
)
from al_bench.information.precision import (
    LEAST,
    at_least_float32,
    in_float32,
    pieces,
    refined,
)
from al_bench.models.base import SAMPLES
from al_bench.strategies.base import PoolScore, ScoreFn

STEADY = 0.1  # of a probability: float32 has lost smaller deviations, roots of differences


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

    Lewis and Gale (1994). Published experiments with posterior samples, such as those of BatchBALD,
    often call this the variation ratio; that of the samples' votes is ``variation_ratios``.

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Scores between 0 and 1 - 1/C, (n,) float64.
    """
    return average_prediction(log_probs).doubt.squeeze(1)


def margin(log_probs: Tensor) -> Tensor:
    """One minus the gap between the two most probable classes, of the average prediction.

    Scheffer et al. (2001), also called best-versus-second-best.

    Args:
        log_probs: Log-probabilities (n, K, C), C at least 2.

    Returns:
        Scores between 0 and 1, (n,) float64.
    """
    average = average_prediction(log_probs)
    return average.doubt.squeeze(1) + average.others.amax(dim=1)


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


def expected_entropy(log_probs: Tensor) -> Tensor:
    """Average entropy of the sampled predictions, in nats: what BALD subtracts from the entropy.

    Aleatoric uncertainty, so an ablation rather than a strategy; Smith and Gal (2018),
    arXiv:1803.08533.

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Scores between 0 and log C, (n,) float64.
    """
    return conditional_entropy(log_probs)


@needs(SAMPLES)
def variation_ratios(log_probs: Tensor) -> Tensor:
    """Share of the samples' votes that are not for the class with most votes.

    Freeman (1965); Gal et al. (2017), arXiv:1703.02910. Each posterior sample votes for its most
    probable class; equally probable ones share the vote. 1 - max_y p(y | x) of the average
    prediction, which some papers call so, is ``least_confidence``.

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Scores between 0 and 1 - 1 / C, (n,) float64.
    """
    return 1.0 - votes(log_probs).amax(dim=-1)


@needs(SAMPLES)
def vote_entropy(log_probs: Tensor) -> Tensor:
    """Entropy of the samples' votes, in nats; Dagan and Engelson (1995).

    Votes as in ``variation_ratios``; how sure a sample is does not count. That of soft votes is
    ``entropy``.

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Scores between 0 and log C, (n,) float64.
    """
    return torch.special.entr(votes(log_probs)).sum(dim=-1).clamp_min(0.0)


@needs(SAMPLES)
def committee_kl(log_probs: Tensor) -> Tensor:
    """Average divergence of the samples from their average, in nats; McCallum and Nigam (1998).

    mean_k KL(p(y | x, ω_k) ‖ p(y | x)), also called Kullback-Leibler divergence to the mean or
    consensus. It is the mutual information of label and parameters, so this is ``bald`` under the
    name that query by committee has for it; ``max_disagreement`` differs.

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Scores between 0 and log min(K, C), (n,) float64; 0 where the samples agree.
    """
    return mutual_information(log_probs)


@needs(SAMPLES)
def max_disagreement(log_probs: Tensor) -> Tensor:
    """Divergence of the most deviating sample from the average, in nats.

    max_k KL(p(y | x, ω_k) ‖ p(y | x)): one dissenter is enough, where ``committee_kl`` averages.
    After the consensus strategies of query by committee, Seung et al. (1992).

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Scores between 0 and log K, (n,) float64; 0 where the samples agree.
    """
    (divergence,) = in_float32(lambda piece: [_divergence(piece)], log_probs)
    divergence = refined(divergence, divergence >= COARSE, _divergence, log_probs)
    return divergence.masked_fill(divergence < ROUNDING, 0.0)


@needs(SAMPLES)
def mean_std(log_probs: Tensor) -> Tensor:
    """Standard deviation of the sampled probabilities, averaged over classes.

    mean_y sqrt(mean_k p(y | x, ω_k)² - p(y | x)²); Kampffmeyer et al. (2016), Gal et al. (2017),
    arXiv:1703.02910.

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Scores between 0 and 1 / 2, (n,) float64; 0 where the samples agree.
    """
    mean, second = in_float32(_moments, log_probs)  # (n, C)
    deviation = _deviation(mean, second)
    good = deviation >= STEADY * second.sqrt().mean(dim=1)
    deviation = refined(deviation, good, lambda part: _deviation(*_moments(part)), log_probs)
    return deviation.masked_fill(deviation < ROUNDING**0.5, 0.0)


def votes(log_probs: Tensor) -> Tensor:
    """Share of the samples whose most probable class is each class; equals share a vote.

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Shares, float64, (n, C); NaN where a log-probability is.
    """
    return torch.cat([_votes(piece) for piece in pieces(log_probs)])


def _votes(log_probs: Tensor) -> Tensor:
    by_class = at_least_float32(log_probs).transpose(1, 2).contiguous()  # fast to reduce over C
    best = torch.empty_like(by_class)  # (n, C, K)
    highest = by_class.amax(dim=1, keepdim=True)
    torch.eq(by_class, highest, out=best)
    shares = best.sum(dim=2)
    tied = shares.sum(dim=1) != shares.new_tensor(log_probs.shape[1])
    if bool(tied.any()):
        shares = shares.double()
        shares[tied] = (best[tied] / best[tied].sum(dim=1, keepdim=True)).sum(dim=2).double()
    unknown = highest.isnan().any(dim=2)  # (n, 1)
    return shares.double().masked_fill(unknown, torch.nan) / log_probs.shape[1]


def _divergence(log_probs: Tensor) -> Tensor:
    probs = log_probs.exp()
    average = probs.mean(dim=1, keepdim=True)  # (n, 1, C)
    terms = (log_probs - average.log().clamp_(min=LEAST)).mul_(probs)
    if probs.dtype == torch.float64:  # where divergences are small
        terms += average - probs  # sums to 0, but for rounding, which it makes quadratic
    return terms.sum(dim=-1).amax(dim=-1)


def _moments(log_probs: Tensor) -> list[Tensor]:
    probs = log_probs.exp()
    return [probs.mean(dim=1), probs.square_().mean(dim=1)]


def _deviation(mean: Tensor, second: Tensor) -> Tensor:
    return (second - mean.square()).clamp_min_(0.0).sqrt_().mean(dim=1)
