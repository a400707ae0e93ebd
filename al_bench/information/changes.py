"""How much the label of a point changes the prediction on each single other point.

n candidates x, T target inputs x*, K posterior samples ω_1 … ω_K, C classes. A joint probability of
two labels is the product of their probabilities plus their covariance over the samples. The
covariance comes directly from a matrix product of centered probabilities, in float32: small changes
are not differences of large numbers.
"""

import torch
from torch import Tensor

from al_bench.information.entropies import mutual_information
from al_bench.information.predictive import check_shape, check_targets

BLOCK_BYTES = 2**25  # of working memory


def information_between(log_probs: Tensor, target_log_probs: Tensor) -> Tensor:
    """I[Y; Y* | x, x*] of every candidate with every target; its average over targets is EPIG.

    Args:
        log_probs: Log-probabilities of the candidates (n, K, C).
        target_log_probs: Log-probabilities of the targets (T, K, C), under the same samples.

    Returns:
        Nats, float32, between 0 and log min(K, C), (n, T); good to about 3e-6, the smaller the
        value the better.
    """
    return _changes(log_probs, target_log_probs, squared=False)


def squared_change(log_probs: Tensor, target_log_probs: Tensor) -> Tensor:
    """Σ_y p(y | x) Σ_y* (p(y* | x*, y, x) - p(y* | x*))² of every candidate with every target.

    By how much the label of x is expected to move the prediction on x*, which is the expected
    gain in negative Brier score there; Tan et al. (2021), arXiv:2110.14171.

    Args:
        log_probs: Log-probabilities of the candidates (n, K, C).
        target_log_probs: Log-probabilities of the targets (T, K, C), under the same samples.

    Returns:
        float32, between 0 and 1, (n, T); good to about 1e-6.
    """
    return _changes(log_probs, target_log_probs, squared=True)


class PairwiseInformation:
    """I[Y_i; Y_j | x_i, x_j] of all of n points with one of them, in nats.

    Holds the probabilities once more, (K, n * C) float32.

    Args:
        log_probs: Log-probabilities (n, K, C).
        order: (n,) int64, which of them each point is; ``None`` leaves them in their order.

    Attributes:
        alone: I[Y; Ω | x] of each point, (n,) float64.
    """

    def __init__(self, log_probs: Tensor, order: Tensor | None = None) -> None:
        check_shape(log_probs)
        n, num_samples, num_classes = log_probs.shape
        self._mean = log_probs.new_empty(n, num_classes, dtype=torch.float32)
        self._deviation = log_probs.new_empty(num_samples, n, num_classes, dtype=torch.float32)
        self.alone = log_probs.new_empty(n, dtype=torch.float64)
        size = max(1, BLOCK_BYTES // (8 * num_samples * num_classes))
        for start in range(0, n, size):
            block = slice(start, start + size)
            rows = log_probs[block] if order is None else log_probs[order[block]]
            mean, deviation = _centered(rows)
            self._mean[block] = mean
            self._deviation[:, block] = deviation.transpose(0, 1)
            self.alone[block] = mutual_information(rows)

    def with_point(self, point: int | Tensor) -> Tensor:
        """Information between each point's label and that of another labeling of ``point``.

        A matrix product of 2 n K C² operations and n C² logarithms.

        Args:
            point: Its place, a number or (1,) int64.

        Returns:
            Nats, float64, between 0 and either point's I[Y; Ω | x], (n,); good to about 3e-6, the
            smaller the value the better.
        """
        num_samples, n, num_classes = self._deviation.shape
        mean = self._mean[point].flatten()  # (C,)
        deviation = self._deviation[:, point].view(num_samples, -1).T / num_samples  # (C, K)
        size = max(1, BLOCK_BYTES // (8 * num_classes * num_classes))
        parts = []
        for start in range(0, n, size):
            block = slice(start, start + size)
            others = self._deviation[:, block].reshape(num_samples, -1)  # (K, n * C)
            covariance = (deviation @ others).view(num_classes, -1, num_classes)
            independent = mean[:, None, None] * self._mean[block]
            parts.append(_divergence(covariance, independent, num_samples).sum(dim=(0, 2)).double())
        most = torch.minimum(self.alone, self.alone[point])
        return torch.minimum(torch.cat(parts).clamp_min(0.0), most)


def _changes(log_probs: Tensor, target_log_probs: Tensor, squared: bool) -> Tensor:
    check_targets(log_probs, target_log_probs)
    num_targets, num_samples, num_classes = target_log_probs.shape
    of_targets, targets = _centered(target_log_probs)  # (T, C) and (T, K, C)
    targets = targets.transpose(0, 1).reshape(num_samples, -1) / num_samples
    size = max(1, BLOCK_BYTES // (8 * num_classes * num_targets * num_classes))
    parts = []
    for part in torch.split(log_probs, size):
        mean, deviation = _centered(part)
        product = deviation.transpose(1, 2).reshape(-1, num_samples) @ targets
        covariance = product.view(len(part), num_classes, num_targets, num_classes)
        mean = mean[:, :, None, None]
        if squared:
            change = (covariance.square() / mean).masked_fill(mean <= 0, 0.0)
        else:
            change = _divergence(covariance, mean * of_targets, num_samples)
        parts.append(change.sum(dim=(1, 3)).clamp_min(0.0))
    return torch.cat(parts)


def _centered(log_probs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over samples (n, C) and deviations from it (n, K, C), float32."""
    probs = log_probs.double().exp()
    mean = probs.mean(dim=1)
    return mean.float(), (probs - mean[:, None]).float()


def _divergence(difference: Tensor, independent: Tensor, most: int) -> Tensor:
    """Terms p log(p / independent) of the divergence, where p = independent + difference."""
    p = (independent + difference).clamp_min(0.0)
    ratio = (difference / independent).clamp(-1.0, most)  # both may underflow
    return (p * ratio.log1p()).masked_fill(p <= 0, 0.0)
