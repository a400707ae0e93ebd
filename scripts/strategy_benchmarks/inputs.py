"""Pools to select from: posteriors of really trained networks, and random ones.

N pool points, M labeled points, T targets, K posterior samples, C classes, D features.
"""

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from benchmark_scoring import images, trained
from torch import Tensor, nn

from al_bench.checking.views import FakeView, seeded
from al_bench.data.base import TensorInputs
from al_bench.data.labeled import LabeledSet
from al_bench.engine import Engine
from al_bench.models.base import GradientFactors, Network
from al_bench.models.mc_dropout import MCDropout
from al_bench.models.networks.cnn import batchbald_cnn
from al_bench.seeding import isolated
from al_bench.strategies.base import ScoreFn

NUM_CLASSES = 10
NUM_LABELED = 100  # M of random pools
LABELS = 40, 200  # that networks are trained on
TRAIN_STEPS = 300
CHUNK_BYTES = Engine.chunk_bytes  # of a run that says nothing else, on the CPU


@dataclass(frozen=True)
class Tensors:
    """What a model would say of a pool.

    Args:
        log_probs: (N, K, C) float32.
        factors: (N, C) and (N, D) float32.
        labeled: (M, C) and (M, D).
        targets: (T, K, C).
        target_factors: (T, C) and (T, D).
    """

    log_probs: Tensor
    factors: GradientFactors
    labeled: GradientFactors
    targets: Tensor
    target_factors: GradientFactors


