"""Feature spaces: where the coverage strategies measure distances.

N pool points, M labeled points, D features.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from al_bench.data.array_files import read_array
from al_bench.errors import DataError, keyed
from al_bench.models.base import FEATURES
from al_bench.models.room import rows_of
from al_bench.strategies.base import PoolView, require_batch_size
from al_bench.strategies.distances import Points, centered
from al_bench.strategies.parts import parts_of


class Space(Protocol):
    """What a file under ``conf/strategy/space`` builds: a frozen dataclass."""

    @property
    def needs(self) -> frozenset[str]:
        """What the model must provide."""

    def pool(self, view: PoolView) -> Tensor:
        """(N, D) float32, the pool; finite."""

    def labeled(self, view: PoolView) -> Tensor:
        """(M, D) float32, the labeled set in the order in which it was labeled; finite."""


class InSpace:
    """A strategy that measures distances: it needs what its space needs."""

    space: Space

    @property
    def needs(self) -> frozenset[str]:
        """What the space needs."""
        return self.space.needs


@dataclass(frozen=True)
class LastLayer:
    """The inputs of the network's last linear layer; they change with every round's training.

    Args:
        normalize: Scale every point to unit length, so that distances are those of directions.
    """

    normalize: bool = False
    needs: ClassVar[frozenset[str]] = frozenset({FEATURES})

    def pool(self, view: PoolView) -> Tensor:
        """(N, D) features of the pool; ValueError when one is NaN or infinite."""
        return _finite(view.features(), self.normalize)

    def labeled(self, view: PoolView) -> Tensor:
        """(M, D) features of the labeled set."""
        return _finite(view.labeled_features(), self.normalize)


@dataclass(frozen=True)
class Inputs:
    """The inputs as the model takes them, flattened; the same in every round.

    Args:
        normalize: Scale every point to unit length, so that distances are those of directions.
    """

    normalize: bool = False
    needs: ClassVar[frozenset[str]] = frozenset()

    def pool(self, view: PoolView) -> Tensor:
        """(N, D) inputs of the pool."""
        return _finite(view.inputs(torch.arange(len(view))).flatten(1), self.normalize)

    def labeled(self, view: PoolView) -> Tensor:
        """(M, D) inputs of the labeled set."""
        inputs = view.labeled_inputs()
        return _finite(inputs.reshape(len(inputs), inputs.shape[1:].numel()), self.normalize)


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of one's own, for example of a self-supervised network; the same in every round.

    Args:
        path: A ``.npy`` file (n_train, D) of floating point numbers, a row a training point in the
            data set's order. Only the rows that are needed are read.
        normalize: Scale every point to unit length, so that distances are those of directions.
    """

    path: str
    normalize: bool = False
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        self._file()  # refused now rather than after the first training

    def pool(self, view: PoolView) -> Tensor:
        """(N, D) embeddings of the pool; copies of a point have the same.

        Raises:
            DataError: The file has too few rows, or one that is not finite.
        """
        return self._rows(view.source_indices)

    def labeled(self, view: PoolView) -> Tensor:
        """(M, D) embeddings of the labeled set."""
        return self._rows(view.labeled_source_indices)

    def _rows(self, indices: Tensor) -> Tensor:
        values = self._file()
        rows = indices.cpu().numpy()
        if len(rows) and rows.max() >= len(values):
            raise DataError(
                f"{keyed('path', self)}={self.path} has {len(values)} rows; the data "
                f"set has a point {rows.max()}.",
                "Give one row a training point, in the data set's order.",
            )
        with np.errstate(over="ignore"):  # an infinite number is reported below
            found = np.asarray(values[rows], dtype=np.float32)
        if not np.isfinite(found).all():
            bad = int((~np.isfinite(found)).any(axis=1).argmax())
            raise DataError(f"{keyed('path', self)}={self.path} is not finite in row {rows[bad]}.")
        return _finite(torch.from_numpy(found), self.normalize)

    def _file(self) -> Any:
        """The file's array, of which nothing but its form has been read."""
        values = read_array(self.path, keyed("path", self), mapped=True)
        if values.ndim != 2 or values.dtype.kind != "f" or values.shape[1] == 0:
            raise DataError(
                f"{keyed('path', self)}={self.path} must hold floating point numbers of shape "
                f"(n_train, D), got {values.dtype} of shape {values.shape}."
            )
        return values


class Located(NamedTuple):
    """A pool in random order, so that the first of equals is a fair choice.

    Args:
        order: (N,) int64 on the CPU: the point now at i was at position ``order[i]``.
        pool: The N points in that order.
        labeled: The M labeled points.
    """

    order: Tensor
    pool: Points
    labeled: Points


def located(space: Space, view: PoolView, batch_size: int, generator: torch.Generator) -> Located:
    """The view's points in ``space``, the pool in a random order.

    Raises:
        AlBenchError: The pool does not fit into memory.
        ValueError: The pool has no ``batch_size`` points, or a feature is not finite.
    """
    order = random_order(view, batch_size, generator)
    pool, labeled = centered(in_order(space, view, order), space.labeled(view))
    return Located(order, pool, labeled)


def random_order(view: PoolView, batch_size: int, generator: torch.Generator) -> Tensor:
    """(N,) int64 positions of a view, so that the first of equals is a fair choice.

    Raises:
        ValueError: The pool has no ``batch_size`` points.
    """
    require_batch_size(batch_size, len(view))
    return torch.randperm(len(view), generator=generator)


def in_order(space: Space, view: PoolView, order: Tensor) -> Tensor:
    """The view's points in ``space`` in an order, (N, D) float32, a tensor of the caller's own.

    The view is asked for parts of a large pool, so that its points are never there twice.

    Args:
        space: Where they are.
        view: N points.
        order: (N,) int64, the position of each.

    Raises:
        AlBenchError: They do not fit into memory.
        ValueError: One is not finite.
    """
    rows = (space.pool(part) for part in parts_of(view))
    what = f"Features of {len(view):,} points"
    values: Tensor = rows_of(rows, len(view), what, order.argsort())
    return values


def _finite(values: Tensor, normalize: bool) -> Tensor:
    values = values.float()
    wrong = (~values.isfinite()).any(dim=1)
    if wrong.any():
        raise ValueError(f"features of {int(wrong.sum())} of {len(values)} points are NaN or inf")
    if not normalize:
        return values
    return torch.nn.functional.normalize(values, dim=1)  # zeros stay zeros
