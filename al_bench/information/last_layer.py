"""Gaussian posteriors of the last linear layer's weights and bias, and their Fisher information.

n points, C classes, D features, H = D + 1 with the 1 that the bias multiplies. Weights are laid out
(C, H). The Fisher information of one point is (diag p - p pᵀ) ⊗ z zᵀ = X Xᵀ with X = L ⊗ z and
L = (I - p 1ᵀ) diag √p, where p are its class probabilities and z its features with that 1. For a
softmax it is the Hessian of the point's loss whatever the label: Fisher information and
Gauss-Newton matrix are one. X (C, H, C) is only ever made for a few points, never for a pool. All
is in float64.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.information.cholesky import cholesky

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
        probs: p (n, C) float64.
        inputs: z (n, H) float64, features with a 1 behind them.
    """

    probs: Tensor
    inputs: Tensor

    @classmethod
    def of(cls, log_probs: Tensor, features: Tensor) -> "Points":
        """From log-probabilities (n, C), which may be -inf, and features (n, D)."""
        probs = log_probs.double().exp()
        top = probs.argmax(dim=1, keepdim=True)
        # of 1 - p of the most probable class float32 leaves nothing, its other classes do
        others = probs.scatter(1, top, 0.0).sum(dim=1, keepdim=True)
        features = features.double()
        ones = features.new_ones(len(features), 1)
        return cls(probs.scatter(1, top, 1 - others), torch.cat([features, ones], dim=1))

    def at(self, places: Tensor | slice) -> "Points":
        """Some of the points."""
        return Points(self.probs[places], self.inputs[places])

    @property
    def num_points(self) -> int:
        """How many they are, n."""
        return len(self.inputs)

    @property
    def num_classes(self) -> int:
        """C."""
        return self.probs.shape[1]

    @property
    def columns(self) -> Tensor:
        """X of all points side by side, (C, H, n C)."""
        roots = self.probs.sqrt().diag_embed() - self.probs[:, :, None] * self.probs.sqrt()[:, None]
        return torch.einsum("ncr,nh->chnr", roots, self.inputs).flatten(2)

    def rooted(self, values: Tensor) -> Tensor:
        """Lᵀ V, (n, C, r), of V (n, C, r) or (C, r): L itself is not made."""
        average = self.probs[:, None, :] @ values  # (n, 1, r)
        return (values - average).mul_(self.probs.sqrt()[:, :, None])

    def blocks(self, numbers: int) -> Iterator[slice]:
        """Ranges of points for which ``numbers`` float64 a point stay within ``BLOCK_BYTES``."""
        size = max(1, BLOCK_BYTES // (8 * max(1, numbers)))
        for start in range(0, self.num_points, size):
            yield slice(start, min(start + size, self.num_points))


def projections(points: Points, vectors: Tensor) -> Tensor:
    """Xᵀ V of every point, (n, C, r), for r weight vectors V (C, H, r): one GEMM."""
    return points.rooted(_logits(points, vectors))


def fisher_times(points: Points, vectors: Tensor) -> Tensor:
    """(Σ_n X Xᵀ) V, (C, H, r), for r weight vectors V (C, H, r); the Fisher matrix is not made."""
    total = torch.zeros_like(vectors)
    num_classes, _, width = vectors.shape
    for block in points.blocks(3 * num_classes * width):
        part = points.at(block)
        seen = part.rooted(_logits(part, vectors)) * part.probs.sqrt()[:, :, None]
        seen -= part.probs[:, :, None] * seen.sum(dim=1, keepdim=True)  # (n, C, r)
        total += (part.inputs.T @ seen.flatten(1)).view(-1, num_classes, width).transpose(0, 1)
    return total


def _logits(points: Points, vectors: Tensor) -> Tensor:
    num_classes, _, width = vectors.shape
    flat = vectors.transpose(0, 1).flatten(1)  # (H, C r)
    return (points.inputs @ flat).view(-1, num_classes, width)


def fisher_matrix(points: Points) -> Tensor:
    """Σ_n X Xᵀ, (C H, C H): the Fisher information of all points together."""
    num_classes, size = points.num_classes, points.inputs.shape[1]
    total = points.inputs.new_zeros(num_classes, size, num_classes, size)
    for block in points.blocks(size):
        probs, inputs = points.probs[block], points.inputs[block]
        for c in range(num_classes):
            for other in range(c + 1):
                output = probs[:, c] * ((1.0 if c == other else 0.0) - probs[:, other])  # (n,)
                total[c, :, other] += (inputs * output[:, None]).T @ inputs
    for c in range(num_classes):
        for other in range(c):
            total[other, :, c] = total[c, :, other]  # symmetric, as is each block
    return total.view(num_classes * size, num_classes * size)


def quadratic_forms(points: Points, matrix: Tensor) -> Tensor:
    """Xᵀ A X of every point, (n, C, C), for a symmetric A (C H, C H): O(n C² H²), in blocks."""
    num_classes, size = points.num_classes, points.inputs.shape[1]
    parts = matrix.view(num_classes, size, num_classes, size)
    forms = points.probs.new_empty(points.num_points, num_classes, num_classes)
    for c in range(num_classes):
        right = parts[c, :, c:].reshape(size, -1)
        for block in points.blocks((num_classes - c + 1) * size):
            inputs = points.inputs[block]
            half = (inputs @ right).view(len(inputs), -1, size)
            forms[block, c, c:] = forms[block, c:, c] = (half @ inputs[:, :, None]).squeeze(2)
    for block in points.blocks(4 * num_classes**2):
        part = points.at(block)
        forms[block] = part.rooted(part.rooted(forms[block]).mT)
    return forms


class FullPosterior:
    """Precision δ I + Σ_n X Xᵀ, inverted once: O((C H)³).

    Args:
        precision: (C H, C H), positive definite.
        num_classes: C.
    """

    structure = "full"

    def __init__(self, precision: Tensor, num_classes: int) -> None:
        self._precision = precision
        self._num_classes = num_classes
        self._covariance = torch.cholesky_inverse(
            cholesky(precision, "Raise the prior's precision.")
        )

    def times(self, vectors: Tensor) -> Tensor:
        """Σ V, (C, H, r), for r weight vectors V (C, H, r)."""
        num_classes, size, width = vectors.shape
        return (self._covariance @ vectors.reshape(num_classes * size, width)).view_as(vectors)

    def uncertainty(self, points: Points) -> Tensor:
        """G = Xᵀ Σ X of every point, (n, C, C)."""
        return quadratic_forms(points, self._covariance)

    def conditioned_on(self, points: Points, weight: float) -> "FullPosterior":
        """The posterior once ``points`` are seen too, each ``weight`` times."""
        precision = self._precision + weight * fisher_matrix(points)
        return FullPosterior(precision, self._num_classes)


class KroneckerFisher:
    """The Kronecker approximation A ⊗ B of Σ_n X Xᵀ in the eigenbases of A and B.

    Expectations of the two factors instead of that of their product (Martens and Grosse 2015,
    arXiv:1503.05671): A = Σ_n (diag p - p pᵀ), B = mean of z zᵀ. Exact for a single point.

    Attributes:
        eigenvalues: (C, H), at least 0.
    """

    def __init__(self, points: Points) -> None:
        by_class = points.probs.sum(dim=0).diag() - points.probs.T @ points.probs
        by_input = points.inputs.T @ points.inputs / max(1, points.num_points)
        a, self.left = torch.linalg.eigh(by_class)
        b, self.right = torch.linalg.eigh(by_input)
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
        num_classes, size = self._variances.shape
        results = points.probs.new_empty(points.num_points, num_classes, num_classes)
        for block in points.blocks(2 * size + 3 * num_classes**2):
            part = points.at(block)
            along = (part.inputs @ self._fisher.right).square() @ self._variances.T  # (n, C)
            seen = part.rooted(self._fisher.left)  # (n, C, C)
            results[block] = (seen * along[:, None, :]) @ seen.mT
        return results


def posterior_of(points: Points, prior_precision: float) -> FullPosterior | KroneckerPosterior:
    """The Laplace posterior N(·, (δ I + Σ_n X Xᵀ)⁻¹) given ``points``.

    Full up to ``FULL_LIMIT`` weights, else with the Kronecker approximation of the sum.
    """
    if points.num_classes * points.inputs.shape[1] > FULL_LIMIT:
        return KroneckerPosterior(prior_precision, KroneckerFisher(points))
    precision = fisher_matrix(points)
    precision.diagonal().add_(prior_precision)
    return FullPosterior(precision, points.num_classes)
