"""Entropies and mutual information of single points, in nats.

n points, K posterior samples ω_1 … ω_K, C classes. Log-probabilities may be -inf, and 0 log 0 is 0.
Everything is computed in float64, whatever the input's precision.
"""

import math

import torch
from torch import Tensor

ROUNDING = 1e-12
"""Information below this many nats counts as none.

Posterior samples that differ only by the rounding of float32 log-probabilities carry about 1e-14
nats: the mutual information is quadratic in small differences.
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
        Log-probabilities, float64, (n, C).
    """
    num_samples = _num_samples(log_probs)
    return log_probs.double().logsumexp(dim=1) - math.log(num_samples)


def predictive_entropy(log_probs: Tensor) -> Tensor:
    """Entropy H[Y | x] of the average prediction: total uncertainty.

    Args:
        log_probs: Log-probabilities of each posterior sample (n, K, C).

    Returns:
        Nats, float64, between 0 and log C, (n,).
    """
    return entropy(predictive_log_probs(log_probs))


def conditional_entropy(log_probs: Tensor) -> Tensor:
    """Expected entropy H[Y | x, Ω] of the sampled predictions: aleatoric uncertainty.

    Args:
        log_probs: Log-probabilities of each posterior sample (n, K, C).

    Returns:
        Nats, float64, between 0 and log C, (n,).
    """
    _num_samples(log_probs)
    return entropy(log_probs).mean(dim=1)


def mutual_information(log_probs: Tensor) -> Tensor:
    """Expected information gain I[Y; Ω | x] between label and parameters: epistemic uncertainty.

    Houlsby et al. (2011), arXiv:1112.5745: the predictive entropy minus the conditional entropy.

    Args:
        log_probs: Log-probabilities of each posterior sample (n, K, C).

    Returns:
        Nats, float64, between 0 and log min(K, C), (n,); exactly 0 below ``ROUNDING``.
    """
    information = predictive_entropy(log_probs) - conditional_entropy(log_probs)
    return information.masked_fill(information < ROUNDING, 0.0)


def _num_samples(log_probs: Tensor) -> int:
    if log_probs.ndim != 3 or 0 in log_probs.shape[1:]:
        raise ValueError(f"log_probs must have shape (n, K, C), got {tuple(log_probs.shape)}")
    return log_probs.shape[1]
