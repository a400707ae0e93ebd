"""Target inputs: the points whose predictions matter (EPIG and its relatives).

M target inputs, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from al_bench.data.base import Dataset, Inputs, Pool, TensorInputs
from al_bench.errors import ConfigError, DataError


@dataclass(frozen=True)
class Targets:
    """A population of target inputs.

    Args:
        inputs: M inputs.
        weights: (M,) float64, above 0: how likely each is to be drawn first.
        indices: (M,) int64, which of ``inputs``.
    """

    inputs: Inputs
    weights: Tensor
    indices: Tensor

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """(count,) indices into ``inputs``, distinct, in proportion to the weights.

        The first of a larger draw are those of a smaller one.

        Raises:
            ConfigError: There are fewer than ``count``.
        """
        if not 1 <= count <= len(self.indices):
            raise ConfigError(
                f"The strategy asks for {count} target inputs; there are {len(self.indices)}.",
                "Lower num_targets.",
            )
        times = torch.empty(len(self.weights), dtype=torch.float64)
        times.exponential_(generator=generator)
        return self.indices[(times / self.weights).argsort()[:count]]


class TargetDistribution(Protocol):
    """What a file under ``conf/target`` builds."""

    def of(self, dataset: Dataset, pool: Pool) -> Targets:
        """The targets of one trial; raises ConfigError or DataError when they don't fit."""


@dataclass(frozen=True)
class PoolTargets:
    """Every point of the pool, labeled or not, is as likely a target as any other."""

    def of(self, dataset: Dataset, pool: Pool) -> Targets:
        """All pool points with equal weights."""
        n = len(pool)
        return Targets(pool.inputs, torch.ones(n, dtype=torch.float64), torch.arange(n))


@dataclass(frozen=True)
class ClassTargets:
    """Pool points drawn by class: the task at hand has other class proportions than the pool.

    Bickford Smith et al. (2023), arXiv:2304.08151, whose pools are messier than their targets. The
    classes of target inputs are known here; the strategy sees the inputs only. Points of another
    data set are never targets.

    Args:
        proportions: One a class, at least 0, with a positive sum.
    """

    proportions: Sequence[float]

    def __post_init__(self) -> None:
        wrong = [p for p in self.proportions if not 0 <= p < float("inf")]
        if wrong or not sum(self.proportions) > 0:
            raise ConfigError(
                f"target.proportions must be numbers from 0, not all 0, got {self.proportions}.",
                "Give one a class, for example target.proportions=[1,1,0].",
            )

    def of(self, dataset: Dataset, pool: Pool) -> Targets:
        """The pool points of the wanted classes."""
        if len(self.proportions) != pool.num_classes:
            raise ConfigError(
                f"target.proportions has {len(self.proportions)} numbers for {pool.num_classes} "
                "classes.",
                "Give one a class.",
            )
        own = pool.origin == 0
        counts = torch.bincount(pool.true_labels[own], minlength=pool.num_classes)
        wanted = torch.tensor(self.proportions, dtype=torch.float64)
        absent = ((wanted > 0) & (counts == 0)).nonzero().flatten().tolist()
        if absent:
            raise ConfigError(f"target.proportions wants class {absent[0]}, which the pool lacks.")
        share = wanted / counts.clamp_min(1)
        # others have classes of their own
        weights = torch.where(own, share[pool.true_labels.where(own, 0)], 0.0)
        indices = (weights > 0).nonzero().squeeze(1)
        return Targets(pool.inputs, weights[indices], indices)


@dataclass(frozen=True)
class FileTargets:
    """Target inputs of one's own.

    Args:
        path: A ``.npy`` file (M, *input_shape): uint8 images, normalised as the data set's are, or
            floating point as the model takes them.
    """

    path: str

    def of(self, dataset: Dataset, pool: Pool) -> Targets:
        """The inputs of the file with equal weights."""
        try:
            values = np.load(Path(self.path), allow_pickle=False)
            if not isinstance(values, np.ndarray):
                raise ValueError("it holds several arrays")
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"target.path={self.path} cannot be read: {error}.",
                "Write it with numpy.save.",
            ) from error
        shape = pool.inputs.input_shape
        integer = values.dtype == np.uint8
        if values.shape[1:] != shape or len(values) == 0:
            raise DataError(
                f"target.path={self.path} has shape {values.shape}; the data set needs "
                f"(M, {', '.join(map(str, shape))})."
            )
        if not integer and not (values.dtype.kind == "f" and np.isfinite(values).all()):
            raise DataError(
                f"target.path={self.path} must hold uint8 or finite floating point numbers, got "
                f"{values.dtype}."
            )
        tensor = torch.from_numpy(values if integer else values.astype(np.float32))
        known = dataset.train.inputs
        if not integer:
            inputs = TensorInputs(tensor)
        elif isinstance(known, TensorInputs) and known.values.dtype == torch.uint8:
            inputs = replace(known, values=tensor, _resident={})
        else:
            raise DataError(
                f"target.path={self.path} holds uint8 images; the data set's inputs are not.",
                "Write floating point numbers as the model takes them.",
            )
        n = len(tensor)
        return Targets(inputs, torch.ones(n, dtype=torch.float64), torch.arange(n))
