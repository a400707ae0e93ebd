"""Information gains of a Gaussian posterior over last-layer weights: the Fisher forms.

Kirsch and Gal (2022), arXiv:2208.00549, whose thesis chapter calls them log-det and trace forms.
n points, T targets, C classes; Σ the posterior covariance, F(x) = X Xᵀ the Fisher information of a
point (``al_bench.information.last_layer``), so that G(x) = Xᵀ Σ X (C, C) holds all that matters of
a single point:

- EIG, log-det: ½ log det(I + F(x) Σ) = ½ log det(I + G); trace: ½ tr(F(x) Σ) = ½ tr G, never less.
- EPIG, log-det: by how much x lowers ½ log det(I + F̄ Σ), F̄ the mean of the targets' F; trace: by
  how much it lowers ½ tr(F̄ Σ).
- JEPIG: the same with the sum of the targets' F instead of the mean. Its trace form is T times that
  of EPIG, so it ranks alike.

The paper minimises what is left after x; here it is subtracted from what was there before, so that
higher is wanted more. Under a softmax F does not depend on the label: information gain with known
labels (IG, PIG, JPIG) is the same number. All in nats and float64.
"""

import torch
from torch import Tensor

from al_bench.information.last_layer import (
    BLOCK_BYTES,
    FullPosterior,
    KroneckerPosterior,
    Points,
    fisher_times,
    projections,
)

ROUNDING = 1e-12
"""Gains below this many nats count as none."""


def half_log_det(uncertainty: Tensor) -> Tensor:
    """½ log det(I + G), (n,), of G (n, C, C), symmetric and positive semidefinite."""
    eye = torch.eye(uncertainty.shape[-1], dtype=uncertainty.dtype, device=uncertainty.device)
    parts = []
    for part in torch.split(uncertainty, _block_size(uncertainty)):
        factor, _ = torch.linalg.cholesky_ex(part + eye)
        parts.append(factor.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1))
    return torch.cat(parts)


