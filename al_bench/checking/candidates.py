"""Candidates of a step and training points as selections see them, made of given numbers.

n candidates, N training points, T target inputs, K posterior samples, C classes, D features.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from al_bench.checking.pools import POOLS
from al_bench.checking.views import FakeView, log_probs
from al_bench.errors import AlBenchError
from al_bench.models.base import GradientFactors
from al_bench.sampling.base import IRREDUCIBLE, TARGETS, Proxy
from al_bench.strategies.last_layer import label_errors
from al_bench.training.recipe import Recipe

MOST_LOSS = 50.0  # nats


@dataclass
class FakeCandidates:
    """A candidate view without a network.

    Args:
        pool: Log-probabilities, features and indices of the candidates; the first posterior sample
            is also the pass that losses and gradients come from.
        labels: (n,) int64.
        provides: What may be looked at of IRREDUCIBLE and TARGETS.
        step: Steps before this one.
    """

    pool: FakeView
    labels: Tensor
    provides: frozenset[str] = frozenset({IRREDUCIBLE, TARGETS})
    step: int = 0

    @classmethod
    def of(
        cls, pool: FakeView, provides: frozenset[str] = frozenset({IRREDUCIBLE, TARGETS})
    ) -> "FakeCandidates":
        """The points of a pool, labeled right or wrong as their features say."""
        first = pool.given[:, 0]
        wrong = pool.embedding[:, 0] > 0.5
        return cls(pool, torch.where(wrong, first.argmin(dim=1), first.argmax(dim=1)), provides)

    def __post_init__(self) -> None:
        self.num_classes, self.num_samples = self.pool.num_classes, self.pool.num_samples

    def __len__(self) -> int:
        return len(self.pool)

    @property
    def indices(self) -> Tensor:
        """(n,) int64 pool indices."""
        return self.pool.indices

    def losses(self) -> Tensor:
        """(n,) float64, those of the labels under the first sample."""
        first = self.pool.given[:, 0].double()
        return -first.gather(1, self.labels[:, None]).squeeze(1)

    def log_probs(self, num_samples: int | None = None) -> Tensor:
        """(n, K, C) as given."""
        return self.pool.log_probs(num_samples)

    def gradient_factors(self) -> GradientFactors:
        """The first sample and the features."""
        return GradientFactors(self.pool.given[:, 0], self.pool.features())

    def irreducible_losses(self) -> Tensor:
        """(n,) float64, from 0, as the features say."""
        self._require(IRREDUCIBLE)
        return self.pool.embedding[:, 1].double().abs()

    def target_log_probs(self, num_targets: int, num_samples: int | None = None) -> Tensor:
        """(T, K, C) random predictions."""
        self._require(TARGETS)
        return self.pool.target_log_probs(num_targets, num_samples)

    def permuted(self, order: Tensor) -> "FakeCandidates":
        """The same candidates in another order: position i holds what was at ``order[i]``."""
        return replace(self, pool=self.pool.permuted(order), labels=self.labels[order])

    def _require(self, need: str) -> None:
        if need not in self.provides:
            raise AlBenchError(f"it looks at what its needs do not contain, {need!r}")


@dataclass
class FakeProxy:
    """A proxy of given log-probabilities.

    Args:
        given: (N, C) float32.
        labels: (N,) int64.
    """

    given: Tensor
    labels: Tensor

    def log_probs(self) -> Tensor:
        """(N, C) as given."""
        return self.given

    def gradient_norms(self) -> Tensor:
        """(N,) float64 norms of their gradients in the logits."""
        return label_errors(self.given, self.labels).norm(dim=1)


class FakeTraining:
    """A training set whose proxies predict what is given, another sample after every epoch.

    Args:
        given: (N, K, C) log-probabilities: proxy i ends with sample i modulo K.
        labels: (N,) int64.
        indices: (N,) int64 pool indices.
        generator: Breaks ties.
    """

    def __init__(
        self, given: Tensor, labels: Tensor, indices: Tensor, generator: torch.Generator
    ) -> None:
        self.given, self.labels, self.indices = given, labels, indices
        self.generator = generator
        self.num_classes = given.shape[2]

    def proxy(
        self,
        number: int,
        recipe: Recipe | None,
        after_epoch: Callable[[Proxy], None] | None = None,
    ) -> FakeProxy:
        """The proxy that ends with sample ``number``."""
        epochs = recipe.max_epochs if recipe is not None else 0
        for epoch in range(number - epochs + 1, number + 1):
            if after_epoch is not None:
                after_epoch(self._at(epoch))
        return self._at(number)

    def permuted(self, order: Tensor, generator: torch.Generator) -> "FakeTraining":
        """The same points in another order, with their indices."""
        return FakeTraining(self.given[order], self.labels[order], self.indices[order], generator)

    def _at(self, number: int) -> FakeProxy:
        return FakeProxy(self.given[:, number % self.given.shape[1]], self.labels)


def _zero_and_fifty() -> FakeCandidates:
    """Labels that the first sample is certain of, right for some and wrong for others."""
    logits = torch.zeros(8, 4, 3)
    logits[:, :, 0] = MOST_LOSS
    labels = torch.tensor([0, 0, 1, 0, 2, 0, 1, 0])
    return FakeCandidates(FakeView(logits.log_softmax(dim=-1)), labels)


def _one_class() -> FakeCandidates:
    return FakeCandidates(FakeView(log_probs(9, 5, 3)), torch.ones(9, dtype=torch.int64))


def _equal_losses() -> FakeCandidates:
    given = log_probs(1, 5, 3).repeat(8, 1, 1)
    return FakeCandidates(FakeView(given), torch.zeros(8, dtype=torch.int64))


def candidates() -> dict[str, Callable[[], FakeCandidates]]:
    """What selections are checked on by name: ordinary candidates and every degenerate kind."""
    plain: dict[str, Callable[[], FakeCandidates]] = {
        name: (lambda make=make: FakeCandidates.of(make()))  # type: ignore[misc]
        for name, make in POOLS.items()
        if "labeled" not in name and "features" not in name
    }
    return {
        **plain,
        "equal losses": _equal_losses,
        "one class": _one_class,
        "losses of 0 and 50": _zero_and_fifty,
    }


def training_sets() -> dict[str, Callable[[torch.Generator], FakeTraining]]:
    """What core-sets are checked on by name."""

    def of(make: Callable[[], FakeCandidates]) -> Callable[[torch.Generator], FakeTraining]:
        def training(generator: torch.Generator) -> FakeTraining:
            view = make()
            indices = torch.arange(len(view)) * 3 + 1
            return FakeTraining(view.log_probs(), view.labels, indices, generator)

        return training

    return {name: of(make) for name, make in candidates().items()}


def nan_candidates() -> FakeCandidates:
    """Candidates whose predictions are NaN."""
    view = FakeCandidates.of(POOLS["ordinary"]())
    return replace(view, pool=replace(view.pool, given=torch.full_like(view.pool.given, torch.nan)))
