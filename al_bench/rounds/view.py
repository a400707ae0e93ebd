"""The pool as a strategy sees it: every quantity on demand, at most once, within a memory budget.

N pool points, M labeled points, T target inputs, K posterior samples, C classes, D features.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from al_bench.data.base import Inputs, Pool
from al_bench.data.sources import Sources
from al_bench.data.target import Targets, effective_number
from al_bench.errors import AlBenchError, ConfigError, TrainingError, keyed
from al_bench.models.base import (
    FEATURES,
    GRADIENTS,
    NETWORK,
    SAMPLES,
    GradientFactors,
    Network,
    Posterior,
)
from al_bench.models.capabilities import CAPABILITIES, asked_of_view, offered
from al_bench.models.chunks import in_chunks, rows_at
from al_bench.models.room import rows_of
from al_bench.rounds.label_access import LabelAccess
from al_bench.strategies.base import LABELS, ScoreFn
from al_bench.training.trainer import Trainable

# What a strategy may know of earlier rounds: nothing of the test set.
HISTORY = ("round", "num_labeled", "num_queried", "validation_accuracy", "validation_nll", "notes")

POOL = "pool"  # the name of the points that have a position each

Computed = TypeVar("Computed")


class Points(NamedTuple):
    """Points that a posterior is shown, under a name of their own."""

    name: str
    inputs: Inputs
    indices: Tensor


class Viewed(Trainable, Protocol):
    """What a view needs of a trial."""

    pool: Pool
    targets: Targets
    labeled: list[int]
    rows: list[dict[str, Any]]

    def available(self) -> Tensor:
        """(N,) pool indices that can be bought."""


@dataclass(frozen=True)
class Viewer:
    """The strategy that looks through a view, as far as the view must know it.

    Args:
        name: What messages call it.
        needs: What it has declared that it looks at.
        state: What it has left for itself in the round before.
    """

    name: str
    needs: frozenset[str]
    state: Mapping[str, Any] | None = None


@dataclass
class Clock:
    """Seconds spent in the posterior, by a view and by its restrictions."""

    seconds: float = 0.0


class View:
    """The pool of one trial in one round, seen through a fitted posterior by a strategy.

    Attributes:
        notes: What the view itself has to say of the round, beside the strategy's notes.
    """

    def __init__(self, trial: Viewed, posterior: Posterior, viewer: Viewer) -> None:
        self.indices = trial.available()
        self.num_classes = trial.num_classes
        self.num_samples = posterior.num_samples
        self.seed = trial.streams.seed
        self.round = trial.round
        self.history: Sequence[Mapping[str, Any]] = [
            {key: row.get(key) for key in HISTORY} for row in trial.rows
        ]
        self.state = viewer.state
        self._clock = Clock()
        self._posterior = posterior
        self._name = viewer.name
        self._inputs = trial.pool.inputs
        self._labeled = trial.labeled_set()
        self._targets = trial.targets
        self._target_key = partial(trial.streams.generator, "target", trial.round)
        # Nothing else of the pool: a strategy must not find labels or a test set by accident.
        self._sources = Sources.of(trial.pool)
        privileged = LABELS in viewer.needs
        self._label_access = LabelAccess(trial, trial.pool) if privileged else None
        self._device = trial.engine.device
        self._chunk_bytes = trial.engine.chunk_bytes
        # From labels of one class, or of none, a forest learns the same in all its trees.
        told = trial.round == 0 and len(set(self._labeled.labels.tolist())) > 1
        self._must_differ = SAMPLES in viewer.needs and told
        self.notes: dict[str, float] = {}  # shared with restrictions
        self._held: dict[tuple[str, str], Any] = {}  # by what it is, and of which points

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The method of a capability, of the pool, or of labeled points or targets by a prefix."""
        asked = asked_of_view(name)
        if asked is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        capability, which = asked
        points: Callable[..., Points] = getattr(self, f"_{which}_points")
        return lambda *args: self._given(capability, points(*args))

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def seconds_score(self) -> float:
        """Time spent in the posterior so far."""
        return self._clock.seconds

    @property
    def labeled_indices(self) -> Tensor:
        """(M,) int64, the pool indices of the labeled set, in the order in which it was labeled."""
        return self._labeled.indices

    @property
    def origins(self) -> tuple[str, ...]:
        """Names of the data sets that the pool is made of."""
        return self._sources.origins

    def holds(self, indices: Tensor, source_indices: Tensor, origins: Sequence[str] | None) -> bool:
        """Whether the pool's points at ``indices`` (n,) are those of their data sets."""
        return self._sources.hold(indices, source_indices, origins)

    @property
    def source_indices(self) -> Tensor:
        """(N,) int64, the index in the data set of every position."""
        return self._sources.indices(self.indices)

    @property
    def labeled_source_indices(self) -> Tensor:
        """(M,) int64, the same of the labeled set, in the order in which it was labeled."""
        return self._sources.indices(self._labeled.indices)

    def log_probs(self, num_samples: int | None = None) -> Tensor:
        """(N, K, C) float32 log-probabilities; ``num_samples`` may ask for fewer than K."""
        count = self._sample_count(num_samples)
        held = self._held.get(("log_probs", POOL))
        if held is None or held.shape[1] < count:
            what = f"{self._name}: log-probabilities of {len(self):,} points by {count} samples"
            held = rows_of(self._stream_log_probs(count), len(self), what)
            self._held["log_probs", POOL] = held
        shown: Tensor = held[:, :count]
        return shown

    def score(self, functions: Sequence[ScoreFn], num_samples: int | None = None) -> list[Tensor]:
        """Each pointwise score of the whole pool, (N,) float64; (N, K, C) is never held."""
        count = self._sample_count(num_samples)
        held = self._held.get(("log_probs", POOL))
        parts: list[list[Tensor]] = [[] for _ in functions]
        for log_probs in self._stream_log_probs(count) if held is None else self._cut(count):
            for part, function in zip(parts, functions, strict=True):
                part.append(_scored(function, log_probs))
        return [torch.cat(part).cpu() for part in parts]  # once: every look waits for the device

    def labeled_log_probs(self, num_samples: int | None = None) -> Tensor:
        """(M, K, C) log-probabilities of the labeled set, in the order in which it was labeled."""
        return self._few_log_probs(self._labeled_points(), num_samples)

    def features(self) -> Tensor:
        """(N, D) float32 features of the pool."""
        return self._features(self._pool_points())

    def labeled_features(self) -> Tensor:
        """(M, D) float32 features of the labeled set, in the order in which it was labeled."""
        return self._features(self._labeled_points())

    def labels(self) -> Tensor:
        """(M,) int64 labels of the labeled set, in the same order."""
        return self._labeled.labels

    def inputs(self, positions: Tensor) -> Tensor:
        """(n, *input_shape) float32 inputs of the pool at ``positions``."""
        return self._inputs.gather(self.indices[positions], self._device)

    def labeled_inputs(self) -> Tensor:
        """(M, *input_shape) float32 inputs of the labeled set, in the order it was labeled in."""
        return self._inputs.gather(self._labeled.indices, self._device)

    def gradient_factors(self) -> GradientFactors:
        """Factors of the last-layer gradients of the pool: (N, C) and (N, D), float32."""
        factors: GradientFactors = self._given(GRADIENTS, self._pool_points())
        return factors

    def labeled_gradient_factors(self) -> GradientFactors:
        """The same of the labeled set, (M, C) and (M, D), in the order it was labeled in."""
        factors: GradientFactors = self._given(GRADIENTS, self._labeled_points())
        return factors

    def target_log_probs(self, num_targets: int, num_samples: int | None = None) -> Tensor:
        """(T, K, C) log-probabilities of T target inputs under the same posterior samples."""
        return self._few_log_probs(self._target_points(num_targets), num_samples)

    def target_gradient_factors(self, num_targets: int) -> GradientFactors:
        """Factors of the last-layer gradients of the same T target inputs: (T, C) and (T, D)."""
        factors: GradientFactors = self._given(GRADIENTS, self._target_points(num_targets))
        return factors

    def network(self) -> Network:
        """A float32 copy of the network in evaluation mode, the strategy's own."""
        network: Network = self._offered(NETWORK)()
        return network

    def pool_labels(self) -> Tensor:
        """(N,) int64 labels of the pool, or REFUSED, for a strategy that declares LABELS."""
        return self._privilege().labels(self.indices)

    def look_ahead(self, positions: Tensor, reference: Tensor) -> float:
        """Mean log-likelihood, in nats, of ``reference`` once ``positions`` are labeled too."""
        return self._privilege().look_ahead(self.indices[positions], self.indices[reference])

    def restricted(self, positions: Tensor, state: Mapping[str, Any] | None = None) -> "View":
        """A view of the points at ``positions`` alone: the model is not shown the others."""
        other = copy.copy(self)
        other.indices, other.state = self.indices[positions], state
        other._held = {
            (what, name): rows_at(held, positions) if name == POOL else held
            for (what, name), held in self._held.items()
        }
        return other

    def _privilege(self) -> LabelAccess:
        if self._label_access is None:
            raise AlBenchError(
                f"{self._name} looks at labels that it has not bought.",
                "A control says so: its needs contain al_bench.strategies.base.LABELS.",
            )
        return self._label_access

    def _pool_points(self) -> Points:
        return Points(POOL, self._inputs, self.indices)

    def _labeled_points(self) -> Points:
        return Points("labeled", self._inputs, self._labeled.indices)

    def _target_points(self, count: int) -> Points:
        drawn = self._targets.draw(count, self._target_key())
        if self._targets.groups is not None:
            self.notes["effective_targets"] = effective_number(drawn)
        return Points(f"target {count}", self._targets.inputs, drawn)

    def _sample_count(self, num_samples: int | None) -> int:
        if num_samples is None:
            return self.num_samples
        if not 1 <= num_samples <= self.num_samples:
            raise ConfigError(
                f"The strategy asks for {num_samples} posterior samples; the model has "
                f"{self.num_samples}.",
                f"Use {keyed('num_samples')}={self.num_samples} or fewer.",
            )
        return num_samples

    def _chunks(self, points: Points, compute: Callable[[Tensor], Computed]) -> Iterator[Computed]:
        _, inputs, indices = points
        device, budget = self._device, self._chunk_bytes
        passes = in_chunks(self._posterior, inputs, indices, device, budget, compute)
        while True:
            started = time.perf_counter()
            try:
                computed = next(passes)
            except StopIteration:
                if device.type == "cuda":  # once a pass: else its time would go to the selection
                    torch.cuda.synchronize(device)
                return
            finally:
                self._clock.seconds += time.perf_counter() - started
            yield computed
            del computed

    def _stream_log_probs(self, count: int) -> Iterator[Tensor]:
        looked = False
        for log_probs in self._chunks(
            self._pool_points(), lambda x: self._posterior.log_probs(x, count)
        ):
            if not looked:  # broken weights show everywhere, and every look waits for the device
                looked = True
                if bool(log_probs.isnan().any()):
                    raise TrainingError("The model predicts NaN for points of the pool.")
            if self._must_differ and count > 1:
                if bool((log_probs == log_probs[:, :1]).all()):
                    raise AlBenchError(
                        f"All {count} posterior samples are identical, so the strategy's scores "
                        "mean nothing.",
                        "Use a network with dropout, or model=deep_ensemble.",
                    )
                self._must_differ = False
            yield log_probs

    def _few_log_probs(self, points: Points, num_samples: int | None) -> Tensor:
        """(n, K, C) log-probabilities of points other than the pool's, held."""
        count = self._sample_count(num_samples)
        held = self._held.get(("log_probs", points.name))
        if held is None or held.shape[1] < count:
            parts = self._chunks(points, lambda x: self._posterior.log_probs(x, count))
            self._held["log_probs", points.name] = held = torch.cat(list(parts))
        shown: Tensor = held[:, :count]
        return shown

    def _cut(self, count: int) -> Iterator[Tensor]:
        """The log-probabilities that are held, in chunks: scores need room for temporaries."""
        log_probs = self.log_probs(count)
        size = max(1, self._chunk_bytes // (8 * log_probs[0].numel()))
        yield from torch.split(log_probs, size)

    def _features(self, points: Points) -> Tensor:
        factors: GradientFactors | None = self._held.get((GRADIENTS, points.name))
        features: Tensor = self._given(FEATURES, points) if factors is None else factors.features
        return features

    def _given(self, capability: str, points: Points) -> Any:
        """What the posterior gives for ``points``, a row a point, computed at most once."""
        key = capability, points.name
        if key not in self._held:
            parts = self._chunks(points, self._offered(capability))
            count, words = len(points.indices), CAPABILITIES[capability].words
            self._held[key] = rows_of(parts, count, f"{self._name}: {words} of {count:,} points")
        return self._held[key]

    def _offered(self, capability: str) -> Callable[..., Any]:
        if capability not in self._posterior.provides:
            raise AlBenchError(
                f"{self._name} looks at {CAPABILITIES[capability].words}, which "
                "the model does not provide.",
                f"A strategy says so before any work: its needs contain {capability!r}.",
            )
        return offered(self._posterior, capability)


def _scored(function: ScoreFn, log_probs: Tensor) -> Tensor:
    scores: object = function(log_probs)
    if isinstance(scores, Tensor) and scores.shape == log_probs.shape[:1]:
        return scores.double()
    named = function.func if isinstance(function, partial) else function
    got = f"shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
    raise AlBenchError(
        f"The score {getattr(named, '__qualname__', type(named).__name__)} must return a tensor of "
        f"one number a point, shape {tuple(log_probs.shape[:1])}, got {got}."
    )
