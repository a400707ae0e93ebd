"""The Fisher information of a labeled set in its eigenbasis, and draws from the Gaussian it makes.

M labeled points, C classes, H features with the 1 of the bias, P = C H weights, K draws.
"""

from typing import Protocol

import torch
from torch import Tensor

from al_bench.information.last_layer import KroneckerFisher, Points, fisher_matrix

ROUNDING = 1e-12  # eigenvalues below that share of the largest are rounding


class Spectrum(Protocol):
    """The Fisher information of the labeled set in its eigenbasis."""

    eigenvalues: Tensor

    def spread(self, noise: Tensor, precision: float) -> Tensor:
        """Σ^½ noise, (C, H, K), for standard normal noise (C, H, K) and prior precision δ."""


class FullSpectrum:
    """Eigenvectors of Σ_m X Xᵀ, (P, r), with the r eigenvalues that are not 0.

    Of the P × P matrix, or of the M C × M C matrix of inner products where that is smaller.
    """

    def __init__(self, points: Points) -> None:
        columns = None
        if points.num_points < points.inputs.shape[1]:
            columns = points.columns.flatten(0, 1)  # (P, M C)
            matrix = columns.T @ columns
        else:
            matrix = fisher_matrix(points)
        eigenvalues, vectors = torch.linalg.eigh(matrix)  # ascending
        kept = eigenvalues > ROUNDING * eigenvalues[-1:]
        self.eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
        if columns is not None:
            vectors = columns @ (vectors / self.eigenvalues.sqrt())
        self._vectors = vectors

    def spread(self, noise: Tensor, precision: float) -> Tensor:
        """Σ^½ noise, (C, H, K): the symmetric root, which no choice of eigenvectors changes."""
        flat = noise.flatten(0, 1)
        shrunk = 1 - (precision / (self.eigenvalues + precision)).sqrt()  # (r,)
        inside = self._vectors @ (shrunk[:, None] * (self._vectors.T @ flat))
        return ((flat - inside) / precision**0.5).view_as(noise)


class KroneckerSpectrum:
    """The same of the Kronecker approximation of Σ_m X Xᵀ."""

    def __init__(self, points: Points) -> None:
        self._fisher = KroneckerFisher(points)
        self.eigenvalues = self._fisher.eigenvalues

    def spread(self, noise: Tensor, precision: float) -> Tensor:
        """Σ^½ noise, (C, H, K): the symmetric root."""
        return self._fisher.scaled(noise, (self.eigenvalues + precision).rsqrt())
