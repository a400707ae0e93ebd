"""Entropies and mutual information of single points, in nats.

n points, K posterior samples ω_1 … ω_K, C classes. Log-probabilities may be -inf, and 0 log 0 is 0.
Float32 log-probabilities are summed in float32 where that is good to a relative 3e-3, usually far
better, and in float64 elsewhere; those of other precision in float64.
"""

import math

import torch
from torch import Tensor

from al_bench.information.average import Average, average_prediction
from al_bench.information.precision import LEAST, in_float32, pieces, refined

ROUNDING = 1e-12
"""Information below this many nats counts as none.

Posterior samples that differ only by the rounding of float32 log-probabilities carry about 1e-14
nats: the mutual information is quadratic in small differences.
"""

COARSE = 1e-3
"""Nats, with up to a thousand classes: float32 is too coarse for less.

Its error is below 1e-6 nats with ten classes and below 1e-5 with 20,000.
"""


def entropy(log_probs: Tensor) -> Tensor:
    """Shannon entropy H[p] over the last axis.

    Args:
        log_probs: Normalised log-probabilities (…, C).

    Returns:
        Nats, float64, between 0 and log C, (…).
    """
    return torch.special.entr(log_probs.double().exp()).sum(dim=-1).clamp_min(0.0)


def predictive_log_probs(log_probs: Tensor) -> Tensor:
    """Logarithm of the average prediction p(y | x) = mean_k p(y | x, ω_k).

    Args:
        log_probs: Log-probabilities of each posterior sample (n, K, C).

    Returns:
        Log-probabilities, float64 whatever the input's precision, (n, C).
    """
    num_samples = _num_samples(log_probs)
    parts = [piece.double().logsumexp(dim=1) for piece in pieces(log_probs)]
    return torch.cat(parts) - math.log(num_samples)


def predictive_entropy(log_probs: Tensor) -> Tensor:
    """Entropy H[Y | x] of the average prediction: total uncertainty.

    Args:
        log_probs: Log-probabilities of each posterior sample (n, K, C).

    Returns:
        Nats, float64, between 0 and log C, (n,).
    """
    _num_samples(log_probs)
    return average_prediction(log_probs).entropy.clamp_min(0.0)


def conditional_entropy(log_probs: Tensor) -> Tensor:
    """Expected entropy H[Y | x, Ω] of the sampled predictions: aleatoric uncertainty.

    Args:
        log_probs: Log-probabilities of each posterior sample (n, K, C).

    Returns:
        Nats, float64, between 0 and log C, (n,).
    """
    _num_samples(log_probs)
    (entropies,) = in_float32(lambda piece: [_conditional_entropy(piece)], log_probs)
    good = ~entropies.isnan()  # however small
    return refined(entropies, good, _conditional_entropy, log_probs).clamp_min(0.0)


def mutual_information(log_probs: Tensor) -> Tensor:
    """Expected information gain I[Y; Ω | x] between label and parameters: epistemic uncertainty.

    Houlsby et al. (2011), arXiv:1112.5745: the predictive entropy minus the conditional entropy.

    Args:
        log_probs: Log-probabilities of each posterior sample (n, K, C).

    Returns:
        Nats, float64, between 0 and log min(K, C), (n,); exactly 0 below ``ROUNDING``.
    """
    _num_samples(log_probs)
    average, entropies = in_float32(_averages, log_probs)
    information = Average(average).entropy - entropies
    coarse = COARSE * max(1.0, log_probs.shape[2] / 1000)
    information = refined(information, information >= coarse, _information, log_probs)
    return information.masked_fill(information < ROUNDING, 0.0)


def _averages(log_probs: Tensor) -> list[Tensor]:
    probs = log_probs.exp()
    return [probs.mean(dim=1), _negative_sum(probs, log_probs)]


def _conditional_entropy(log_probs: Tensor) -> Tensor:
    return _negative_sum(log_probs.exp(), log_probs)


def _information(log_probs: Tensor) -> Tensor:
    """Without the sum to 1, which float32 log-probabilities violate, so that rounding cancels."""
    average, entropies = _averages(log_probs)
    return -(average * average.log().clamp_(min=LEAST)).sum(dim=1) - entropies


def _negative_sum(probs: Tensor, log_probs: Tensor) -> Tensor:
    """-mean_k Σ_y p log p, (n,); overwrites ``probs``."""
    return probs.mul_(log_probs).flatten(start_dim=1).sum(dim=1) / -log_probs.shape[1]


def _num_samples(log_probs: Tensor) -> int:
    if log_probs.ndim != 3 or 0 in log_probs.shape[1:]:
        raise ValueError(f"log_probs must have shape (n, K, C), got {tuple(log_probs.shape)}")
    return log_probs.shape[1]