class TensorView(FakeView):
    """A pool view made of tensors; scores see the pool in chunks, as in a run."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        num_labeled = len(tensors.labeled.features)
        super().__init__(tensors.log_probs, tensors.factors.features, num_labeled=num_labeled)

    def score(self, functions: Sequence[ScoreFn], num_samples: int | None = None) -> list[Tensor]:
        """Each score of the pool, (N,) float64."""
        log_probs = self.log_probs(num_samples)
        size = max(1, CHUNK_BYTES // (8 * log_probs[0].numel()))
        parts = [[f(chunk).double() for f in functions] for chunk in log_probs.split(size)]
        return [torch.cat(part) for part in zip(*parts, strict=True)]

    def gradient_factors(self) -> GradientFactors:
        """(N, C) and (N, D) as given."""
        return self.tensors.factors

    def labeled_gradient_factors(self) -> GradientFactors:
        """(M, C) and (M, D) as given."""
        return self.tensors.labeled

    def labeled_features(self) -> Tensor:
        """(M, D) as given."""
        return self.tensors.labeled.features

    def labels(self) -> Tensor:
        """(M,) the most probable classes."""
        return self.tensors.labeled.log_probs.argmax(dim=1)

    def target_log_probs(self, num_targets: int, num_samples: int | None = None) -> Tensor:
        """(T, K, C): the first of those given."""
        return self.tensors.targets[:num_targets, :num_samples]

    def target_gradient_factors(self, num_targets: int) -> GradientFactors:
        """(T, C) and (T, D): the first of those given."""
        return GradientFactors(*(part[:num_targets] for part in self.tensors.target_factors))

    def restricted(self, positions: Tensor, state: object = None) -> "TensorView":
        """The points at ``positions`` alone."""
        given = self.tensors
        factors = GradientFactors(*(factor[positions] for factor in given.factors))
        return TensorView(
            Tensors(
                given.log_probs[positions],
                factors,
                given.labeled,
                given.targets,
                given.target_factors,
            )
        )


class ThreeConvolutions(Network):
    """The network of dynamicAL's theory: 3×3 convolutions of 32, 64 and 128 channels, averaged."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        widths = (1, 32, 64, 128)
        self.layers = nn.ModuleList(
            nn.Conv2d(*pair, 3, padding=1) for pair in itertools.pairwise(widths)
        )
        self.output = nn.Linear(widths[-1], num_classes)

    def prefix(self, inputs: Tensor) -> Tensor:
        """(n, 1, height, width) to (n, 128)."""
        for layer in self.layers:
            inputs = F.relu(layer(inputs))
        return inputs.mean(dim=(2, 3))

    def body(self, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """The averages as they are."""
        return hidden


class NetworkView(FakeView):
    """A pool of images with a network that was trained for a moment on the labeled ones."""

    def __init__(self, data: Path | None, num_points: int, num_labeled: int, steps: int) -> None:
        inputs, labels = images(data, num_points + num_labeled)
        self.pool = inputs[num_labeled : num_labeled + num_points]
        self.bought, self.answers = inputs[:num_labeled], labels[:num_labeled]
        with isolated(seeded(0)):
            self.trained_network = ThreeConvolutions(NUM_CLASSES)
        optimizer = torch.optim.Adam(self.trained_network.parameters(), lr=0.001)
        generator = seeded(0)
        for _ in range(steps):
            rows = torch.randint(num_labeled, (32,), generator=generator)
            loss = F.cross_entropy(self.trained_network(self.bought[rows]), self.answers[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        optimizer.zero_grad()
        given = torch.zeros(num_points, 1, NUM_CLASSES)
        super().__init__(given, torch.zeros(num_points, 1), num_labeled)

    def restricted_to(self, num_points: int) -> "NetworkView":
        """The first points alone."""
        other = copy.copy(self)
        other.pool, other.given = self.pool[:num_points], self.given[:num_points]
        return other

    def network(self) -> Network:
        """A copy of the network."""
        return copy.deepcopy(self.trained_network).eval()

    def inputs(self, positions: Tensor) -> Tensor:
        """(n, 1, 28, 28) of the pool."""
        return self.pool[positions]

    def labeled_inputs(self) -> Tensor:
        """(M, 1, 28, 28)."""
        return self.bought

    def labels(self) -> Tensor:
        """(M,) int64."""
        return self.answers


def random_pool(
    num_points: int, num_samples: int, num_features: int, *, targets: int = 100
) -> TensorView:
    """Points of ten clusters with the features of a rectified layer, and heads that differ."""
    generator = seeded(0)
    count = num_points + NUM_LABELED + targets
    centers = torch.randn(NUM_CLASSES, num_features, generator=generator)
    cluster = torch.randint(NUM_CLASSES, (count,), generator=generator)
    noise = torch.randn(count, num_features, generator=generator)
    features = (centers[cluster] + noise).relu_()
    heads = torch.randn(num_samples, num_features, NUM_CLASSES, generator=generator)
    heads = (centers.T + heads) / num_features**0.5
    logits = features @ heads.permute(1, 0, 2).flatten(1)
    log_probs = logits.view(count, num_samples, NUM_CLASSES).log_softmax(dim=-1)
    means = (features @ heads.mean(dim=0)).log_softmax(dim=-1)
    pool, labeled, target = (
        GradientFactors(means[part], features[part])
        for part in (
            slice(num_points),
            slice(num_points, num_points + NUM_LABELED),
            slice(num_points + NUM_LABELED, None),
        )
    )
    rest = log_probs[num_points + NUM_LABELED :].clone()
    return TensorView(Tensors(log_probs[:num_points], pool, labeled, rest, target))


def random_logits(num_points: int, num_samples: int) -> Tensor:
    """(N, K, C) log-probabilities of independent normal logits."""
    logits = torch.randn(num_points, num_samples, NUM_CLASSES, generator=seeded(0))
    return logits.log_softmax(dim=-1)


@cache
def trained_posterior(
    data: Path | None, num_labels: int, num_points: int, num_samples: int, steps: int = TRAIN_STEPS
) -> Tensor:
    """(N, K, C) log-probabilities of the MNIST CNN trained on ``num_labels`` labels."""
    inputs, labels = images(data, num_points + num_labels)
    network = trained(inputs[:num_labels], labels[:num_labels], steps).eval()
    points = LabeledSet(TensorInputs(inputs), torch.arange(num_labels), labels)
    posterior = MCDropout(batchbald_cnn, num_samples).posterior(
        [network], points.on(torch.device("cpu"), CHUNK_BYTES), seeded(1), torch.float32
    )
    chunk = posterior.chunk_size((1, 28, 28), CHUNK_BYTES)
    pool = inputs[num_labels : num_labels + num_points]
    return torch.cat([posterior.log_probs(part).clone() for part in pool.split(chunk)])
