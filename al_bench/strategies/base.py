"""What a strategy sees and what it answers.

N pool points, K posterior samples, C classes, D features, B batch size. A *position* is a place in
the view, 0 … N-1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from al_bench.errors import require_whole

ScoreFn = Callable[[Tensor], Tensor]  # (n, K, C) log-probabilities to (n,) scores, higher is wanted


@dataclass(frozen=True)
class Selection:
    """The points a strategy wants labeled.

    Args:
        positions: (B,) int64, distinct, best first.
        scores: (B,) float64, what each point was worth when it was picked; NaN where the strategy
            has no score.
        notes: Things worth storing with the round, by short name: ``saturated_at`` (rank of the
            first pick whose gain is lost in saturation), ``monte_carlo_error`` (nats), ``jitter``,
            ``fell_back``.
        state: What the strategy wants back in the next round (``view.state``), JSON-compatible.
    """

    positions: Tensor
    scores: Tensor
    notes: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    state: Mapping[str, Any] | None = None


class PoolView(Protocol):
    """What a strategy may look at; each quantity is computed on demand and at most once."""

    num_classes: int
    num_samples: int  # K of the model
    round: int
    state: Mapping[str, Any] | None  # the strategy's own, from the round before
    history: Sequence[Mapping[str, Any]]  # earlier rounds, oldest first: labels, validation, notes

    def __len__(self) -> int: ...

    @property
    def indices(self) -> Tensor:
        """(N,) int64, the pool index of every position."""

    def log_probs(self, num_samples: int | None = None) -> Tensor:
        """(N, K, C) float32 log-probabilities of the first ``num_samples`` samples (all if None).

        Raises ConfigError when the model has fewer.
        """

    def score(self, functions: Sequence[ScoreFn], num_samples: int | None = None) -> list[Tensor]:
        """Each pointwise score of the pool, (N,) float64, streamed: (N, K, C) is never held."""

    def features(self) -> Tensor:
        """(N, D) float32 features of the pool."""

    def labeled_features(self) -> Tensor:
        """(M, D) float32 features of the labeled set, in the order in which it was labeled."""

    def labels(self) -> Tensor:
        """(M,) int64 labels of the labeled set, in the same order."""

    def inputs(self, positions: Tensor) -> Tensor:
        """(n, *input_shape) float32 inputs of the pool at ``positions``."""


class Strategy(Protocol):
    """What a file under ``conf/strategy`` builds: a frozen dataclass.

    Attributes:
        needs: What the model must provide (``al_bench.models.base``).
    """

    @property
    def needs(self) -> frozenset[str]:
        """What the model must provide."""

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
        require_whole("strategy.num_samples", num_samples, 1)
