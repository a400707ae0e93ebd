"""How much the label of a point changes the prediction on each single target input.

n candidates x, T target inputs x*, K posterior samples ω_1 … ω_K, C classes.
"""

import torch
from torch import Tensor

from al_bench.information.predictive import check_targets

BLOCK_BYTES = 2**25  # of working memory


def information_between(log_probs: Tensor, target_log_probs: Tensor) -> Tensor:
    """I[Y; Y* | x, x*] of every candidate with every target; its average over targets is EPIG.

    The matrix product of centered probabilities is in float32: good to about 1e-6 nats.

    Args:
        log_probs: Log-probabilities of the candidates (n, K, C).
        target_log_probs: Log-probabilities of the targets (T, K, C), under the same samples.

    Returns:
        Nats, float32, at least 0, (n, T).
    """
    return _changes(log_probs, target_log_probs, "log")


def squared_change(log_probs: Tensor, target_log_probs: Tensor) -> Tensor:
    """Σ_y p(y | x) Σ_y* (p(y* | x*, y, x) - p(y* | x*))² of every candidate with every target.

    By how much the label of x is expected to move the prediction on x*, as the increase of its
    (negative) Brier score; Tan et al. (2021), arXiv:2110.14171.

    Args:
        log_probs: Log-probabilities of the candidates (n, K, C).
        target_log_probs: Log-probabilities of the targets (T, K, C), under the same samples.

    Returns:
        float32, between 0 and 1, (n, T); good to about 1e-6.
    """
    return _changes(log_probs, target_log_probs, "squared")


def _changes(log_probs: Tensor, target_log_probs: Tensor, kind: str) -> Tensor:
    """p(y, y*) = p(y) p(y*) + the covariance over samples, which the product gives directly."""
    check_targets(log_probs, target_log_probs)
    num_targets, num_samples, num_classes = target_log_probs.shape
    targets = target_log_probs.double().exp().permute(1, 0, 2)  # (K, T, C)
    of_targets = targets.mean(dim=0)  # (T, C)
    targets = (targets - of_targets).float().reshape(num_samples, -1) / num_samples
    of_targets = of_targets.float()
    size = max(1, BLOCK_BYTES // (4 * num_classes * num_targets * num_classes))
    parts = []
    for part in torch.split(log_probs, size):
        probs = part.double().exp()
        of_part = probs.mean(dim=1, keepdim=True)  # (n, 1, C)
        centered = (probs - of_part).float().transpose(1, 2)  # (n, C, K)
        covariance = (centered.reshape(-1, num_samples) @ targets).view(
            len(part), num_classes, num_targets, num_classes
        )
        p = of_part.float().view(len(part), num_classes, 1, 1)
        if kind == "squared":
            change = (covariance.square() / p).where(p > 0, 0.0)
        else:
            change = _divergence(covariance, p * of_targets)
        parts.append(change.sum(dim=(1, 3)).clamp_min(0.0))
    return torch.cat(parts)


def _divergence(difference: Tensor, independent: Tensor) -> Tensor:
    """Joint · log(joint / independent), where joint = independent + difference."""
    joint = (independent + difference).clamp_min(0.0)
    ratio = (difference / independent).clamp_min(-1.0)
    return (joint * ratio.log1p()).where(joint > 0, 0.0)
