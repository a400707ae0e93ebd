"""What a selection sees and what it answers.

n candidates (``n_B`` in the papers), B of them chosen for a step (``n_b``), N training points, T
target inputs, K posterior samples, C classes, D features. A *position* is a place among the
candidates, 0 … n-1; an *index* is that of a point in the pool. Losses are in nats.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from al_bench.models.base import GradientFactors
from al_bench.training.recipe import Recipe

# What a selection may need of a run, beside ``al_bench.models.base``'s of the model.
IRREDUCIBLE = "irreducible"  # losses under a model that was trained on other points
TARGETS = "targets"  # inputs whose predictions matter


@dataclass(frozen=True)
class Chosen:
    """The points that a selection wants the next step to be taken on.

    Args:
        positions: (B,) int64, best first: distinct, unless the selection says that it draws
            ``with_replacement``.
        weights: (B,) finite, at least 0, by which the step multiplies the losses of these points:
            it minimises (1 / B) Σ w ℓ. ``None`` is 1 each.
        notes: Things worth storing, by short name: ``fell_back``.
    """

    positions: Tensor
    weights: Tensor | None = None
    notes: Mapping[str, float | int | str | bool] = field(default_factory=dict)


class CandidateView(Protocol):
    """What a selection may look at: the candidates of one step and nothing of test or holdout.

    Each quantity is computed on demand and at most once, with the weights that the target network
    has before the step. ``labels`` and ``indices`` are on the CPU; the others are where the network
    is.
    """

    num_classes: int  # C
    num_samples: int  # K of the model
    step: int  # optimizer steps taken before this one, from 0

    def __len__(self) -> int: ...

    @property
    def labels(self) -> Tensor:
        """(n,) int64, the labels of the candidates as they are trained on, right or wrong."""

    @property
    def indices(self) -> Tensor:
        """(n,) int64, the pool index of every position."""

    def losses(self) -> Tensor:
        """(n,) float64, -log p(y | x) of every label, from 0, in one pass of the network."""

    def log_probs(self, num_samples: int | None = None) -> Tensor:
        """(n, K, C) float32 log-probabilities of the first ``num_samples`` samples (all if None).

        Raises ConfigError when the model has fewer.
        """

    def gradient_factors(self) -> GradientFactors:
        """Factors of the last-layer gradients, (n, C) and (n, D), of the pass of ``losses``."""

    def irreducible_losses(self) -> Tensor:
        """(n,) float64, -log p(y | x) under a model that was trained on other points, from 0.

        Only for a selection whose ``needs`` names IRREDUCIBLE.
        """

    def target_log_probs(self, num_targets: int, num_samples: int | None = None) -> Tensor:
        """(T, K, C) log-probabilities of T target inputs under the same posterior samples.

        They are drawn from the run's target distribution, by default from the training points. T is
        ``num_targets``, or all that there are where those are fewer. Only for a selection whose
        ``needs`` names TARGETS.
        """


@runtime_checkable
class Selection(Protocol):
    """What a file under ``conf/selection`` builds: a frozen dataclass, or a ``CoreSet``.

    Attributes:
        needs: Names of what the run must provide: SAMPLES, GRADIENTS, IRREDUCIBLE, TARGETS. A
            selection that draws the same point more than once says so with a true attribute
            ``with_replacement``.
    """

    @property
    def needs(self) -> frozenset[str]:
        """What the run must provide."""

    def choose(self, view: CandidateView, batch_size: int, generator: torch.Generator) -> Chosen:
        """Choose ``batch_size`` positions of ``view``.

        The generator is the only source of randomness. Ties are broken fairly by it, and what is
        chosen is a function of the candidates, not of their places.

        Raises:
            ValueError: The batch size is not between 1 and n, or what is scored is NaN.
        """


class Proxy(Protocol):
    """A network that was trained on the training points to tell which of them to keep."""

    def log_probs(self) -> Tensor:
        """(N, C) float32 log-probabilities of all training points, no unit dropped."""

    def gradient_norms(self) -> Tensor:
        """(N,) float64 norms of the gradient of each point's loss in all parameters."""


class TrainingSet(Protocol):
    """The training points of a trial, as a core-set sees them before the first step.

    Attributes:
        generator: The only source of randomness of what is kept: it breaks ties.
    """

    num_classes: int  # C
    generator: torch.Generator

    @property
    def labels(self) -> Tensor:
        """(N,) int64, as they are trained on, right or wrong."""

    @property
    def indices(self) -> Tensor:
        """(N,) int64, their pool indices."""

    def proxy(
        self,
        number: int,
        recipe: Recipe | None,
        after_epoch: Callable[[Proxy], None] | None = None,
    ) -> Proxy:
        """A network like the target, from weights and an order of its own.

        Args:
            number: Which one, from 0; each starts from other weights.
            recipe: How it is trained on all training points; ``None`` leaves it untrained.
            after_epoch: Called with the proxy, as it then is, after every epoch.
        """


@runtime_checkable
class CoreSet(Protocol):
    """A selection that decides once: steps take their points from a fixed part of the training set.

    What a file under ``conf/selection`` builds too: a frozen dataclass with ``keep`` in place of
    ``choose``. Steps draw B points from an order of what is kept, without scoring any. One that
    knows beforehand how many of N points it keeps may say so by a method ``num_kept(N)``: fewer
    than B are then refused before any network is trained.
    """

    @property
    def needs(self) -> frozenset[str]:
        """What the run must provide."""

    def keep(self, training: TrainingSet) -> Tensor:
        """(M,) int64, distinct pool indices of the points to keep, best first."""
