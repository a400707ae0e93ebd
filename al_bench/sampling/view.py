"""The candidates of one step as a selection sees them: each quantity on demand, at most once.

n candidates, T target inputs, K posterior samples, C classes, D features.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.data.target import Targets
from al_bench.engine import PRECISIONS, Engine
from al_bench.errors import AlBenchError, ConfigError, TrainingError
from al_bench.models.base import GradientFactors, Network
from al_bench.models.frozen import normalized
from al_bench.models.masks import draw_masks
from al_bench.sampling.base import IRREDUCIBLE, TARGETS, CoreSet, Selection
from al_bench.sampling.irreducible import Irreducible
from al_bench.seeding import Streams


@dataclass(frozen=True)
class Batch:
    """Points of the pool as a step shows them.

    Args:
        indices: (n,) int64 pool indices, on the CPU.
        inputs: (n, *input_shape), changed at random where the recipe says so, on the device.
        labels: (n,) int64, as they are trained on, on the CPU.
    """

    indices: Tensor
    inputs: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Viewer:
    """The network that looks at candidates, and how.

    Args:
        network: The target network; a view leaves it bit for bit as it is.
        num_samples: K of its model.
        mode: ``train`` or ``eval``, as ``StepRecipe`` has them.
        streams: Of the trial.
        engine: Device and precision.
        targets: Inputs whose predictions matter.
        irreducible: Gives irreducible losses; ``None`` where the selection needs none.
    """

    network: Network
    num_samples: int
    mode: str
    streams: Streams
    engine: Engine
    targets: Targets
    irreducible: Irreducible | None


class StepView:
    """The candidates of one step, seen through the network as it is before the step.

    It is what ``al_bench.sampling.base.CandidateView`` describes. Posterior sample k is one set of
    dropped units for all candidates and targets; ``losses`` and ``gradient_factors`` drop units of
    each candidate by itself, as a step of training does, or none in mode ``eval``.
    """

    def __init__(
        self, viewer: Viewer, batch: Batch, step: int, selection: Selection | CoreSet
    ) -> None:
        self.labels = batch.labels
        self.indices = batch.indices
        self.step = step
        self.num_samples = viewer.num_samples
        self.num_classes = viewer.network.output.out_features
        self._viewer = viewer
        self._selection = selection
        self._inputs = batch.inputs
        self._factors: GradientFactors | None = None
        self._held: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.indices)

    def losses(self) -> Tensor:
        """(n,) float64, -log p(y | x) of each candidate's label."""
        if "losses" not in self._held:
            log_probs = self.gradient_factors().log_probs
            labels = self.labels.to(log_probs.device)
            self._held["losses"] = -log_probs.gather(1, labels[:, None]).squeeze(1).double()
        return self._held["losses"]

    def gradient_factors(self) -> GradientFactors:
        """Factors of the last-layer gradients, (n, C) and (n, D), of one pass."""
        if self._factors is None:
            network, inputs = self._viewer.network, self._inputs
            masks = None
            if self._viewer.mode == "train":
                masks = draw_masks(network, len(inputs), self._generator("posterior"), self._device)
            with self._looking():
                features = network.body(network.prefix(inputs), masks)
                log_probs = normalized(network.output(features))
            self._factors = GradientFactors(self._checked(log_probs), features.float())
        return self._factors

    def log_probs(self, num_samples: int | None = None) -> Tensor:
        """(n, K, C) float32 log-probabilities of the first ``num_samples`` samples."""
        count = self._count(num_samples)
        if self.num_samples == 1:
            return self.gradient_factors().log_probs[:, None]
        return self._sampled("candidates", count, lambda: self._inputs)

    def irreducible_losses(self) -> Tensor:
        """(n,) float64, -log p(y | x) under a model that was trained on other points."""
        self._require(IRREDUCIBLE, "irreducible losses")
        irreducible = self._viewer.irreducible
        assert irreducible is not None
        if IRREDUCIBLE not in self._held:
            labels = self.labels.to(self._device)
            self._held[IRREDUCIBLE] = irreducible.of(self.indices, self._inputs, labels)
        return self._held[IRREDUCIBLE]

    def target_log_probs(self, num_targets: int, num_samples: int | None = None) -> Tensor:
        """(T, K, C) log-probabilities of T target inputs under the same posterior samples."""
        self._require(TARGETS, "target inputs")
        targets = self._viewer.targets

        def inputs() -> Tensor:
            drawn = targets.draw(num_targets, self._generator("target"))
            return targets.inputs.gather(drawn, self._device)

        return self._sampled(f"{TARGETS} {num_targets}", self._count(num_samples), inputs)

    def _sampled(self, name: str, count: int, inputs: Callable[[], Tensor]) -> Tensor:
        """(n, K, C) of these inputs, under masks that are the same for all inputs."""
        held = self._held.get(name)
        if held is None or held.shape[1] < count:
            network = self._viewer.network
            masks = draw_masks(network, count, self._generator("posterior"), self._device)
            shown = inputs()
            with self._looking():
                hidden = network.prefix(shown)
                logits = [
                    network.output(network.body(hidden, [mask[k : k + 1] for mask in masks]))
                    for k in range(count)
                ]
                held = self._checked(normalized(torch.stack(logits, dim=1)))
            self._held[name] = held
        return held[:, :count]

    def _checked(self, log_probs: Tensor) -> Tensor:
        """The same; TrainingError where training has made the network predict NaN."""
        if broken := int(log_probs.isnan().flatten(1).any(dim=1).sum()):
            raise TrainingError(
                f"The network predicts NaN for {broken} of {len(log_probs)} points in step "
                f"{self.step}.",
                "Try a smaller training.learning_rate.",
            )
        return log_probs

    def _generator(self, name: str) -> torch.Generator:
        return self._viewer.streams.generator(name, self.step)

    @property
    def _device(self) -> torch.device:
        return self._viewer.engine.device

    def _count(self, num_samples: int | None) -> int:
        if num_samples is None:
            return self.num_samples
        if not 1 <= num_samples <= self.num_samples:
            raise ConfigError(
                f"The selection asks for {num_samples} posterior samples; the model has "
                f"{self.num_samples}.",
                f"Use selection.num_samples={self.num_samples} or fewer.",
            )
        return num_samples

    def _require(self, need: str, words: str) -> None:
        if need not in self._selection.needs:
            raise AlBenchError(
                f"{type(self._selection).__name__} looks at {words} without saying so.",
                f"A selection says so before any work: its needs contain {need!r}.",
            )

    @contextlib.contextmanager
    def _looking(self) -> Iterator[None]:
        """Passes within change neither gradients nor buffers nor mode of the network."""
        network, engine = self._viewer.network, self._viewer.engine
        dtype = PRECISIONS[engine.scoring_precision]
        rounded = torch.autocast(engine.device.type, dtype, enabled=dtype != torch.float32)
        was_training = network.training
        kept = [(buffer, buffer.clone()) for buffer in network.buffers()]
        network.train(self._viewer.mode == "train")
        try:
            with torch.no_grad(), rounded:
                yield
        finally:
            network.train(was_training)
            for buffer, value in kept:
                buffer.copy_(value)
