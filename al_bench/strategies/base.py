"""What a strategy sees and what it answers.

N pool points, M labeled points, T target inputs, K posterior samples, C classes, D features, B the
batch size. A *position* is a place in the view, 0 … N-1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from al_bench.errors import require_whole
from al_bench.models.base import GradientFactors, Network

LABELS = "labels"  # the pool's labels before they are bought: the privilege of controls
REFUSED = -1  # among those labels: the annotator declines, so the point has no class

Notes = dict[str, float | int | str | bool]  # of a selection, by short name
ScoreFn = Callable[[Tensor], Tensor]  # (n, K, C) log-probabilities to (n,) scores, higher is wanted


@dataclass(frozen=True)
class Selection:
    """The points a strategy wants labeled.

    Args:
        positions: (B,) int64, distinct, best first.
        scores: (B,) float64, what each point was worth when it was picked: finite, or NaN where the
            strategy has no score.
        notes: Things worth storing with the round, by short name: ``saturated_at`` (rank of the
            first pick whose gain is lost in saturation), ``monte_carlo_error`` (nats), ``jitter``,
            ``fell_back``.
        state: What the strategy wants back in the next round (``view.state``), JSON-compatible.
    """

    positions: Tensor
    scores: Tensor
    notes: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    state: Mapping[str, Any] | None = None


def require_batch_size(batch_size: int, num_points: int) -> None:
    """Raise ValueError unless so many of the points can be picked."""
    if not 1 <= batch_size <= num_points:
        raise ValueError(f"cannot pick {batch_size} of {num_points} points")


class PoolView(Protocol):
    """What a strategy may look at; each quantity is computed on demand and at most once."""

    num_classes: int
    num_samples: int  # K of the model
    seed: int  # of the trial, to find what is stored of it; draws come from the generator alone
    round: int
    state: Mapping[str, Any] | None  # the strategy's own, from the round before
    history: Sequence[Mapping[str, Any]]  # earlier rounds, oldest first: labels, validation, notes

    def __len__(self) -> int: ...

    @property
    def indices(self) -> Tensor:
        """(N,) int64, the pool index of every position."""

    @property
    def labeled_indices(self) -> Tensor:
        """(M,) int64, that of the labeled set, in the order in which it was labeled."""

    @property
    def origins(self) -> tuple[str, ...]:
        """Names of the data sets that the pool is made of, not of which its points are."""

    def holds(self, indices: Tensor, source_indices: Tensor, origins: Sequence[str] | None) -> bool:
        """Whether the pool's points at ``indices``, bought ones included, are those, all of them.

        Args:
            indices: (n,) int64, pool indices; one outside the pool is no point.
            source_indices: (n,) int64, the index in its data set that each should have.
            origins: The name of that data set of each; ``None`` asks for the indices alone.
        """

    @property
    def source_indices(self) -> Tensor:
        """(N,) int64, the index in the data set of every position; copies of a point share it.

        Raises ConfigError when the pool is made of several data sets.
        """

    @property
    def labeled_source_indices(self) -> Tensor:
        """(M,) int64, the same of the labeled set, in the order in which it was labeled."""

    def log_probs(self, num_samples: int | None = None) -> Tensor:
        """(N, K, C) float32 log-probabilities of the first ``num_samples`` samples (all if None).

        Raises ConfigError when the model has fewer.
        """

    def score(self, functions: Sequence[ScoreFn], num_samples: int | None = None) -> list[Tensor]:
        """Each pointwise score of the pool, (N,) float64, streamed: (N, K, C) is never held."""

    def labeled_log_probs(self, num_samples: int | None = None) -> Tensor:
        """(M, K, C) log-probabilities of the labeled set, in the order in which it was labeled."""

    def features(self) -> Tensor:
        """(N, D) float32 features of the pool."""

    def labeled_features(self) -> Tensor:
        """(M, D) float32 features of the labeled set, in the order in which it was labeled."""

    def labels(self) -> Tensor:
        """(M,) int64 labels of the labeled set, in the same order."""

    def inputs(self, positions: Tensor) -> Tensor:
        """(n, *input_shape) float32 inputs of the pool at ``positions``."""

    def labeled_inputs(self) -> Tensor:
        """(M, *input_shape) float32 inputs of the labeled set, in the order it was labeled in."""

    def gradient_factors(self) -> GradientFactors:
        """Factors of the last-layer gradients of the pool: (N, C) and (N, D), float32."""

    def labeled_gradient_factors(self) -> GradientFactors:
        """The same of the labeled set, (M, C) and (M, D), in the order it was labeled in."""

    def logits(self) -> Tensor:
        """(N, C) float32 logits of the pool, of the network with no unit dropped."""

    def log_density(self) -> Tensor:
        """(N,) float64, the log density of the pool's features, nats."""

    def target_log_probs(self, num_targets: int, num_samples: int | None = None) -> Tensor:
        """(T, K, C) log-probabilities of T target inputs under the same posterior samples.

        The inputs are drawn once a round from the run's target distribution (the pool, unless
        ``target=`` says otherwise); a smaller T gives the first of a larger one's. T is
        ``num_targets``, or all that there are where those are fewer.
        """

    def target_gradient_factors(self, num_targets: int) -> GradientFactors:
        """Factors of the last-layer gradients of the same T target inputs: (T, C) and (T, D)."""

    def network(self) -> Network:
        """A float32 copy of the network in evaluation mode, the strategy's own."""

    def pool_labels(self) -> Tensor:
        """(N,) int64, what the annotator would answer: a class, or REFUSED.

        Only for a strategy whose ``needs`` names LABELS.
        """

    def look_ahead(self, positions: Tensor, reference: Tensor) -> float:
        """How well a model predicts once ``positions`` are labeled too.

        Only for a strategy whose ``needs`` names LABELS.

        Args:
            positions: (b,) points to add to the labeled set, with their true answers; refused ones
                teach nothing.
            reference: (r,) points to predict; refused ones are left out.

        Returns:
            Mean log-likelihood of the labels of ``reference``, nats, at most 0; 0 without any.
        """

    def restricted(self, positions: Tensor, state: Mapping[str, Any] | None = None) -> "PoolView":
        """A view of the points at ``positions`` alone: its position i is ``positions[i]`` here.

        Args:
            positions: (n,) distinct positions.
            state: What that view gives as its ``state``.
        """


@runtime_checkable
class PoolScore(Protocol):
    """A pointwise score that needs more than the log-probabilities of the point itself.

    A frozen dataclass; a batch rule makes a batch of it as of any score.
    """

    @property
    def needs(self) -> frozenset[str]:
        """What the model must provide."""

    def of_pool(self, view: PoolView, num_samples: int | None) -> Tensor:
        """(N,) float64 scores, higher is wanted more."""


class Strategy(Protocol):
    """What a file under ``conf/strategy`` builds: a frozen dataclass.

    Attributes:
        needs: What the model must provide (``al_bench.models.base``); LABELS beside it declares a
            control that sees labels before they are bought.
    """

    @property
    def needs(self) -> frozenset[str]:
        """What the model must provide, and LABELS."""

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Choose ``batch_size`` distinct positions of ``view``, best first.

        The generator is the only source of randomness. Ties are broken fairly by it.
        """


def check_num_samples(num_samples: int | None) -> None:
    """Refuse a ``strategy.num_samples`` that is neither null nor a whole number from 1.

    Raises:
        ConfigError: Saying so. Whether the model has as many is for the view to check.
    """
    if num_samples is not None:
        require_whole("num_samples", num_samples, 1)
