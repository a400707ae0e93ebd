"""Squared Euclidean distances by matrix products, in blocks, in float32.

n and N points, M centers, D features. |x - y|² = |x|² + |y|² - 2 x·y costs a matrix product, but
loses digits where points are close: its error is at most ε (4 + √D) (|x|² + |y|²) with ε float32's
precision, for each pair by itself, so that a far point costs the others nothing. Distances are
those of points shifted to a common origin in their midst, and then

- a block (``squared_distances``) is computed again where a pair's distance is less than ``DIGITS``
  times its own bound, from the differences or, where such pairs are many, in float64;
- a column (``to_point``) is computed again, from the differences, where it is small: its relative
  error is below 0.1%;
- the distance to the nearest center (``nearest``) is computed from the difference.

In all of them copies have distance 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from al_bench.models.room import require_room

BLOCK_BYTES = 2**25  # of float32 working memory
DIGITS = 32.0  # a squared distance that many times its error is good enough
MANY = 1 / 32  # of a block: more pairs are computed faster by a matrix product in float64
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
    """Both sets of points, (N, D) and (M, D), with an origin in the midst of the pool.

    ``pool`` itself is moved; ``labeled`` is not.
    """
    origin = _midst(pool)
    return Points.of(pool.sub_(origin)), Points.of(labeled.to(pool.device) - origin)


def _midst(pool: Tensor) -> Tensor:
    """(D,) the mean of the half of the points that is nearest to the mean of all.

    A mean alone follows a single point to a 1/N of however far it is.
    """
    origin = pool.mean(dim=0)
    parts = [
        torch.linalg.vector_norm(pool[block] - origin, dim=1)
        for block in blocks(len(pool), 4 * pool.shape[1])
    ]
    distances = torch.cat(parts)
    near = (distances <= distances.median()).to(pool.dtype)
    return (near @ pool) / near.sum()


def joined(first: Points, second: Points) -> Points:
    """The points of both; AlBenchError where memory does not suffice."""
    needed = first.values.nbytes + second.values.nbytes
    require_room(needed, first.device, f"Copies of {len(first) + len(second):,} points")
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
    squared = torch.addmm(columns.squares, rows.values, columns.values.T, alpha=-2)
    squared.add_(rows.squares[:, None])
    # Of points that close both norms are about the same, so that of the row says it all.
    enough = 2.1 * DIGITS * _error(torch.float32, rows) * rows.squares
    near = _places(squared, enough)
    if len(near) > MANY * squared.numel():
        return _in_float64(rows, columns)
    for places in torch.split(near, max(1, BLOCK_BYTES // (12 * rows.values.shape[1]))):
        first, second = places // len(columns), places % len(columns)
        difference = rows.values[first] - columns.values[second]
        squared[first, second] = difference.square_().sum(dim=1)
    return squared


def _places(values: Tensor, below: Tensor) -> Tensor:
    """Places in the flat ``values`` (n, N) of those less than ``below`` (n,) of their row."""
    if values.device.type == "cpu":  # numpy takes a quarter of torch's time
        return torch.from_numpy(np.flatnonzero(values.numpy() < below[:, None].numpy()))
    return (values < below[:, None]).flatten().nonzero().squeeze(1)


def _in_float64(rows: Points, columns: Points) -> Tensor:
    """(n, N) float32, low by no more than float64's rounding, so that copies have distance 0."""
    first, second = rows.values.double(), columns.values.double()
    share = 1 - _error(torch.float64, rows)
    squares = [share * values.square().sum(dim=1) for values in (first, second)]
    squared = torch.addmm(squares[1], first, second.T, alpha=-2).add_(squares[0][:, None])
    return squared.clamp_(min=0).float()


def _error(dtype: torch.dtype, points: Points) -> float:
    """Of a squared distance by matrix product, as a share of both points' squared norms."""
    return torch.finfo(dtype).eps * (4 + points.values.shape[1] ** 0.5)


def to_point(points: Points, position: int | Tensor) -> Tensor:
    """(N,) squared distances to the point at ``position``, a number or (1,); 0 for copies of it."""
    value, square = points.values[position].flatten(), points.squares[position]
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
