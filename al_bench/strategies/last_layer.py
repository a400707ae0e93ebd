"""Last-layer gradients from their factors: never a tensor of size C·D a point.

n points, C classes, D features. The gradient of -log p(y | x) with respect to the last layer's
weights is (p - e_y) ⊗ h: the error of the prediction times the features.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from al_bench.models.base import GradientFactors
from al_bench.models.room import require_room, rows_of
from al_bench.strategies.base import PoolView
from al_bench.strategies.parts import parts_of

BLOCK_BYTES = 2**26  # of float64 working memory for a block of points


def checked(factors: GradientFactors) -> GradientFactors:
    """The same factors.

    Raises:
        ValueError: A log-probability is NaN or a feature is not finite.
    """
    if bool(factors.log_probs.isnan().any()):
        raise ValueError("log-probabilities are NaN")
    return GradientFactors(factors.log_probs, finite(factors.features))


def require_matrices(view: PoolView, name: str, count: int) -> None:
    """Refuse to hold ``count`` matrices (C, C) in float64 for each pool point, before any work.

    Args:
        view: The pool; only the gradients of its labeled set are looked at.
        name: What an error calls the strategy.
        count: Matrices a point.

    Raises:
        AlBenchError: There is less memory than they take.
    """
    device = view.labeled_gradient_factors().features.device
    needed = 8 * count * len(view) * view.num_classes**2
    what = f"{name}: matrices of classes by classes of {len(view):,} points"
    require_room(needed, device, what)


def require_float64(name: str, *rows: Tensor) -> None:
    """Refuse to hold copies of ``rows``, each (N, …) float32, in float64.

    Raises:
        AlBenchError: There is less memory than they take.
    """
    what = f"{name}: float64 copies of {len(rows[0]):,} points"
    require_room(2 * sum(each.nbytes for each in rows), rows[0].device, what)


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
        (n, C) float64. 1 - p_y is the sum of the other classes: the logarithm of a p_y that is
        close to 1 has no digits of it in float32.
    """
    at = labels[:, None]
    others = log_probs.double().exp().scatter_(1, at, 0.0)
    return others.scatter_(1, at, -others.sum(dim=1, keepdim=True))


def pseudo_label_errors(log_probs: Tensor) -> Tensor:
    """Errors p - e_ŷ of predictions; the pseudo-label ŷ is the most probable class.

    Args:
        log_probs: Log-probabilities (n, C); of equals, the first is the pseudo-label.

    Returns:
        (n, C) float64, as ``label_errors``.
    """
    errors = torch.empty_like(log_probs, dtype=torch.float64)
    size = block_size(24 * log_probs.shape[1])
    for part, block in zip(torch.split(log_probs, size), torch.split(errors, size), strict=True):
        block.copy_(label_errors(part, part.double().argmax(dim=1)))
    return errors


class PseudoGradients(NamedTuple):
    """The factors of gradients for pseudo-labels.

    Args:
        errors: p - e_ŷ, (n, C) float64.
        features: (n, D) float32.
    """

    errors: Tensor
    features: Tensor


def pseudo_gradients(view: PoolView) -> PseudoGradients:
    """Those of the pool; of a large one log-probabilities are there for a part at a time.

    Raises:
        AlBenchError: They do not fit into memory.
        ValueError: A log-probability is NaN or a feature is not finite.
    """

    def of(part: PoolView) -> PseudoGradients:
        factors = checked(part.gradient_factors())
        return PseudoGradients(pseudo_label_errors(factors.log_probs), factors.features)

    what = f"Gradients of {len(view):,} points"
    found: PseudoGradients = rows_of(map(of, parts_of(view)), len(view), what)
    return found


def row_norms(rows: Tensor) -> Tensor:
    """Euclidean norms (n,) float64 of rows (n, D), without a float64 copy of them."""
    blocks = torch.split(rows, 256)  # in a core's cache
    return torch.cat([torch.linalg.vector_norm(b, dim=1, dtype=torch.float64) for b in blocks])


def block_size(row_bytes: int) -> int:
    """Rows of ``row_bytes`` that fit ``BLOCK_BYTES``, at least 1."""
    return max(1, BLOCK_BYTES // max(1, row_bytes))
