"""Small pools as strategies see them, made of given log-probabilities.

N pool points, M labeled points, T target inputs, K posterior samples, C classes, D features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from al_bench.errors import ConfigError
from al_bench.models.base import GRADIENTS, GradientFactors, Network
from al_bench.models.capabilities import CAPABILITIES, asked_of_view
from al_bench.seeding import isolated
from al_bench.strategies.base import ScoreFn


class LinearNetwork(Network):
    """A linear classifier behind a nonlinear layer; the same weights whenever it is made."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        with isolated(seeded(5)):
            self.hidden = torch.nn.Linear(num_features, 4)
            self.output = torch.nn.Linear(4, num_classes)

    def prefix(self, inputs: Tensor) -> Tensor:
        """The hidden layer, (n, 4)."""
        return torch.tanh(self.hidden(inputs))

    def body(self, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """The hidden layer as it is."""
        return hidden


@dataclass
class FakeView:
    """A pool view without a model: positions are their own indices.

    Args:
        given: (N, K, C) log-probabilities, float32.
        embedding: (N, D) features, which are also the inputs; random if not given.
        num_labeled: M.
        round: The round.
        seed: The trial's.
        state: What the strategy left in the round before.
        history: Earlier rounds.
        order: (N,) pool index of every position; 0 … N-1 if not given.
        num_indices: Pool indices that unlabeled points have, N if not given.
    """

    given: Tensor
    embedding: Tensor = None  # type: ignore[assignment]
    num_labeled: int = 4
    round: int = 0
    seed: int = 0
    state: Mapping[str, Any] | None = None
    history: Sequence[Mapping[str, Any]] = field(default_factory=list)
    order: Tensor = None  # type: ignore[assignment]
    num_indices: int = 0

    def __post_init__(self) -> None:
        self.num_samples, self.num_classes = self.given.shape[1:]
        if self.embedding is None:
            self.embedding = torch.randn(len(self.given), 5, generator=seeded(0))
        if self.order is None:
            self.order = torch.arange(len(self.given))
        self.num_indices = self.num_indices or len(self.given)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The method of a capability, as in a real view, by the example of its line."""
        entry = asked_of_view(name)
        if entry is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        capability, which = entry
        points: Callable[..., tuple[Tensor, Tensor]] = getattr(self, f"_{which}_points")
        return lambda *args: _example(capability, points(*args))

    def __len__(self) -> int:
        return len(self.given)

    @property
    def indices(self) -> Tensor:
        """(N,) int64 pool indices."""
        return self.order

    @property
    def labeled_indices(self) -> Tensor:
        """(M,) int64, those after the pool's."""
        return torch.arange(self.num_indices, self.num_indices + self.num_labeled)

    @property
    def origins(self) -> tuple[str, ...]:
        """One data set."""
        return ("fake",)

    def holds(self, indices: Tensor, source_indices: Tensor, origins: Sequence[str] | None) -> bool:
        """Whether the two are equal."""
        return torch.equal(indices, source_indices)

    @property
    def source_indices(self) -> Tensor:
        """The pool indices: no point is a copy."""
        return self.order

    @property
    def labeled_source_indices(self) -> Tensor:
        """(M,) int64, the same of the labeled set."""
        return self.labeled_indices

    def log_probs(self, num_samples: int | None = None) -> Tensor:
        """(N, K, C) as given."""
        if num_samples is not None and num_samples > self.num_samples:
            raise ConfigError(f"{num_samples} samples asked of {self.num_samples}")
        return self.given[:, :num_samples]

    def score(self, functions: Sequence[ScoreFn], num_samples: int | None = None) -> list[Tensor]:
        """Each score of the pool, (N,) float64."""
        return [function(self.log_probs(num_samples)).double() for function in functions]

    def labeled_log_probs(self, num_samples: int | None = None) -> Tensor:
        """(M, K, C) random predictions."""
        given = log_probs(self.num_labeled, max(64, self.num_samples), self.num_classes, seed=11)
        return given[:, : num_samples or self.num_samples]

    def features(self) -> Tensor:
        """(N, D) the embedding."""
        return self.embedding

    def labeled_features(self) -> Tensor:
        """(M, D) random ones."""
        return torch.randn(self.num_labeled, self.embedding.shape[1], generator=seeded(1))

    def labels(self) -> Tensor:
        """(M,) every class in turn."""
        return torch.arange(self.num_labeled) % self.num_classes

    def inputs(self, positions: Tensor) -> Tensor:
        """(n, D) the embedding at ``positions``."""
        return self.embedding[positions]

    def labeled_inputs(self) -> Tensor:
        """(M, D) the labeled features."""
        return self.labeled_features()

    def gradient_factors(self) -> GradientFactors:
        """The average prediction and the embedding."""
        factors: GradientFactors = _example(GRADIENTS, self._pool_points())
        return factors

    def labeled_gradient_factors(self) -> GradientFactors:
        """Random predictions and the labeled features."""
        factors: GradientFactors = _example(GRADIENTS, self._labeled_points())
        return factors

    def target_log_probs(self, num_targets: int, num_samples: int | None = None) -> Tensor:
        """(T, K, C) random predictions."""
        predictions = log_probs(num_targets, max(64, self.num_samples), self.num_classes, seed=12)
        return predictions[:, : num_samples or self.num_samples]  # K = 3 is a prefix of K = 5

    def target_gradient_factors(self, num_targets: int) -> GradientFactors:
        """Their average, and random features."""
        factors: GradientFactors = _example(GRADIENTS, self._target_points(num_targets))
        return factors

    def network(self) -> Network:
        """A network that takes the embedding."""
        return LinearNetwork(self.embedding.shape[1], self.num_classes).eval()

    def pool_labels(self) -> Tensor:
        """(N,) the first sample's most probable classes, whatever the number of samples."""
        return self.given[:, 0].argmax(dim=1)

    def look_ahead(self, positions: Tensor, reference: Tensor) -> float:
        """Some number below 0 that the points at ``positions`` decide."""
        return -float(self.embedding[positions].sum().exp())

    def restricted(self, positions: Tensor, state: Mapping[str, Any] | None = None) -> "FakeView":
        """The points at ``positions`` alone."""
        return replace(
            self,
            given=self.given[positions],
            embedding=self.embedding[positions],
            order=self.order[positions],
            state=state,
        )

    def _pool_points(self) -> tuple[Tensor, Tensor]:
        return self.given, self.embedding

    def _labeled_points(self) -> tuple[Tensor, Tensor]:
        predictions = log_probs(self.num_labeled, 1, self.num_classes, seed=11)
        return predictions, self.labeled_features()

    def _target_points(self, count: int) -> tuple[Tensor, Tensor]:
        features = torch.randn(count, self.embedding.shape[1], generator=seeded(13))
        return self.target_log_probs(count), features

    def permuted(self, order: Tensor) -> "FakeView":
        """The same pool in another order: position i holds what was at ``order[i]``."""
        return self.restricted(order, self.state)


def _example(capability: str, points: tuple[Tensor, Tensor]) -> Any:
    """What the table says that is given for points of these log-probabilities and features."""
    example = CAPABILITIES[capability].example
    assert example is not None  # else a view has a method of its own
    return example(*points)


def log_probs(
    num_points: int, num_samples: int, num_classes: int, seed: int = 0, scale: float = 1.5
) -> Tensor:
    """Log-probabilities of random, differing posterior samples (N, K, C), float32."""
    logits = scale * torch.randn(num_points, num_samples, num_classes, generator=seeded(seed))
    return logits.log_softmax(dim=-1)


def one_hot(num_points: int, num_samples: int, num_classes: int) -> Tensor:
    """Log-probabilities of certain posterior samples, agreed on some points, not on others."""
    classes = torch.randint(num_classes, (num_points, num_samples), generator=seeded(3))
    classes[::3] = 1
    return torch.nn.functional.one_hot(classes, num_classes).float().log()


def seeded(seed: int) -> torch.Generator:
    """A generator at ``seed``."""
    return torch.Generator().manual_seed(seed)
