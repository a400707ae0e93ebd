"""BAIT: the batch that leaves the least error where the pool's Fisher information is large.

N pool points, M labeled points, C classes, D features, B batch size, p = C·D weights.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.errors import ConfigError, keyed, require_number, require_whole
from al_bench.information.cholesky import cholesky
from al_bench.information.last_layer import Points, fisher_matrix, projections, quadratic_forms
from al_bench.models.base import GRADIENTS, GradientFactors
from al_bench.strategies.base import Notes, PoolView, Selection, require_batch_size
from al_bench.strategies.last_layer import (
    block_size,
    checked,
    require_float64,
    require_matrices,
)

MOST_BYTES = 2**34  # of memory that a selection may take
SAME = 1e-9  # gains that differ by less, relative to the largest, are equal
# A is computed anew before rounding shows: once removals have left so little of the information in
# some direction, and once what points change by has become so much smaller.
LEAST_LEFT = 1e-3
LEAST_CHANGE = 1e-8


@dataclass(frozen=True)
class Bait:
    """Greedy minimisation of tr(A F), forward and backward; Ash et al. (2021), arXiv:2106.09675.

    I(x) = Σ_y p(y | x) g_y g_yᵀ = (diag p - p pᵀ) ⊗ h hᵀ is the Fisher information of a prediction
    with respect to the last layer's weights (p = C·D of them, no bias), F its mean over the pool
    and the labeled set, and A⁻¹ = λ I + M/(M + B) · (mean of I(x) over the labeled set)
    + B/(M + B) · Σ_{x in batch} I(x). Forward, ``oversampling`` × B points are added, each the one
    that lowers tr(A F) the most; backward, the points whose removal raises it least are taken out
    until B are left. Both are exact, and rely on no submodularity (the trace has none): every
    candidate is brought up to date at every step, and a small gain ends nothing. F and the weights
    are those of the published code; where that takes the last of equal candidates, this takes a
    random one.

    A is never applied to candidates anew: each keeps the C × C matrices Xᵀ A X and Xᵀ A F A X
    (X Xᵀ = I(x)), to which a point added or removed makes a change of rank C (Woodbury), and
    X (C·D, C) is never formed. O(N C² D + C² D²) time a point added or removed, before that
    O(N C² D² + C³ D³) once; memory O(C² D² + N (D + C²)); all in float64.

    Args:
        regularization: λ; the paper's experiments use 1, and 0.01 for CIFAR-10.
        oversampling: Points added in the forward pass, as a multiple of B; 1 for no backward pass.
    """

    regularization: float = 1.0
    oversampling: int = 2
    needs: ClassVar[frozenset[str]] = frozenset({GRADIENTS})

    def __post_init__(self) -> None:
        require_number("regularization", self.regularization, above=0)
        require_whole("oversampling", self.oversampling, 1)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Points left by the backward pass, in the order in which the forward pass added them.

        Scores are what each took off tr(A F) when it was added. Notes: ``objective``, tr(A F) of
        the batch; ``fell_back`` = ``random`` when no point has Fisher information.

        Raises:
            ConfigError: The matrices would take more than ``MOST_BYTES``.
            AlBenchError: Those that the pool's points have each would take more memory than is
                available.
        """
        num_points = len(view)
        require_batch_size(batch_size, num_points)
        # In a random order, "the first" of equals is a fair choice.
        order = torch.randperm(num_points, generator=generator)
        require_matrices(view, "BAIT", 3)
        factors = view.gradient_factors()
        require_float64("BAIT", *factors)
        pool = _points(factors, order)
        labeled = _points(view.labeled_gradient_factors())
        _require_memory(pool)
        num_labeled = labeled.num_points
        precision = fisher_matrix(labeled)
        fisher = fisher_matrix(pool).add_(precision).div_(num_points + num_labeled)
        precision.div_(num_labeled + batch_size).diagonal().add_(self.regularization)
        pool.inputs.mul_(math.sqrt(batch_size / (num_labeled + batch_size)))
        hint = f"Raise {keyed('regularization', self)}."
        greedy = TraceGreedy(pool, precision, fisher, hint)
        count = min(self.oversampling * batch_size, num_points)
        gains = {}
        for _ in range(count):
            position, gain = greedy.add()
            gains[position] = gain
        greedy.renew()
        for _ in range(count - batch_size):
            del gains[greedy.remove()]
        notes: Notes = {"objective": greedy.objective}
        if not any(gains.values()):
            notes["fell_back"] = "random"
        scores = torch.tensor(list(gains.values()), dtype=torch.float64)
        return Selection(order[list(gains)], scores, notes)


def _points(factors: GradientFactors, order: Tensor | None = None) -> Points:
    """All points, or those of ``order``; in last layers without a bias, z is h."""
    log_probs, features = checked(factors)
    if order is not None:
        order = order.to(features.device)
        log_probs, features = log_probs[order], features[order]
    return Points(log_probs.double().softmax(dim=1), features.double())


def _require_memory(points: Points) -> None:
    """Raise ConfigError when p × p and n × C × C matrices would take too much memory."""
    num_classes, num_features = points.num_classes, points.inputs.shape[1]
    size = 8 * (5 * (num_classes * num_features) ** 2 + 3 * points.num_points * num_classes**2)
    if size > MOST_BYTES:
        raise ConfigError(
            f"BAIT needs {size / 2**30:.0f} GiB for {num_classes} classes and {num_features} "
            f"features; {MOST_BYTES / 2**30:.0f} GiB is the most that is allowed.",
            "Use a network with fewer features, or strategy=badge.",
        )


