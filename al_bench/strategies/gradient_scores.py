"""Pointwise scores from the size of a gradient or of a prediction's error.

n points, K posterior samples, C classes, D features. All of them need a label, which a pool point
has not: expected gradient length averages over the labels that the model expects, the others put
the *pseudo-label* ŷ in its place, the class that the model itself finds most probable. All are
additive, so a batch of the highest can be redundant; a stochastic rule helps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.information.average import Average
from al_bench.information.precision import in_float32
from al_bench.models.base import GRADIENTS
from al_bench.strategies.base import PoolView
from al_bench.strategies.last_layer import block_size, checked, pseudo_label_errors, row_norms


@dataclass(frozen=True)
class ExpectedGradientLength:
    """Σ_y p(y | x) |∇ -log p(y | x)|; Settles and Craven (2008), Settles et al. (2007).

    Of the last layer's weights (without its bias), where the length for label y is
    |p - e_y| · |h|. The expectation is over lengths, as published, not over squared lengths.
    O(N (C + D)).
    """

    needs: ClassVar[frozenset[str]] = frozenset({GRADIENTS})

    def of_pool(self, view: PoolView, num_samples: int | None) -> Tensor:
        """(N,) float64 scores, at least 0, of the mean network, whatever ``num_samples``."""
        factors = checked(view.gradient_factors())
        return _in_blocks(_expected_error, factors.log_probs) * row_norms(factors.features)


@dataclass(frozen=True)
class GraNd:
    """|∇ -log p(ŷ | x)|, gradient norm for the pseudo-label; Paul et al. (2021), arXiv:2107.07075.

    Of the last layer's weights: |p - e_ŷ| · |h|, the norm of BADGE's embedding. The paper's score
    prunes labeled training sets: it has the true label, all parameters, and averages over networks
    early in training. O(N (C + D)).
    """

    needs: ClassVar[frozenset[str]] = frozenset({GRADIENTS})

    def of_pool(self, view: PoolView, num_samples: int | None) -> Tensor:
        """(N,) float64 scores, at least 0, of the mean network, whatever ``num_samples``."""
        factors = checked(view.gradient_factors())
        return _in_blocks(_pseudo_error, factors.log_probs) * row_norms(factors.features)


def el2n(log_probs: Tensor) -> Tensor:
    """Mean over posterior samples of |p_k - e_ŷ|, error norm; Paul et al. (2021), arXiv:2107.07075.

    The pseudo-label ŷ is the most probable class of the average prediction. The paper's score
    prunes labeled training sets: it has the true label, and averages over networks early in
    training, here over the posterior. O(N K C).

    Args:
        log_probs: Log-probabilities (n, K, C).

    Returns:
        Scores between 0 and √2, (n,) float64; 0 where all samples are certain of the same class.
    """
    (norms,) = in_float32(lambda piece: [_error_norm(piece)], log_probs)
    return norms


def _error_norm(log_probs: Tensor) -> Tensor:
    probs = log_probs.exp()
    labels = probs.mean(dim=1).argmax(dim=1).view(-1, 1, 1).expand(-1, probs.shape[1], 1)
    others = probs.scatter_(2, labels, 0.0)
    of_label = others.sum(dim=2)  # 1 - p of the label, with the digits that p has lost near 1
    squares = others.square_().sum(dim=2)
    return squares.add_(of_label.square_()).sqrt_().mean(dim=1)


def _in_blocks(function: Callable[[Tensor], Tensor], log_probs: Tensor) -> Tensor:
    blocks = torch.split(log_probs, block_size(32 * log_probs.shape[1]))
    return torch.cat([function(block) for block in blocks])


def _pseudo_error(log_probs: Tensor) -> Tensor:
    """|p - e_ŷ|, (n,)."""
    return pseudo_label_errors(log_probs).square().sum(dim=1).sqrt()


def _expected_error(log_probs: Tensor) -> Tensor:
    """Σ_y p_y |p - e_y|, (n,).

    The squared norm is (1 - p_y)² plus the other classes' p². The largest p² is left out of the sum
    and added where it belongs, so that nothing cancels; 1 less it is the sum of the others.
    """
    average = Average(log_probs.double().exp())
    probs, label = average.probs, average.top
    largest = probs.gather(1, label)
    errors = (1 - probs).scatter_(1, label, average.doubt)
    small = average.others.square()  # 0 at the label
    others = small.sum(dim=1, keepdim=True) - small  # p² of all but y and ŷ
    others += largest.square().expand_as(small).scatter(1, label, 0.0)
    lengths = (others + errors.square_()).sqrt()
    return (probs * lengths).sum(dim=1)
