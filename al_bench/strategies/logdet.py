"""LogDet: the batch whose kernel matrix has the largest determinant.

N pool points, M labeled points, T target inputs, C classes, D features, B batch size.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.errors import ConfigError, choose, keyed, require_number, require_whole
from al_bench.models.base import FEATURES, GRADIENTS, GradientFactors
from al_bench.strategies.base import Notes, PoolView, Selection, require_batch_size
from al_bench.strategies.last_layer import (
    block_size,
    checked,
    finite,
    pseudo_label_errors,
    require_float64,
)
from al_bench.strategies.spaces import LastLayer, in_order

KERNELS = ("gradients", "features")
SAME = 1e-9  # gains that differ by less, relative to the largest, are equal


@dataclass(frozen=True)
class LogDet:
    """Greedy log-determinant, or mutual information; Kothawade et al. (2021), arXiv:2107.00717.

    With the kernel k(x, x') = ⟨g, g'⟩, matrices K of it and S = K + λ I, the batch maximises
    ½ log det(S_{batch | labeled} / λ): in nats, what noisy values at the batch tell about a
    Gaussian process with that kernel once those at the labeled points are known. With
    ``num_targets`` it is ½ log det S_{batch | labeled} - ½ log det S_{batch | labeled, targets}:
    what they tell about noisy values at the target inputs (LogDetMI). Here
    S_{a | b} = S_aa - S_ab S_bb⁻¹ S_ba. Greedy, each point the one that adds most, which for the
    first form gives at least 1 - 1/e of the optimum.

    g is the last layer's features h, or the gradient (p - e_ŷ) ⊗ h of the last layer's weights for
    the most probable class ŷ, of pool, labeled points and targets alike; ⟨g, g'⟩ is then the
    product of two linear kernels, and g is never formed. The second form is not submodular: a gain
    may grow as points are added, so nothing is ended early and every candidate's gain is brought up
    to date at every pick, in both forms. Kirsch and Gal (2022), arXiv:2208.00549, read the first
    form as expected information gain and the second as (joint) expected predictive information
    gain. The codes around the paper take cosine similarities for ⟨g, g'⟩.

    Each pick is one step of a Cholesky factorisation with diagonal pivots (Chen et al. 2018,
    arXiv:1709.05135) whose row comes from the factors: O(N C D) time a pick, before that
    O(N (M + T) (M + T + C + D)) for labeled points and targets; memory
    O(N (C + D) + (M + T + B)²); all in float64.

    Args:
        kernel: ``gradients`` or ``features``.
        num_targets: T for the mutual information with T target inputs; ``None`` for the
            log-determinant alone.
        regularization: λ, the variance of the noise.
    """

    kernel: str = "gradients"
    num_targets: int | None = None
    regularization: float = 1.0

    def __post_init__(self) -> None:
        if self.kernel not in KERNELS:
            raise ConfigError(
                f"{keyed('kernel')} is {self.kernel!r}.",
                choose(str(self.kernel), KERNELS, f"{keyed('kernel')}="),
            )
        if self.num_targets is not None:
            require_whole("num_targets", self.num_targets, 1)
        require_number("regularization", self.regularization, above=0)

    @property
    def needs(self) -> frozenset[str]:
        """Gradient factors, also for the features of targets; features for those of the pool."""
        features = self.kernel == "features" and self.num_targets is None
        return frozenset({FEATURES if features else GRADIENTS})

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are what each added, in nats.

        Notes: ``information``, the sum of the scores; ``fell_back`` = ``random`` when no point adds
        anything.
        """
        num_points = len(view)
        require_batch_size(batch_size, num_points)
        # In a random order, "the first" of equals is a fair choice.
        order = torch.randperm(num_points, generator=generator)
        make = Products.of_gradients if self.kernel == "gradients" else Products.of_factors
        if self.needs == {FEATURES}:
            features = in_order(LastLayer(), view, order)
            require_float64("LogDet", features)
            pool = Products.of_features(features)
            labeled = Products.of_features(view.labeled_features())
        else:
            factors = view.gradient_factors()
            require_float64("LogDet", *factors)
            pool = make(factors, order)
            labeled = make(view.labeled_gradient_factors())
        known = ConditionalKernel(pool, labeled, self.regularization, batch_size)
        informed = None
        if self.num_targets is not None:
            both = labeled.joined(make(view.target_gradient_factors(self.num_targets)))
            informed = ConditionalKernel(pool, both, self.regularization, batch_size)
        positions, scores = _greedy(known, informed, batch_size)
        notes: Notes = {"information": float(scores.sum())}
        if not bool(scores.any()):
            notes["fell_back"] = "random"
        return Selection(order[positions], scores, notes)


def _greedy(
    known: "ConditionalKernel", informed: "ConditionalKernel | None", count: int
) -> tuple[Tensor, Tensor]:
    positions: list[Tensor] = []
    scores: list[Tensor] = []
    picked = torch.zeros_like(known.variances, dtype=torch.bool)
    for _ in range(count):
        gains = known.gains(informed).masked_fill_(picked, -torch.inf)
        position = (gains >= gains.max() * (1 - SAME)).int().argmax(dim=0, keepdim=True)
        positions.append(position)
        scores.append(gains[position])
        picked.index_fill_(0, position, True)
        known.add(position)
        if informed is not None:
            informed.add(position)
    return torch.cat(positions).cpu(), torch.cat(scores).cpu()


class Products:
    """Points as outer products left_i ⊗ right_i, and the linear kernel of them.

    Args:
        left: (n, C) float64.
        right: (n, D) float64.
    """

    def __init__(self, left: Tensor, right: Tensor) -> None:
        self.left, self.right = left, right

    @classmethod
    def of_features(cls, features: Tensor, order: Tensor | None = None) -> "Products":
        """The features themselves, those at ``order``."""
        features = _at(finite(features), order).double()
        return cls(torch.ones_like(features[:, :1]), features)

    @classmethod
    def of_factors(cls, factors: GradientFactors, order: Tensor | None = None) -> "Products":
        """The features among the factors."""
        return cls.of_features(factors.features, order)

    @classmethod
    def of_gradients(cls, factors: GradientFactors, order: Tensor | None = None) -> "Products":
        """Gradients for pseudo-labels."""
        log_probs, features = (_at(factor, order) for factor in checked(factors))
        return cls(pseudo_label_errors(log_probs), features.double())

    def __len__(self) -> int:
        return len(self.left)

    def joined(self, other: "Products") -> "Products":
        """These points, then those of ``other``."""
        left = torch.cat([self.left, other.left])
        return Products(left, torch.cat([self.right, other.right]))

    def at(self, rows: Tensor | slice) -> "Products":
        """The points at ``rows``."""
        return Products(self.left[rows], self.right[rows])

    def kernel(self, other: "Products") -> Tensor:
        """Inner products with the points of ``other``, (n, m)."""
        return (self.left @ other.left.T) * (self.right @ other.right.T)

    def norms(self) -> Tensor:
        """Squared norms, (n,)."""
        return self.left.square().sum(dim=1) * self.right.square().sum(dim=1)

    def along(self, direction: Tensor) -> Tensor:
        """Inner products (n,) with a ``direction`` (C, D)."""
        return ((self.right @ direction.T) * self.left).sum(dim=1)


class ConditionalKernel:
    """k(x, x' | S) of pool points for a growing set S of points with noisy values.

    Args:
        pool: The points.
        given: S to begin with, may be empty.
        noise: λ.
        room: How many points will be added at most.

    Attributes:
        variances: k(x, x | S) of every point, (N,).
    """

    def __init__(self, pool: Products, given: Products, noise: float, room: int) -> None:
        self._pool, self._noise = pool, noise
        self._set = given.joined(pool.at(slice(0, room)))  # the pool's are overwritten
        self._size, capacity = len(given), len(given) + room
        self._factor = pool.right.new_zeros(capacity, capacity)
        self.variances = pool.norms()
        if self._size:
            self._factor[: self._size, : self._size] = _cholesky(given.kernel(given), noise)
            factor = self._factor[: self._size, : self._size]
            size = block_size(24 * (self._size + pool.right.shape[1]))
            for start in range(0, len(pool), size):
                rows = slice(start, start + size)
                cross = given.kernel(pool.at(rows))
                solved = torch.linalg.solve_triangular(factor, cross, upper=False)
                self.variances[rows] -= solved.square().sum(dim=0)
            self.variances.clamp_min_(0.0)

    def gains(self, informed: "ConditionalKernel | None" = None) -> Tensor:
        """½ log of the variance (with noise) relative to that of the noise, or to ``informed``'s.

        Args:
            informed: The same kernel given a larger set.

        Returns:
            Nats, at least 0, (N,).
        """
        if informed is None:
            return (self.variances / self._noise).log1p() / 2
        excess = (self.variances - informed.variances).clamp_min_(0.0)
        return (excess / (self._noise + informed.variances)).log1p() / 2

    def add(self, position: Tensor) -> None:
        """Add the pool's point at ``position`` (1,) to S."""
        size = self._size
        point, given = self._pool.at(position), self._set.at(slice(0, size))
        factor = self._factor[:size, :size]
        cross = torch.linalg.solve_triangular(factor, given.kernel(point), upper=False)  # (m, 1)
        weights = torch.linalg.solve_triangular(factor.T, cross, upper=True)
        direction = point.left.T @ point.right - (given.left * weights).T @ given.right
        variance = self._noise + self.variances[position]
        self._factor[size, :size] = cross[:, 0]
        self._factor[size, size] = variance.sqrt()
        self._set.left[size], self._set.right[size] = point.left[0], point.right[0]
        self._size += 1
        row = self._pool.along(direction)  # k(x, x' | S)
        self.variances = (self.variances - row.square() / variance).clamp_min_(0.0)


def _cholesky(kernel: Tensor, noise: float) -> Tensor:
    """The factor of ``kernel`` + ``noise`` I, with more noise where that is lost to rounding."""
    rounding = 1e-15 * float(kernel.diagonal().sum())
    while True:
        shifted = kernel + noise * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
        factor, failed = torch.linalg.cholesky_ex(shifted)
        if not bool(failed):
            return factor
        noise = max(noise, rounding) * 10


def _at(rows: Tensor, order: Tensor | None) -> Tensor:
    return rows if order is None else rows[order.to(rows.device)]
