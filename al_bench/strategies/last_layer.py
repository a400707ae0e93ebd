"""Last-layer gradients from their factors: never a tensor of size C·D a point.

n points, C classes, D features. The gradient of -log p(y | x) with respect to the last layer's
weights is (p - e_y) ⊗ h: the error of the prediction times the features.
"""

import math

import torch
from torch import Tensor

from al_bench.models.base import GradientFactors

BLOCK_BYTES = 2**26  # of float64 working memory for a block of points


def checked(factors: GradientFactors) -> GradientFactors:
    """The same factors.

    Raises:
        ValueError: A log-probability is NaN or a feature is not finite.
    """
    if bool(factors.log_probs.isnan().any()):
        raise ValueError("log-probabilities are NaN")
    return GradientFactors(factors.log_probs, finite(factors.features))


def finite(features: Tensor) -> Tensor:
    """The same features, in one pass over them.

    Raises:
        ValueError: One is NaN or infinite.
    """
    if features.numel():
        low, high = features.aminmax()  # NaN if one is
        if not (math.isfinite(float(low)) and math.isfinite(float(high))):
            raise ValueError("features are NaN or infinite")
    return features


def label_errors(log_probs: Tensor, labels: Tensor) -> Tensor:
    """Errors p - e_y of predictions.

    Args:
        log_probs: Log-probabilities (n, C).
        labels: y, (n,) int64.

    Returns:
        (n, C) float64, exact to rounding where p_y is close to 1.
    """
    log_probs = log_probs.double()
    errors = log_probs.exp()
    at = labels[:, None]
    return errors.scatter_(1, at, log_probs.gather(1, at).expm1())


def pseudo_label_errors(log_probs: Tensor) -> Tensor:
    """Errors p - e_ŷ of predictions; the pseudo-label ŷ is the most probable class.

    Args:
        log_probs: Log-probabilities (n, C); of equals, the first is the pseudo-label.

    Returns:
        (n, C) float64, exact to rounding where p_ŷ is close to 1.
    """
    return label_errors(log_probs, log_probs.double().argmax(dim=1))


def row_norms(rows: Tensor) -> Tensor:
    """Euclidean norms (n,) float64 of rows (n, D), without a float64 copy of them."""
    blocks = torch.split(rows, 256)  # in a core's cache
    return torch.cat([torch.linalg.vector_norm(b, dim=1, dtype=torch.float64) for b in blocks])


def block_size(row_bytes: int, budget: int = BLOCK_BYTES) -> int:
    """Rows of ``row_bytes`` that fit ``budget``, at least 1."""
    return max(1, budget // max(1, row_bytes))
