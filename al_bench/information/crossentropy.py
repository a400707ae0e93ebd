"""How well K posterior samples predict observed labels: one by one, and together.

n points with labels y_1 … y_n, K equally likely posterior samples ω_1 … ω_K, C classes; in nats.
The marginal predictive of a point averages over the samples, the joint predictive of several points
averages the product: p(y_1, …, y_n) = mean_k Π_i p(y_i | x_i, ω_k). A model can be good at one and
bad at the other; what is learnt from labels without retraining depends on the joint one.
"""

import math

import torch
from torch import Tensor

from al_bench.information.observed import label_log_probs
from al_bench.information.precision import pieces


def surprise(log_probs: Tensor, labels: Tensor) -> Tensor:
    """H[y | x] = -log p(y | x) of each observed label under the average prediction.

    Args:
        log_probs: Log-probabilities (n, K, C).
        labels: Observed labels (n,) int64.

    Returns:
        Nats, float64, from 0; infinite for a label that no sample thinks possible, (n,).
    """
    return -_log_mean(label_log_probs(log_probs, labels).T)


def marginal_cross_entropy(log_probs: Tensor, labels: Tensor) -> float:
    """-(1/n) Σ_i log p(y_i | x_i): the test loss of the average prediction, nats per label.

    Args:
        log_probs: Log-probabilities (n, K, C).
        labels: Observed labels (n,) int64.
    """
    return float(surprise(log_probs, labels).mean())


def conditional_cross_entropy(log_probs: Tensor, labels: Tensor) -> float:
    """-(1/n) Σ_i mean_k log p(y_i | x_i, ω_k): the mean test loss of the samples, nats per label.

    At least the marginal and the joint cross-entropy.

    Args:
        log_probs: Log-probabilities (n, K, C).
        labels: Observed labels (n,) int64.
    """
    return -float(label_log_probs(log_probs, labels).mean())


def joint_cross_entropy(log_probs: Tensor, labels: Tensor) -> float:
    """-(1/n) log p(y_1, …, y_n): all labels together, nats per label.

    Exact for the K samples, and then a statement about K samples: it lies between the loss of the
    best of them and that plus (log K) / n, so with many points it is the best sample's loss.
    ``joint_cross_entropy_of_batches`` asks for fewer points together.

    Args:
        log_probs: Log-probabilities (n, K, C).
        labels: Observed labels (n,) int64.
    """
    of_label = label_log_probs(log_probs, labels)
    return -float(_log_mean(of_label.sum(dim=0))) / len(of_label)


def joint_cross_entropy_of_batches(
    log_probs: Tensor,
    labels: Tensor,
    batch_size: int,
    num_batches: int,
    generator: torch.Generator,
) -> tuple[float, float]:
    """Joint cross-entropy of ``batch_size`` random points, averaged over batches; nats per label.

    Batches of one point estimate the marginal cross-entropy, the one batch of all points has the
    joint one; Kirsch et al. (2022), arXiv:2205.08766.

    Args:
        log_probs: Log-probabilities (n, K, C).
        labels: Observed labels (n,) int64.
        batch_size: Points in a batch, distinct, between 1 and n.
        num_batches: Batches drawn, at least 2.
        generator: Draws them, independently of each other.

    Returns:
        The average over batches, an unbiased estimate of that over all batches of that size, and
        its standard error.

    Raises:
        ValueError: There are no such batches.
    """
    of_label = label_log_probs(log_probs, labels)
    if not 1 <= batch_size <= len(of_label) or num_batches < 2:
        raise ValueError(
            f"cannot draw {num_batches} batches of {batch_size} from {len(of_label)} points"
        )
    losses = torch.empty(num_batches, dtype=torch.float64)
    for i in range(num_batches):
        batch = torch.randperm(len(of_label), generator=generator)[:batch_size]
        joint = of_label[batch.to(of_label.device)].sum(dim=0)
        losses[i] = -_log_mean(joint) / batch_size
    return float(losses.mean()), float(losses.std() / math.sqrt(num_batches))


def posterior_weights(log_probs: Tensor, labels: Tensor) -> Tensor:
    """p(ω_k | y_1, …, y_n): what observed labels make of the samples, without retraining.

    Online Bayesian inference; Kirsch et al. (2022), arXiv:2205.08766.

    Args:
        log_probs: Log-probabilities (n, K, C).
        labels: Observed labels (n,) int64; none leaves equal weights.

    Returns:
        (K,) float64, summing to one.

    Raises:
        ValueError: No sample thinks the labels possible together.
    """
    weights = label_log_probs(log_probs, labels).sum(dim=0).softmax(dim=0)
    if weights.isnan().any():
        raise ValueError("no posterior sample thinks these labels possible together")
    return weights


def updated_log_probs(log_probs: Tensor, weights: Tensor) -> Tensor:
    """Logarithm of the weighted prediction Σ_k w_k p(y | x, ω_k).

    Args:
        log_probs: Log-probabilities (n, K, C).
        weights: Of the samples, (K,), for example ``posterior_weights``.

    Returns:
        Log-probabilities, float64, (n, C).
    """
    logs = weights.double().log()[:, None]
    return torch.cat([(piece.double() + logs).logsumexp(dim=1) for piece in pieces(log_probs)])


def effective_samples(weights: Tensor) -> float:
    """1 / Σ_k w_k², how many equally weighted samples ``weights`` (K,) are worth: 1 to K."""
    return float(1 / weights.double().square().sum())


def _log_mean(values: Tensor) -> Tensor:
    """Logarithm of the mean of exp(values) over the first axis."""
    return values.logsumexp(dim=0) - math.log(len(values))
