"""Squared Euclidean distances by matrix products, in blocks, in float32.

n and N points, M centers, D features. |x - y|² = |x|² + |y|² - 2 x·y costs a matrix product, but
loses digits where points are close. Distances are those of points shifted to a common origin, the
pool's mean, and then

- a block (``squared_distances``) is rounded down by a bound of its error, which is 3e-6 of the
  largest squared distance from the mean at D = 512: copies have distance 0;
- a column (``to_point``) is computed again, from the differences, where it is small: its relative
  error is below 0.1%, and copies have distance 0;
- the distance to the nearest center (``nearest``) is computed from the difference.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_BYTES = 2**25  # of float32 working memory
NEAR = 1e-3  # of the squared norms: a smaller squared distance is computed from the difference


@dataclass(frozen=True)
class Points:
    """Points with their squared norms.

    Args:
        values: (n, D) float32.
        squares: (n,) float32 squared norms.
    """

    values: Tensor
    squares: Tensor

    @classmethod
    def of(cls, values: Tensor) -> "Points":
        """Points at ``values``; ValueError when they are too large to be squared."""
        squares = torch.linalg.vector_norm(values, dim=1).square()
        if not squares.isfinite().all():
            raise ValueError("features are too large: their squares are infinite")
        return cls(values, squares)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Tensor | slice) -> "Points":
        return Points(self.values[rows], self.squares[rows])

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.values.device


def centered(pool: Tensor, labeled: Tensor) -> tuple[Points, Points]:
    """Both sets of points, (N, D) and (M, D), with the pool's mean as the origin.

    ``pool`` itself is moved; ``labeled`` is not.
    """
    origin = pool.mean(dim=0)
    return Points.of(pool.sub_(origin)), Points.of(labeled.to(pool.device) - origin)


def joined(first: Points, second: Points) -> Points:
    """The points of both."""
    return Points(
        torch.cat([first.values, second.values]), torch.cat([first.squares, second.squares])
    )


def blocks(count: int, bytes_each: int) -> Iterator[slice]:
    """Slices of 0 … count - 1 whose items need no more than ``BLOCK_BYTES`` together."""
    size = max(1, BLOCK_BYTES // max(1, bytes_each))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def squared_distances(rows: Points, columns: Points) -> Tensor:
    """(n, N) squared distances, at least 0; the caller sees to the size of the block."""
    largest = max(_largest(rows), _largest(columns))
    error = torch.finfo(torch.float32).eps * (4 + rows.values.shape[1] ** 0.5) * largest
    squared = torch.addmm(columns.squares - error, rows.values, columns.values.T, alpha=-2)
    return squared.add_(rows.squares[:, None]).clamp_(min=0)


def to_point(points: Points, position: int) -> Tensor:
    """(N,) squared distances to the point at ``position``, 0 for copies of it."""
    value, square = points.values[position], points.squares[position]
    squared = torch.mv(points.values, value).mul_(-2).add_(points.squares).add_(square)
    near = (squared < NEAR * (points.squares + square)).nonzero().squeeze(1)
    for block in blocks(len(near), 8 * points.values.shape[1]):
        rows = near[block]
        squared[rows] = (points.values[rows] - value).square().sum(dim=1)
    return squared


def nearest(points: Points, centers: Points) -> tuple[Tensor, Tensor]:
    """Squared distance to the nearest center and which it is: (N,) float32 and (N,) int64.

    Infinite and 0 without centers; 0 for copies of a center.
    """
    squared = torch.full((len(points),), torch.inf, device=points.device)
    owner = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    if not len(centers):
        return squared, owner
    num_features = points.values.shape[1]
    for block in blocks(len(points), 4 * (len(centers) + 2 * num_features)):
        rows = points[block]
        owner[block] = squared_distances(rows, centers).argmin(dim=1)
        squared[block] = (rows.values - centers.values[owner[block]]).square().sum(dim=1)
    return squared, owner


def _largest(points: Points) -> float:
    return float(points.squares.max()) if len(points) else 0.0
