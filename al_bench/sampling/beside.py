"""Networks that are trained once beside the target, on other points or for other ends.

N points, C classes. The target network is member 0 of a trial's streams and these are members 1, 2,
…, so that none starts from the target's weights or sees its points in the same order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from al_bench.data.labeled import LabeledSet
from al_bench.engine import PRECISIONS, Engine
from al_bench.models.base import Network, NetworkModel
from al_bench.models.chunks import in_chunks
from al_bench.models.ensemble import EnsemblePosterior
from al_bench.models.over_network import ONE_NETWORK
from al_bench.sampling.base import Proxy
from al_bench.seeding import Streams, isolated
from al_bench.strategies.point_gradients import gradient_norms
from al_bench.training.draws import Generators
from al_bench.training.epochs import Training, train
from al_bench.training.recipe import Recipe


@dataclass(frozen=True)
class Beside:
    """What all networks beside the target of one trial have in common.

    Args:
        model: The target's, which builds such a network.
        num_classes: C.
        streams: The trial's.
        engine: How it is computed.
        watch: Called after each step of their training.
    """

    model: NetworkModel
    num_classes: int
    streams: Streams
    engine: Engine
    watch: Callable[[], None] = lambda: None

    def network(self, input_shape: tuple[int, ...], member: int) -> Network:
        """The untrained network of a member, from 1, on the engine's device."""
        if member < 1:
            raise ValueError(f"member {member} is not beside the target")
        with isolated(self.streams.generator("init", 0, member)):
            network = self.model.build(input_shape, self.num_classes)
        return network.to(self.engine.device)

    def train(
        self,
        network: Network,
        member: int,
        points: LabeledSet,
        validation: LabeledSet,
        recipe: Recipe,
        after_epoch: Callable[[], None] | None = None,
    ) -> Training:
        """Train a member's network in place, with batches, masks and augmentation of its own."""
        generators = Generators.of(self.streams, 0, member)
        return train(
            network, points, validation, recipe, generators, self.engine, self.watch, after_epoch
        )

    def log_probs(self, network: Network, points: LabeledSet) -> Tensor:
        """(N, C) float32 log-probabilities of ``points``, no unit dropped, no input changed."""
        engine = self.engine
        precision = PRECISIONS[engine.scoring_precision]
        posterior = EnsemblePosterior([network], ONE_NETWORK, precision)
        where = engine.device, engine.chunk_bytes
        parts = in_chunks(posterior, points.inputs, points.indices, *where, posterior.log_probs)
        return torch.cat([log_probs.squeeze(1) for log_probs in parts])


@dataclass(frozen=True)
class TrainedProxy:
    """A proxy network and the training points it is asked about.

    Args:
        network: Its network; whoever trains on changes it.
        points: The training points.
        beside: What it has in common with others.
    """

    network: Network
    points: LabeledSet
    beside: Beside

    def log_probs(self) -> Tensor:
        """(N, C) float32 log-probabilities of all training points, no unit dropped."""
        return self.beside.log_probs(self.network, self.points)

    def gradient_norms(self) -> Tensor:
        """(N,) float64 norms of the gradient of each point's loss in all parameters."""
        return gradient_norms(self.network, self.points, self.beside.engine.device)


class PointsToKeep:
    """The training points of a trial as a core-set sees them (``base.TrainingSet``).

    Args:
        points: The training points.
        beside: What proxies have in common.
        generator: The only source of randomness of what is kept.
    """

    def __init__(self, points: LabeledSet, beside: Beside, generator: torch.Generator) -> None:
        self.num_classes = beside.num_classes
        self.generator = generator
        self._points = points
        self._beside = beside

    @property
    def labels(self) -> Tensor:
        """(N,) int64, as they are trained on."""
        return self._points.labels

    @property
    def indices(self) -> Tensor:
        """(N,) int64, their pool indices."""
        return self._points.indices

    def proxy(
        self,
        number: int,
        recipe: Recipe | None,
        after_epoch: Callable[[Proxy], None] | None = None,
    ) -> TrainedProxy:
        """Proxy ``number``, from 0, trained on all training points, or untrained without recipe."""
        member = 1 + number
        network = self._beside.network(self._points.inputs.input_shape, member)
        proxy = TrainedProxy(network, self._points, self._beside)
        look: Callable[[], Any] | None = None
        if after_epoch is not None:
            look = lambda: after_epoch(proxy)  # noqa: E731
        if recipe is not None:
            nothing = LabeledSet(
                self._points.inputs, self._points.indices[:0], self._points.labels[:0]
            )
            self._beside.train(network, member, self._points, nothing, recipe, look)
        network.eval()
        return proxy