class TraceGreedy:
    """Adds and removes points, keeping A and what determines every point's change of tr(A F).

    Args:
        pool: The candidates; of one that is added, A⁻¹ gets X Xᵀ.
        precision: A⁻¹ of the labeled set, (p, p).
        fisher: F, (p, p).
        hint: What to do where a precision cannot be factorised.

    Attributes:
        objective: tr(A F).
    """

    def __init__(self, pool: Points, precision: Tensor, fisher: Tensor, hint: str) -> None:
        self._pool, self._precision, self._fisher = pool, precision, fisher
        self._hint = hint
        self._added: list[int] = []
        self._eye = torch.eye(pool.num_classes, dtype=torch.float64, device=fisher.device)
        self._start()

    def _start(self) -> None:
        """Compute A of the points added, and from it the matrices of all candidates."""
        self._factor()
        through = self._inverse @ self._fisher
        self._inner = quadratic_forms(self._pool, self._inverse)  # Xᵀ A X, (N, C, C)
        self._outer = quadratic_forms(self._pool, through @ self._inverse)  # Xᵀ A F A X
        self._largest = self._change

    def _factor(self) -> Tensor:
        """Compute A of the points added anew; the lower Cholesky factor of its inverse."""
        precision = fisher_matrix(self._pool.at(self._rows)).add_(self._precision)
        factor = cholesky(precision, self._hint)
        del precision
        # Symmetric, and LAPACK writes columns: the transpose has its rows in order.
        self._inverse = torch.cholesky_inverse(factor).mT.contiguous()
        self.objective = float((self._inverse * self._fisher).sum())
        self._left = 1.0  # of the information in some direction, by removals since
        return factor

    @property
    def _change(self) -> float:
        """The most that a candidate would change if the others had no information like its own."""
        return float(self._outer.diagonal(dim1=1, dim2=2).sum(dim=1).max())

    def add(self) -> tuple[int, float]:
        """Add the point that lowers tr(A F) most: its position and by how much."""
        if self._change < LEAST_CHANGE * self._largest:
            self._start()
        blocks = list(self._pool.blocks(4 * self._eye.numel()))
        gains = torch.cat([self._changes(rows, 1) for rows in blocks]).clamp_min_(0.0)
        gains[self._added] = -math.inf
        best = gains.max()
        position = int((gains >= best * (1 - SAME)).int().argmax())
        self.objective -= float(gains[position])
        self._update(position, 1, blocks)
        self._added.append(position)
        return position, float(gains[position])

    def remove(self) -> int:
        """Remove the added point that raises tr(A F) least, of equals the last added."""
        losses = self._changes(self._rows, -1).clamp_min(0.0)
        least = int((losses <= losses.min() * (1 + SAME)).nonzero()[-1])
        position = self._added.pop(least)
        self._left *= float(torch.linalg.eigvalsh(self._eye - self._inner[position])[0])
        if self._left < LEAST_LEFT:
            self.renew()
        else:
            self.objective += float(losses[least])
            self._update(position, -1, [self._rows])
        return position

    def renew(self) -> None:
        """Compute A anew, and from it the matrices of the points added alone.

        A removal divides by what information the others leave where the point has some, as little
        as λ / ‖h‖², and multiplies what rounding has done to A by as much.
        """
        factor = self._factor()
        num_classes = len(self._eye)
        for rows in torch.split(self._rows, block_size(8 * 4 * len(factor) * num_classes)):
            columns = self._pool.at(rows).columns.flatten(0, 1)  # X side by side, (p, n C)
            # From the factor: I - Xᵀ A X may be tiny, and A itself has lost what that needs.
            half = torch.linalg.solve_triangular(factor, columns, upper=False)
            whole = torch.linalg.solve_triangular(factor.mT, half, upper=True)  # A X
            through = self._fisher @ whole
            half, whole, through = (
                part.unflatten(1, (-1, num_classes)).transpose(0, 1)
                for part in (half, whole, through)
            )
            self._inner[rows] = half.mT @ half
            self._outer[rows] = whole.mT @ through

    @property
    def _rows(self) -> Tensor:
        """The positions of the points added."""
        return torch.tensor(self._added, dtype=torch.int64, device=self._eye.device)

    def _changes(self, rows: slice | Tensor, sign: int) -> Tensor:
        """By how much tr(A F) changes when a point is added (1) or removed (-1), positive, (n,)."""
        inner = self._eye + sign * self._inner[rows]
        solved = torch.linalg.solve(inner, self._outer[rows])
        return solved.diagonal(dim1=1, dim2=2).sum(dim=1)

    def _update(self, position: int, sign: int, parts: Sequence[slice] | Sequence[Tensor]) -> None:
        """A, and the matrices of the points in ``parts``, after an addition (1) or removal (-1)."""
        num_classes = len(self._eye)
        own = self._pool.at(slice(position, position + 1)).columns.flatten(0, 1)  # X, (p, C)
        column = self._inverse @ own  # V = A X, (p, C)
        through = self._fisher @ column  # F V
        middle = torch.linalg.inv(sign * self._eye + own.T @ column)  # Q
        middle = (middle + middle.T) / 2
        between = column.T @ through  # Vᵀ F V
        both = torch.cat([column, self._inverse @ through], dim=1)  # (p, 2 C)
        both = both.view(num_classes, -1, 2 * num_classes)
        for rows in parts:
            seen = projections(self._pool.at(rows), both)
            left, outer = seen[..., :num_classes], seen[..., num_classes:]
            right = left @ middle
            self._inner[rows] -= right @ left.mT
            change = (outer - right @ (between / 2)) @ right.mT
            self._outer[rows] -= change + change.mT
        self._inverse.addmm_(column @ middle, column.T, alpha=-1.0)