def _block_size(matrices: Tensor) -> int:
    """How many of ``matrices`` (n, C, C) are worked on at once."""
    return max(1, BLOCK_BYTES // (8 * matrices.shape[-1] ** 2))


def half_trace(uncertainty: Tensor) -> Tensor:
    """½ tr G, (n,), of G (n, C, C)."""
    return 0.5 * uncertainty.diagonal(dim1=-2, dim2=-1).sum(dim=-1)


class Conditioned:
    """What is left to be learnt about every point of a pool while others become known.

    A point that becomes known takes a rank-C part from Σ, so G of every point is updated instead of
    computed anew: O(C² (H + C)) a point of the pool, and its X is never stored.

    Args:
        pool: n points.
        posterior: Their Gaussian at the beginning.
        targets: Points whose predictions matter; their ``relevance`` is kept up too.
        weight: What each target's Fisher information is multiplied by.

    Attributes:
        uncertainty: G = Xᵀ Σ X, (n, C, C).
        relevance: Xᵀ Σ F Σ X, (n, C, C), F the weighted sum over the targets; None without them.
    """

    def __init__(
        self,
        pool: Points,
        posterior: FullPosterior | KroneckerPosterior,
        targets: Points | None = None,
        weight: float = 1.0,
    ) -> None:
        self._pool, self._posterior = pool, posterior
        self._targets, self._weight = targets, weight
        self._known: list[Tensor] = []  # A (C, H, C) each: Σ is the first one - Σ_j A_j A_jᵀ
        self.uncertainty = posterior.uncertainty(pool)
        self.relevance = None if targets is None else self._relevance(targets)

    def know(self, point: Points, weight: float = 1.0) -> None:
        """A point becomes known, ``weight`` times: Σ⁻¹ grows by ``weight`` X Xᵀ."""
        columns = point.columns * weight**0.5  # (C, H, C)
        spread = self._times(columns)
        inner = torch.einsum("chr,chs->rs", columns, spread)
        inner.diagonal().add_(1.0)
        root = torch.linalg.solve_triangular(
            torch.linalg.cholesky(inner), spread.flatten(0, 1).T, upper=False
        )
        root = root.T.reshape(spread.shape)  # A (C, H, C)
        if self._targets is None or self.relevance is None:
            directions, between = root, None
        else:
            seen = self._weight * fisher_times(self._targets, root)  # F A
            between = torch.einsum("chr,chs->rs", root, seen)  # Aᵀ F A
            directions = torch.cat([root, self._times(seen)], dim=2)  # A, Σ F A
        self._known.append(root)
        width = root.shape[2]
        for block in self._pool.blocks(3 * directions.shape[0] * directions.shape[2]):
            seen_by = projections(self._pool.at(block), directions)
            along = seen_by[:, :, :width]
            self.uncertainty[block].baddbmm_(along, along.mT, alpha=-1)
            if self.relevance is not None and between is not None:
                across = seen_by[:, :, width:] - 0.5 * (along @ between)
                change = along @ across.mT
                self.relevance[block] -= change + change.mT

    def expected_information_gain(self) -> Tensor:
        """½ log det(I + G), (n,)."""
        return half_log_det(self.uncertainty)

    def trace_gain(self) -> Tensor:
        """½ tr(F Σ) - ½ tr(F Σ_x) = ½ tr((I + G)⁻¹ Xᵀ Σ F Σ X), (n,): what the targets gain."""
        assert self.relevance is not None
        eye = torch.eye(self.uncertainty.shape[-1], dtype=torch.float64).to(self.uncertainty)
        size = _block_size(self.uncertainty)
        blocks = zip(
            torch.split(self.uncertainty, size), torch.split(self.relevance, size), strict=True
        )
        return torch.cat([half_trace(torch.linalg.solve(g + eye, seen)) for g, seen in blocks])

    def _times(self, vectors: Tensor) -> Tensor:
        """Σ V, (C, H, r), of the present Σ."""
        result = self._posterior.times(vectors)
        for root in self._known:
            result -= torch.einsum("chs,sr->chr", root, torch.einsum("chs,chr->sr", root, vectors))
        return result

    def _relevance(self, targets: Points) -> Tensor:
        total = torch.zeros_like(self.uncertainty)
        num_classes = targets.num_classes
        for few in torch.split(torch.arange(targets.num_points), max(1, 2_000 // num_classes)):
            spread = self._posterior.times(targets.at(few).columns)  # (C, H, t C)
            for block in self._pool.blocks(3 * num_classes * spread.shape[2]):
                seen = projections(self._pool.at(block), spread)  # (n, C, t C)
                total[block].baddbmm_(seen, seen.mT, alpha=self._weight)
        return total


def given_targets(
    pool: Points, posterior: FullPosterior | KroneckerPosterior, targets: Points, weight: float
) -> Conditioned:
    """The pool once the targets are known, each ``weight`` times."""
    if isinstance(posterior, FullPosterior):
        return Conditioned(pool, posterior.conditioned_on(targets, weight))
    conditioned = Conditioned(pool, posterior)
    for t in range(targets.num_points):
        conditioned.know(targets.at(slice(t, t + 1)), weight)
    return conditioned


def expected_information_gain(
    points: Points, posterior: FullPosterior | KroneckerPosterior, form: str = "logdet"
) -> Tensor:
    """EIG of each point: what its label tells about the last layer.

    Args:
        points: n points.
        posterior: Gaussian over the last layer.
        form: ``logdet``, or ``trace``, which is never less.

    Returns:
        Nats, float64, at least 0, (n,).
    """
    uncertainty = posterior.uncertainty(points)
    gains = half_log_det(uncertainty) if form == "logdet" else half_trace(uncertainty)
    return cleaned(gains)


def joint_expected_information_gain(
    points: Points, posterior: FullPosterior | KroneckerPosterior
) -> float:
    """EIG of all points together, ½ log det(I + S), S the (n C, n C) inner products Xᵀ Σ X.

    At most the sum of the points' own. For a batch; memory grows with n² C².
    """
    columns = points.columns
    return float(half_log_det(torch.einsum("chr,chs->rs", columns, posterior.times(columns))[None]))


def expected_predictive_information_gain(
    points: Points,
    targets: Points,
    posterior: FullPosterior | KroneckerPosterior,
    form: str = "logdet",
    joint: bool = False,
) -> Tensor:
    """EPIG of each point, or JEPIG: what its label tells about the targets' labels.

    Args:
        points: n points.
        targets: T points whose predictions matter.
        posterior: Gaussian over the last layer.
        form: ``logdet`` or ``trace``.
        joint: JEPIG (the targets' labels together) instead of EPIG (a target's label on average).

    Returns:
        Nats, float64, at least 0, (n,).
    """
    weight = 1.0 if joint else 1.0 / targets.num_points
    if form == "trace":
        return cleaned(Conditioned(points, posterior, targets, weight).trace_gain())
    before = half_log_det(posterior.uncertainty(points))
    after = given_targets(points, posterior, targets, weight).expected_information_gain()
    return cleaned(before - after)


def cleaned(gains: Tensor) -> Tensor:
    """Gains without those that are rounding; ValueError where they are NaN."""
    if bool(gains.isnan().any()):
        raise ValueError(f"{int(gains.isnan().sum())} of {len(gains)} information gains are NaN")
    return gains.masked_fill(gains < ROUNDING, 0.0)
