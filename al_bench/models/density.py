"""Gaussians on the features of each class: how densely a labeled set lies around a point.

M labeled points, n points, C classes of which c have labels, D features.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.errors import TrainingError

COVARIANCES = ("class", "shared")
JITTERS = tuple(10.0**exponent for exponent in range(-12, 0))  # of the mean feature variance


@dataclass(frozen=True)
class FeatureDensity:
    """The mixture q(z) = Σ_c q(c) N(z; μ_c, Σ_c).

    Args:
        log_weights: (c,) float64, log q(c).
        means: (c, D) float64.
        factors: (c, D, D) float64, lower Cholesky factors of the covariances.
        notes: How they came to be, by short name: ``density_jitter``, the share of the mean feature
            variance that was added to all variances, and the numbers of classes with one label and
            of those without, where there are some.
    """

    log_weights: Tensor
    means: Tensor
    factors: Tensor
    notes: Mapping[str, float]

    def log_density(self, features: Tensor) -> Tensor:
        """The logarithm of q(z), nats, (n,) float64, of features (n, D); 0 without any labels.

        O(n c D²).
        """
        if len(self.means) == 0:
            return torch.zeros(len(features), dtype=torch.float64, device=features.device)
        points = features.double()
        constant = 0.5 * points.shape[1] * math.log(2 * math.pi)
        parts = []
        for log_weight, mean, factor in zip(
            self.log_weights, self.means, self.factors, strict=True
        ):
            whitened = torch.linalg.solve_triangular(factor, (points - mean).T, upper=False)
            half_log_det = factor.diagonal().log().sum()
            parts.append(log_weight - constant - half_log_det - 0.5 * whitened.square().sum(dim=0))
        return torch.stack(parts).logsumexp(dim=0)


def fit_density(
    features: Tensor, labels: Tensor, num_classes: int, covariance: str
) -> FeatureDensity:
    """The Gaussians of a labeled set.

    Args:
        features: (M, D).
        labels: (M,) int64.
        num_classes: C.
        covariance: ``class`` gives each class its own, divided by n_c - 1 for n_c labels; a class
            with one label takes the mean of the others'. ``shared`` is one for all, pooled within
            the classes and divided by M - c. Where nothing can be said (one label a class), it is
            0, and the jitter all.

    Returns:
        The mixture; classes without labels have no part in it, the others their share of labels.

    Raises:
        TrainingError: Features are not finite, or no jitter makes the covariances invertible.
    """
    points = features.double()
    if not bool(points.isfinite().all()):
        raise TrainingError("The features of the labeled set are not finite numbers.")
    counts = torch.bincount(labels, minlength=num_classes)
    known = counts.nonzero().squeeze(1)
    notes: dict[str, float] = {}
    if covariance == "class" and bool((counts == 1).any()):
        notes["density_classes_with_one_label"] = int((counts == 1).sum())
    if len(known) < num_classes:
        notes["density_classes_without_labels"] = num_classes - len(known)
    if len(known) == 0:
        return FeatureDensity(points[:0], points[:0], points[:0], notes)
    parts = [points[labels == c] for c in known]
    means = torch.stack([part.mean(dim=0) for part in parts])
    scatters = torch.stack(
        [(part - mean).T @ (part - mean) for part, mean in zip(parts, means, strict=True)]
    )
    counts = counts[known]
    if covariance == "shared":
        freedom = counts.sum() - len(known)  # degrees of it
        covariances = scatters.sum(dim=0, keepdim=True) / freedom.clamp_min(1)
    else:
        freedom = (counts - 1).min()
        covariances = scatters / (counts - 1).clamp_min(1)[:, None, None]
        alone = counts == 1
        if bool(alone.any()) and not bool(alone.all()):
            covariances[alone] = covariances[~alone].mean(dim=0)
    full = int(freedom) >= points.shape[1]
    factors, notes["density_jitter"] = _factors(covariances, _mean_variance(points), full)
    log_weights = (counts.double() / len(points)).log()
    return FeatureDensity(log_weights, means, factors.expand(len(known), -1, -1), notes)


def _factors(covariances: Tensor, scale: float, full: bool) -> tuple[Tensor, float]:
    """Cholesky factors of all covariances with the first jitter that all accept, and which.

    Args:
        covariances: (c, D, D) or (1, D, D).
        scale: What jitters are shares of.
        full: Whether there are labels enough for none.
    """
    eye = torch.eye(covariances.shape[1], dtype=torch.float64, device=covariances.device)
    for jitter in (0.0, *JITTERS) if full else JITTERS:
        factors, failed = torch.linalg.cholesky_ex(covariances + jitter * scale * eye)
        if not bool(failed.any()):
            return factors, jitter
    raise TrainingError(
        f"The covariances of the features have no inverse with {JITTERS[-1]} of the mean feature "
        "variance added."
    )


def _mean_variance(points: Tensor) -> float:
    """The variance of a feature over all labels, averaged over features; 1 where there is none."""
    variance = float((points - points.mean(dim=0)).square().mean())
    return variance if variance > 0 else 1.0
