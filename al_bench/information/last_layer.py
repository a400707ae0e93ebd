"""Gaussian posteriors of the last linear layer's weights and bias, and their Fisher information.

n points, C classes, D features, H = D + 1 with the 1 that the bias multiplies. Weights are laid out
(C, H). The Fisher information of one point is (diag p - p pᵀ) ⊗ z zᵀ = X Xᵀ with X = L ⊗ z, where
L Lᵀ = diag p - p pᵀ, p are its class probabilities and z its features with that 1. For a softmax it
is the Hessian of the point's loss whatever the label: Fisher information and Gauss-Newton matrix
are one. X (C, H, C) is only ever made for a few points, never for a pool. All is in float64.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

FULL_LIMIT = 6_000
"""Weights C × H up to which covariances are full; Kronecker-factored beyond.

A full matrix of 6,000 × 6,000 takes 288 MB. It depends on network and data set only, so that all
rounds of a run are treated alike.
"""
BLOCK_BYTES = 2**26


@dataclass(frozen=True)
class Points:
    """Some points as the last layer sees them.

    Args:
        roots: L (n, C, C) float64, with L Lᵀ = diag p - p pᵀ.
        inputs: z (n, H) float64, features with a 1 behind them.
    """

    roots: Tensor
    inputs: Tensor

    @classmethod
    def of(cls, log_probs: Tensor, features: Tensor) -> "Points":
        """From log-probabilities (n, C), which may be -inf, and features (n, D)."""
        probs = log_probs.double().exp()
        top = probs.argmax(dim=1, keepdim=True)
        # 1 - p of the most probable class from the others: of float32 nothing would be left of it
        others = probs.scatter(1, top, 0.0).sum(dim=1, keepdim=True)
        rest = (1 - probs).scatter(1, top, others)
        probs = probs.scatter(1, top, 1 - others)
        roots = -probs[:, :, None] * probs.sqrt()[:, None, :]
        roots.diagonal(dim1=1, dim2=2).copy_(probs.sqrt() * rest)
        features = features.double()
        return cls(roots, torch.cat([features, features.new_ones(len(features), 1)], dim=1))

    def at(self, places: Tensor | slice) -> "Points":
        """Some of the points."""
        return Points(self.roots[places], self.inputs[places])

    @property
    def num_points(self) -> int:
        """How many they are, n."""
        return len(self.inputs)

    @property
    def columns(self) -> Tensor:
        """X of all points side by side, (C, H, n C)."""
        stacked = torch.einsum("ncr,nh->chnr", self.roots, self.inputs)
        return stacked.flatten(2)

    def blocks(self, numbers: int) -> Iterator[slice]:
        """Ranges of points for which ``numbers`` float64 a point stay within ``BLOCK_BYTES``."""
        size = max(1, BLOCK_BYTES // (8 * max(1, numbers)))
        for start in range(0, self.num_points, size):
            yield slice(start, min(start + size, self.num_points))


def projections(points: Points, vectors: Tensor) -> Tensor:
    """Xᵀ V of every point, (n, C, r), for r weight vectors V (C, H, r); one GEMM."""
    num_classes, _, width = vectors.shape
    flat = vectors.transpose(0, 1).flatten(1)  # (H, C r)
    return points.roots.mT @ (points.inputs @ flat).view(-1, num_classes, width)


def fisher_times(points: Points, vectors: Tensor) -> Tensor:
    """(Σ_n X Xᵀ) V, (C, H, r), for r weight vectors V (C, H, r); the Fisher matrix is not made."""
    total = torch.zeros_like(vectors)
    num_classes, _, width = vectors.shape
    for block in points.blocks(num_classes * width):
        part = points.at(block)
        seen = part.roots @ projections(part, vectors)  # (n, C, r)
        total += (part.inputs.T @ seen.flatten(1)).view(-1, num_classes, width).transpose(0, 1)
    return total


def fisher_matrix(points: Points) -> Tensor:
    """Σ_n X Xᵀ, (C H, C H): the Fisher information of all points together."""
    num_classes, size = points.roots.shape[1], points.inputs.shape[1]
    total = points.inputs.new_zeros(num_classes, size, num_classes, size)
    for block in points.blocks(size):
        roots, inputs = points.roots[block], points.inputs[block]
        outputs = roots @ roots.mT  # (n, C, C)
        for c in range(num_classes):
            for other in range(c + 1):
                total[c, :, other] += (inputs * outputs[:, c, other, None]).T @ inputs
    for c in range(num_classes):
        for other in range(c):
            total[other, :, c] = total[c, :, other]  # symmetric, as is each block
    return total.view(num_classes * size, num_classes * size)


def kronecker_factors(points: Points) -> tuple[Tensor, Tensor]:
    """A (C, C) and B (H, H) whose product A ⊗ B stands for Σ_n X Xᵀ.

    Expectations of the two factors instead of that of their product (Martens and Grosse 2015,
    arXiv:1503.05671): A = Σ_n (diag p - p pᵀ), B = mean of z zᵀ. Exact for a single point.
    """
    num_classes = points.roots.shape[1]
    by_class = points.roots.transpose(0, 1).reshape(num_classes, -1)  # (C, n C)
    return by_class @ by_class.T, points.inputs.T @ points.inputs / max(1, points.num_points)


class Posterior(Protocol):
    """A Gaussian over last-layer weights with covariance Σ."""

    structure: str

    def times(self, vectors: Tensor) -> Tensor:
        """Σ V, (C, H, r), for r weight vectors V (C, H, r)."""

    def uncertainty(self, points: Points) -> Tensor:
        """G = Xᵀ Σ X of every point, (n, C, C)."""


class FullPosterior:
    """Precision δ I + Σ_n X Xᵀ, inverted once: O((C H)³).

    Args:
        precision: (C H, C H), positive definite.
        num_classes: C.
    """

    structure = "full"

    def __init__(self, precision: Tensor, num_classes: int) -> None:
        self._precision = precision
        size = len(precision) // num_classes
        covariance = torch.cholesky_inverse(torch.linalg.cholesky(precision))
        self._covariance = covariance.view(num_classes, size, num_classes, size)

    def times(self, vectors: Tensor) -> Tensor:
        """Σ V, (C, H, r), for r weight vectors V (C, H, r)."""
        num_classes, size, width = vectors.shape
        matrix = self._covariance.view(num_classes * size, -1)
        return (matrix @ vectors.reshape(num_classes * size, width)).view_as(vectors)

    def uncertainty(self, points: Points) -> Tensor:
        """G = Xᵀ Σ X of every point, (n, C, C): O(n C² H²), by blocks of points."""
        num_classes, size = self._covariance.shape[:2]
        results = torch.empty_like(points.roots)
        for block in points.blocks(2 * size + 3 * num_classes**2):
            roots, inputs = points.roots[block], points.inputs[block]
            outputs = torch.empty_like(roots)  # (n, C, C): z' Σ_cc' z
            for c in range(num_classes):
                for other in range(c + 1):
                    seen = ((inputs @ self._covariance[c, :, other]) * inputs).sum(dim=1)
                    outputs[:, c, other] = outputs[:, other, c] = seen
            results[block] = roots.mT @ outputs @ roots
        return results

    def given(self, points: Points, weight: float) -> "FullPosterior":
        """The posterior once ``points`` are seen too, each ``weight`` times."""
        precision = self._precision + weight * fisher_matrix(points)
        return FullPosterior(precision, len(self._covariance))


class KroneckerFisher:
    """The Kronecker approximation A ⊗ B of Σ_n X Xᵀ in the eigenbases of A and B.

    Attributes:
        eigenvalues: (C, H), at least 0.
    """

    def __init__(self, points: Points) -> None:
        factors = kronecker_factors(points)
        (a, self.left), (b, self.right) = (torch.linalg.eigh(factor) for factor in factors)
        self.eigenvalues = a.clamp_min(0.0)[:, None] * b.clamp_min(0.0)

    def scaled(self, vectors: Tensor, values: Tensor) -> Tensor:
        """V (C, H, r) with its components in the eigenbasis multiplied by ``values`` (C, H)."""
        inner = torch.einsum("ca,chr,hb->abr", self.left, vectors, self.right)
        return torch.einsum("ca,abr,hb->chr", self.left, inner * values[:, :, None], self.right)


class KroneckerPosterior:
    """Precision δ I + A ⊗ B.

    Args:
        prior_precision: δ.
        fisher: A ⊗ B.
    """

    structure = "kronecker"

    def __init__(self, prior_precision: float, fisher: KroneckerFisher) -> None:
        self._fisher = fisher
        self._variances = 1 / (prior_precision + fisher.eigenvalues)

    def times(self, vectors: Tensor) -> Tensor:
        """Σ V, (C, H, r), for r weight vectors V (C, H, r)."""
        return self._fisher.scaled(vectors, self._variances)

    def uncertainty(self, points: Points) -> Tensor:
        """G = Xᵀ Σ X of every point, (n, C, C)."""
        results = torch.empty_like(points.roots)
        for block in points.blocks(3 * points.inputs.shape[1] + 3 * points.roots[0].numel()):
            roots, inputs = points.roots[block], points.inputs[block]
            along = (inputs @ self._fisher.right).square() @ self._variances.T  # (n, C)
            seen = roots.mT @ self._fisher.left  # (n, C, C)
            results[block] = (seen * along[:, None, :]) @ seen.mT
        return results


def posterior_of(points: Points, prior_precision: float) -> FullPosterior | KroneckerPosterior:
    """The Laplace posterior N(·, (δ I + Σ_n X Xᵀ)⁻¹) given ``points``.

    Full up to ``FULL_LIMIT`` weights, else with the Kronecker approximation of the sum.
    """
    num_classes, size = points.roots.shape[1], points.inputs.shape[1]
    if num_classes * size > FULL_LIMIT:
        return KroneckerPosterior(prior_precision, KroneckerFisher(points))
    precision = fisher_matrix(points)
    precision.diagonal().add_(prior_precision)
    return FullPosterior(precision, num_classes)


def evidence_precision(
    eigenvalues: Tensor, squared_norm: float, least: float = 1e-4, most: float = 1e4
) -> float:
    """The prior precision δ that maximises the Laplace evidence of the labeled set.

    Up to what does not depend on δ the log evidence is (MacKay 1992; Immer et al. 2021,
    arXiv:2104.04975) ½ [P log δ - δ ‖w‖² - Σ log(λ + δ)], with P weights w and eigenvalues λ of the
    Fisher information. Its slope Σ λ / (δ (λ + δ)) - ‖w‖² falls in δ, so bisection finds the only
    maximum.

    Args:
        eigenvalues: λ, those that are not 0 (any shape).
        squared_norm: ‖w‖².
        least: Smallest answer.
        most: Largest answer.

    Returns:
        δ; 1 when there is no information at all, so that the evidence says nothing.
    """
    if not bool((eigenvalues > 0).any()):
        return 1.0
    low, high = math.log(least), math.log(most)
    for _ in range(60):
        middle = math.exp((low + high) / 2)
        slope = float((eigenvalues / (middle * (eigenvalues + middle))).sum()) - squared_norm
        low, high = (math.log(middle), high) if slope > 0 else (low, math.log(middle))
    return math.exp((low + high) / 2)
