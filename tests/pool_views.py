"""Small pools as strategies see them, made of given log-probabilities."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from al_bench.errors import ConfigError
from al_bench.models.base import GradientFactors, Network


class LinearNetwork(Network):
    """A linear classifier behind a nonlinear layer."""

    def __init__(self, num_features, num_classes):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self.hidden = torch.nn.Linear(num_features, 4)
            self.output = torch.nn.Linear(4, num_classes)

    def prefix(self, inputs):
        return torch.tanh(self.hidden(inputs))

    def body(self, hidden, masks=None):
        return hidden


@dataclass
class FakeView:
    """A pool view without a model: positions are their own indices.

    Args:
        given: (N, K, C) log-probabilities, float32.
        embedding: (N, D) features, which are also the inputs; random if not given.
        num_labeled: Labeled points.
    """

    given: Tensor
    embedding: Tensor | None = None
    num_labeled: int = 4
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

    @property
    def source_indices(self):
        return self.indices

    @property
    def labeled_source_indices(self):
        return torch.arange(len(self), len(self) + self.num_labeled)

    def features(self):
        return self.embedding

    def labeled_features(self):
        generator = torch.Generator().manual_seed(1)
        return torch.randn(self.num_labeled, self.embedding.shape[1], generator=generator)

    def labels(self):
        return torch.arange(self.num_labeled) % self.num_classes

    def inputs(self, positions):
        return self.embedding[positions]

    def labeled_inputs(self):
        return self.labeled_features()

    def gradient_factors(self):
        return GradientFactors(self._mean(self.given), self.embedding)

    def labeled_gradient_factors(self):
        given = log_probs(self.num_labeled, 1, self.num_classes, seed=11)
        return GradientFactors(self._mean(given), self.labeled_features())

    def target_log_probs(self, num_targets, num_samples=None):
        given = log_probs(num_targets, self.num_samples, self.num_classes, seed=12)
        return given[:, :num_samples]

    def target_gradient_factors(self, num_targets):
        generator = torch.Generator().manual_seed(13)
        features = torch.randn(num_targets, self.embedding.shape[1], generator=generator)
        return GradientFactors(self._mean(self.target_log_probs(num_targets)), features)

    def network(self):
        return LinearNetwork(self.embedding.shape[1], self.num_classes).eval()

    def pool_labels(self):
        return self.given.mean(dim=1).argmax(dim=1)

    def look_ahead(self, positions, reference):
        return -float(self.embedding[positions].sum().exp())

    @staticmethod
    def _mean(given):
        return given.logsumexp(dim=1).log_softmax(dim=-1)

    def permuted(self, order):
        """The same pool in another order: position i holds what was at ``order[i]``."""
        return replace(self, given=self.given[order], embedding=self.embedding[order])


def log_probs(num_points, num_samples, num_classes, seed=0, scale=1.5):
    """Log-probabilities of random, differing posterior samples (N, K, C), float32."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(num_points, num_samples, num_classes, generator=generator)
    return logits.log_softmax(dim=-1)


def seeded(seed):
    """A generator at ``seed``."""
    return torch.Generator().manual_seed(seed)
