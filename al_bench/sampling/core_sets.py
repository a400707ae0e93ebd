"""Core-sets: which training points are worth keeping at all, as proxy networks tell beforehand.

N training points, C classes. A share of the points is kept once, those of the highest scores; ties
are fair. Scores are of labels as they are trained on, right or wrong.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.errors import ConfigError, keyed, require_number, require_whole
from al_bench.information.entropies import entropy
from al_bench.sampling.base import Proxy, TrainingSet
from al_bench.strategies.last_layer import label_errors
from al_bench.strategies.rules import top
from al_bench.training.recipe import Recipe


@dataclass(frozen=True)
class ProxyScored:
    """Base: the points of the highest average score over proxies that start from other weights.

    Args:
        training: Makes the recipe of a proxy when it is told ``max_epochs``.
        share: Of the training points that are kept, above 0 and at most 1; at least one is.
        epochs: For which a proxy is trained, ``max_epochs`` of its recipe; 0 leaves it untrained.
        num_proxies: Over which the scores are averaged.
    """

    training: Callable[..., Recipe]
    share: float = 0.1
    epochs: int = 10
    num_proxies: int = 10
    least_epochs: ClassVar[int] = 0
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        require_number("share", self.share, above=0, most=1)
        require_whole("epochs", self.epochs, self.least_epochs)
        require_whole("num_proxies", self.num_proxies, 1)
        if not callable(self.training):
            raise ConfigError(
                f"{keyed('training')} must make a recipe when it is called, got {self.training!r}.",
                "Write _partial_: true beside its _target_.",
            )
        said = getattr(self.training, "keywords", {}).get("max_epochs")
        if said is not None:
            raise ConfigError(
                f"{keyed('training.max_epochs')} is {said}, and {keyed('epochs')} says how long a "
                "proxy is trained.",
                f"Set {keyed('epochs')}={said} alone.",
            )
        self.recipe()  # checks its parameters

    def recipe(self) -> Recipe | None:
        """How a proxy is trained; ``None`` for an untrained one."""
        made = self.training(max_epochs=max(1, self.epochs))
        return made if self.epochs else None

    def keep(self, training: TrainingSet) -> Tensor:
        """(M,) int64 pool indices of the points to keep, highest average score first.

        Raises:
            ValueError: A score is NaN.
        """
        total = torch.zeros(len(training.labels), dtype=torch.float64)
        for number in range(self.num_proxies):
            total += self.scores(training, number).double().cpu()
        count = self.num_kept(len(total))
        return training.indices[top(total / self.num_proxies, count, training.generator)]

    def num_kept(self, num_training: int) -> int:
        """M, how many of N training points are kept."""
        return max(1, math.floor(self.share * num_training + 0.5))

    def num_passes(self, num_training: int) -> int:
        """Forward passes of proxies over N training points: to train them, and to score by them."""
        return self.num_proxies * (self.epochs + 1) * num_training

    def scores(self, training: TrainingSet, number: int) -> Tensor:
        """(N,) scores of the training points by one proxy, higher is kept first."""
        raise NotImplementedError


@dataclass(frozen=True)
class SVP(ProxyScored):
    """Selection via proxy: H[Y | x] of a proxy, in nats; Coleman et al. (2020), arXiv:1906.11829.

    Keeps the points that a network trained on all of them is least certain of.
    """

    epochs: int = 25
    num_proxies: int = 1

    def scores(self, training: TrainingSet, number: int) -> Tensor:
        """(N,) entropies, between 0 and log C."""
        return entropy(training.proxy(number, self.recipe()).log_probs())


@dataclass(frozen=True)
class Forgetting(ProxyScored):
    """How often a point is forgotten; Toneva et al. (2019), arXiv:1812.05159.

    A point is forgotten when the proxy predicts it right after one epoch and wrong after the next,
    no unit dropped and no input changed; before the first epoch nothing is right. Points that are
    never right come first. The paper looks whenever a point is in a batch.
    """

    epochs: int = 25
    num_proxies: int = 1
    least_epochs: ClassVar[int] = 1

    def num_passes(self, num_training: int) -> int:
        """Forward passes: each epoch trains on all points, and looks at them."""
        return self.num_proxies * 2 * self.epochs * num_training

    def scores(self, training: TrainingSet, number: int) -> Tensor:
        """(N,) counts, from 0; ``epochs`` for a point that is never right."""
        labels = training.labels
        right = torch.zeros(len(labels), dtype=torch.bool)
        learnt, forgotten = right.clone(), torch.zeros(len(labels), dtype=torch.float64)

        def look(proxy: Proxy) -> None:
            nonlocal right
            now = proxy.log_probs().argmax(dim=1).cpu() == labels
            forgotten.add_(right & ~now)
            learnt.logical_or_(now)
            right = now

        training.proxy(number, self.recipe(), look)
        return forgotten.where(learnt, float(self.epochs))  # no point is forgotten so often


@dataclass(frozen=True)
class EL2N(ProxyScored):
    """Error norm: ‖p - e_y‖, averaged over proxies; Paul et al. (2021), arXiv:2107.07075."""

    def scores(self, training: TrainingSet, number: int) -> Tensor:
        """(N,) norms, between 0 and √2."""
        log_probs = training.proxy(number, self.recipe()).log_probs()
        return label_errors(log_probs, training.labels.to(log_probs.device)).norm(dim=1)


@dataclass(frozen=True)
class GraNd(ProxyScored):
    """Gradient norm ‖∇ -log p(y | x)‖ over proxies; Paul et al. (2021), arXiv:2107.07075.

    The gradient is in all parameters. With 0 epochs this is GraNd at initialisation, which the
    paper proposes and which later work does not reproduce: what it ranks by is mostly the size of
    the inputs.
    """

    def scores(self, training: TrainingSet, number: int) -> Tensor:
        """(N,) norms, from 0."""
        return training.proxy(number, self.recipe()).gradient_norms()
