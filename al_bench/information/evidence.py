"""How strong a Gaussian prior the labeled set itself speaks for."""

import math

from torch import Tensor

LEAST, MOST = 1e-4, 1e4  # of a prior precision


def evidence_precision(eigenvalues: Tensor, squared_norm: float) -> float:
    """The prior precision δ that maximises the Laplace evidence of the labeled set.

    Up to what does not depend on δ the log evidence is (MacKay 1992; Immer et al. 2021,
    arXiv:2104.04975) ½ [P log δ - δ ‖w‖² - Σ log(λ + δ)], with P weights w and eigenvalues λ of the
    Fisher information. Its slope Σ λ / (δ (λ + δ)) - ‖w‖² falls in δ, so bisection finds the only
    maximum.

    Args:
        eigenvalues: λ, those that are not 0 (any shape).
        squared_norm: ‖w‖².

    Returns:
        δ, between ``LEAST`` and ``MOST``; 1 when there is no information at all, so that the
        evidence says nothing.
    """
    if not bool((eigenvalues > 0).any()):
        return 1.0
    low, high = math.log(LEAST), math.log(MOST)
    for _ in range(60):
        middle = math.exp((low + high) / 2)
        slope = float((eigenvalues / (middle * (eigenvalues + middle))).sum()) - squared_norm
        low, high = (math.log(middle), high) if slope > 0 else (low, math.log(middle))
    return math.exp((low + high) / 2)
