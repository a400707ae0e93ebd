"""Small pools as strategies see them, made of given log-probabilities."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from al_bench.errors import ConfigError


@dataclass
class FakeView:
    """A pool view without a model: positions are their own indices.

    Args:
        given: (N, K, C) log-probabilities, float32.
        embedding: (N, D) features; random if not given.
    """

    given: Tensor
    embedding: Tensor | None = None
    round: int = 0
    state: dict | None = None
    history: list = field(default_factory=list)

    def __post_init__(self):
        self.num_samples, self.num_classes = self.given.shape[1:]
        if self.embedding is None:
            generator = torch.Generator().manual_seed(0)
            self.embedding = torch.randn(len(self.given), 5, generator=generator)

    def __len__(self):
        return len(self.given)

    @property
    def indices(self):
        return torch.arange(len(self))

    def log_probs(self, num_samples=None):
        if num_samples is not None and num_samples > self.num_samples:
            raise ConfigError(f"{num_samples} samples asked of {self.num_samples}")
        return self.given[:, :num_samples]

    def score(self, functions, num_samples=None):
        return [function(self.log_probs(num_samples)).double() for function in functions]

    def features(self):
        return self.embedding

    def labeled_features(self):
        generator = torch.Generator().manual_seed(1)
        return torch.randn(4, self.embedding.shape[1], generator=generator)

    def labels(self):
        return torch.arange(4) % self.num_classes

    def inputs(self, positions):
        return self.embedding[positions]

    def permuted(self, order):
        """The same pool in another order: position i holds what was at ``order[i]``."""
        return FakeView(self.given[order], self.embedding[order])


def log_probs(num_points, num_samples, num_classes, seed=0, scale=1.5):
    """Log-probabilities of random, differing posterior samples (N, K, C), float32."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(num_points, num_samples, num_classes, generator=generator)
    return logits.log_softmax(dim=-1)


def seeded(seed):
    """A generator at ``seed``."""
    return torch.Generator().manual_seed(seed)
