"""What an observed label tells, in nats.

n candidates x, T target inputs x*, K posterior samples ω_1 … ω_K, C classes. In the notation of
Kirsch and Gal (2021), arXiv:2106.12062, capitals are random and small letters observed: H[y | x] is
the surprise -log p(y | x), I[y; Ω | x] = H[Ω] - H[Ω | y, x] what y tells about the parameters;
their expectations over p(y | x) are H[Y | x] and I[Y; Ω | x].
"""

import math

import torch
from torch import Tensor
from torch.special import entr

from al_bench.information.entropies import COARSE, ROUNDING
from al_bench.information.predictive import check_shape, check_targets

BLOCK_BYTES = 2**25  # of working memory


def information_gain(log_probs: Tensor, labels: Tensor) -> Tensor:
    """I[y; Ω | x] = H[Ω] - H[Ω | y, x], what an observed label tells about the parameters.

    Kirsch and Gal (2021), arXiv:2106.12062. With K equally likely samples it is also
    KL(p(ω | y, x) ‖ p(ω)), and its expectation over p(y | x) is I[Y; Ω | x].

    Args:
        log_probs: Log-probabilities (n, K, C).
        labels: Observed labels (n,) int64.

    Returns:
        Nats, float64, (n,), between 0 and log K; 0 for a label that no sample thinks possible.
    """
    weights = posterior(label_log_probs(log_probs, labels))
    return (math.log(weights.shape[1]) - entr(weights).sum(dim=1)).clamp_min(0.0)


def information_gained(prior: Tensor, after: Tensor) -> Tensor:
    """H[Ω] under ``prior`` - H[Ω] under ``after``: what labels tell that make one of the other.

    From equal weights it is what ``information_gain`` is of one label, and of labels y_A together
    I[y_A; Ω]. From others it is what one more label adds to that, I[y; Ω | y_A], negative where the
    label leaves Ω less certain than it was.

    Args:
        prior: Weights (K,) of the samples.
        after: Other weights (n, K), as ``posterior`` gives them.

    Returns:
        Nats, float64, (n,), between -log K and log K; 0 where the weights are the prior.
    """
    told = entr(prior).sum() - entr(after).sum(dim=1)
    return torch.where((after == prior).all(dim=1), 0.0, told)


def predictive_information_gain(
    log_probs: Tensor, labels: Tensor, target_log_probs: Tensor
) -> Tensor:
    """E_x* I[y; Y* | x, x*] = E_x* (H[Y* | x*] - H[Y* | x*, y, x]) of observed labels.

    Kirsch and Gal (2022), arXiv:2208.00549. Its expectation over p(y | x) is EPIG. A single label
    may well make the targets less certain: then it is negative.

    Args:
        log_probs: Log-probabilities of the candidates (n, K, C).
        labels: Their observed labels (n,) int64.
        target_log_probs: Log-probabilities of the targets (T, K, C), under the same samples.

    Returns:
        Nats, float64, (n,), between -log C and log C, good to about 1e-6, and better below
        ``COARSE``; 0 for a label that tells nothing or that no sample thinks possible.
    """
    check_targets(log_probs, target_log_probs)
    prior = uniform(log_probs)
    after = posterior(label_log_probs(log_probs, labels), prior)
    target_probs = flat_probs(target_log_probs)
    return entropy_drop(prior, after, target_probs, len(target_log_probs))


def label_log_probs(log_probs: Tensor, labels: Tensor) -> Tensor:
    """Values of log p(y | x, ω_k) of observed labels.

    Args:
        log_probs: Log-probabilities (n, K, C).
        labels: Observed labels (n,) int64.

    Returns:
        (n, K) float64.

    Raises:
        ValueError: Some are NaN.
    """
    check_shape(log_probs)
    rows = torch.arange(len(log_probs), device=log_probs.device)
    of_label = log_probs[rows, :, labels.to(log_probs.device)].double()
    if of_label.isnan().any():
        raise ValueError("log-probabilities are NaN")
    return of_label


def posterior(of_label: Tensor, prior: Tensor | None = None) -> Tensor:
    """p(ω_k | y, x), what each observed label by itself makes of the samples.

    Args:
        of_label: log p(y | x, ω_k), (n, K).
        prior: Weights (K,) of the samples before; equal ones if not given.

    Returns:
        (n, K) float64, rows sum to one; exactly the prior for a label that tells less than
        ``ROUNDING`` nats and for one that no sample thinks possible.
    """
    prior = uniform(of_label) if prior is None else prior.to(of_label)
    weights = (of_label + prior.log()).softmax(dim=1)
    told = torch.special.xlogy(weights, weights / prior).where(weights > 0, 0.0).sum(dim=1)
    return torch.where((told > ROUNDING)[:, None], weights, prior)  # NaN is not above it


def uniform(log_probs: Tensor) -> Tensor:
    """Equal weights (K,), float64, for the samples along the second axis of ``log_probs``."""
    num_samples = log_probs.shape[1]
    return torch.full((num_samples,), 1 / num_samples, dtype=torch.float64, device=log_probs.device)


def flat_probs(target_log_probs: Tensor) -> Tensor:
    """Probabilities of targets (T, K, C) as a matrix (K, T * C), float32."""
    return target_log_probs.float().exp().permute(1, 0, 2).flatten(start_dim=1)


def entropy_drop(prior: Tensor, after: Tensor, target_probs: Tensor, num_targets: int) -> Tensor:
    """E_x* (H[Y* | x*] under ``prior`` - H[Y* | x*] under ``after``).

    The matrix product of 2 n K T C operations is in float32, sums are in float64; drops below
    ``COARSE``, which that cannot tell apart, are computed again in float64.

    Args:
        prior: Weights (K,) of the samples.
        after: Other weights (n, K).
        target_probs: ``flat_probs`` of the targets, (K, T * C).
        num_targets: T.

    Returns:
        Nats, float64, (n,); 0 where the weights are the prior.
    """
    same = (after == prior).all(dim=1)
    drop = _drop(prior.float(), after.float(), target_probs, num_targets)
    coarse = ((drop.abs() < COARSE) & ~same).nonzero().squeeze(1)
    if len(coarse):
        drop[coarse] = _drop(prior, after[coarse], target_probs.double(), num_targets)
    return torch.where(same, 0.0, drop)


def _drop(prior: Tensor, after: Tensor, target_probs: Tensor, num_targets: int) -> Tensor:
    size = max(1, BLOCK_BYTES // (4 * target_probs.shape[1]))
    before = _total_entropy(prior[None], target_probs)
    total = torch.cat([_total_entropy(rows, target_probs) for rows in torch.split(after, size)])
    return (before - total) / num_targets


def _total_entropy(weights: Tensor, target_probs: Tensor) -> Tensor:
    return entr(weights @ target_probs).sum(dim=1, dtype=torch.float64)
