"""Optimizers of many networks at once: each network's weights change as torch.optim changes them.

S networks, P weights of a network. What depends on a network's step (its learning rate, what Adam
corrects for) is known before the step, so it comes as numbers of it: R rates.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.training.optimization import Optimization

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class StackedOptimizer(ABC):
    """Changes weights (S, P) of networks side by side.

    Args:
        how: Weight decay, momentum and clipping of gradients.
        moments: Of no gradient yet.

    Attributes:
        num_rates: R.
        moments: (S, P) each: what is remembered of gradients, changed in place.
    """

    num_rates: ClassVar[int]

    def __init__(self, how: Optimization, moments: Sequence[Tensor]) -> None:
        self._how = how
        self.moments = moments

    @abstractmethod
    def rates(self, step: int, learning_rate: float) -> list[float]:
        """The R numbers of a network's step, counted from 1; all 0 change nothing."""

    def forget(self, slot: int) -> None:
        """Be as before the first step for the network in this row."""
        for moment in self.moments:
            moment[slot] = 0.0

    @torch.no_grad()
    def step(self, weights: Tensor, gradient: Tensor, rates: Tensor) -> None:
        """Change ``weights`` in place.

        Args:
            weights: (S, P).
            gradient: (S, P); may be changed.
            rates: (R, S).
        """
        if self._how.clip_norm is not None:
            norms = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
            gradient.mul_((self._how.clip_norm / (norms + 1e-6)).clamp_max(1.0))
        self._change(weights, gradient, rates.unsqueeze(2))

    @abstractmethod
    def _change(self, weights: Tensor, gradient: Tensor, rates: Tensor) -> None:
        """As ``step``, with clipped gradients and rates (R, S, 1)."""


class StackedSGD(StackedOptimizer):
    """Stochastic gradient descent with momentum, as ``torch.optim.SGD``."""

    num_rates = 1

    def __init__(self, how: Optimization, weights: Tensor) -> None:
        self._velocity = torch.zeros_like(weights) if how.momentum else None
        super().__init__(how, [] if self._velocity is None else [self._velocity])

    def rates(self, step: int, learning_rate: float) -> list[float]:
        """The learning rate."""
        return [learning_rate]

    def _change(self, weights: Tensor, gradient: Tensor, rates: Tensor) -> None:
        how = self._how
        if how.weight_decay:
            gradient.add_(weights, alpha=how.weight_decay)
        if self._velocity is not None:
            self._velocity.mul_(how.momentum).add_(gradient)
            ahead = how.nesterov
            gradient = (
                gradient.add_(self._velocity, alpha=how.momentum) if ahead else self._velocity
            )
        weights.sub_(gradient * rates[0])


class StackedAdam(StackedOptimizer):
    """Adam and AdamW, as ``torch.optim.Adam`` and ``AdamW`` with their default β and ε."""

    num_rates = 3

    def __init__(self, how: Optimization, weights: Tensor) -> None:
        self._mean, self._square = torch.zeros_like(weights), torch.zeros_like(weights)
        super().__init__(how, [self._mean, self._square])
        self._is_decoupled = how.optimizer == "adamw"

    def rates(self, step: int, learning_rate: float) -> list[float]:
        """Size of the step, what the root of squares is multiplied by, and share that decays."""
        first, second = BETAS
        size = learning_rate / (1.0 - first**step)
        decay = learning_rate * self._how.weight_decay if self._is_decoupled else 0.0
        return [size, 1.0 / math.sqrt(1.0 - second**step), decay]

    def _change(self, weights: Tensor, gradient: Tensor, rates: Tensor) -> None:
        size, correction, decay = rates
        first, second = BETAS
        if self._how.weight_decay and self._is_decoupled:
            weights.mul_(1.0 - decay)
        elif self._how.weight_decay:
            gradient.add_(weights, alpha=self._how.weight_decay)
        self._mean.lerp_(gradient, 1.0 - first)
        self._square.mul_(second).addcmul_(gradient, gradient, value=1.0 - second)
        roots = self._square.sqrt().mul_(correction).add_(EPSILON)
        weights.sub_(roots.reciprocal_().mul_(self._mean).mul_(size))


def stacked_optimizer(how: Optimization, weights: Tensor) -> StackedOptimizer:
    """A fresh optimizer of networks whose weights are the rows of ``weights`` (S, P)."""
    kind = StackedSGD if how.optimizer == "sgd" else StackedAdam
    return kind(how, weights)
