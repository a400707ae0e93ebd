"""The pool as a strategy sees it: every quantity on demand, at most once, within a memory budget.

N pool points, M labeled points, K posterior samples, C classes, D features.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from al_bench.data.base import Inputs
from al_bench.errors import AlBenchError, ConfigError
from al_bench.models.base import SAMPLES, Posterior
from al_bench.strategies.base import ScoreFn, Selection, Strategy

if TYPE_CHECKING:
    from al_bench.trial import Trial


# What a strategy may know of earlier rounds: nothing of the test set.
HISTORY = ("round", "num_labeled", "num_queried", "validation_accuracy", "validation_nll", "notes")


def chunked(
    posterior: Posterior,
    inputs: Inputs,
    indices: Tensor,
    device: torch.device,
    chunk_bytes: int,
) -> Iterator[Tensor]:
    """Inputs at ``indices`` in chunks that the posterior can be shown within ``chunk_bytes``."""
    size = posterior.chunk_size(inputs.input_shape, chunk_bytes)
    for chunk in torch.split(indices, size):
        yield inputs.gather(chunk, device)


class View:
    """The pool of one trial in one round, seen through a fitted posterior.

    Attributes:
        seconds_score: Time spent in the posterior so far.
        seconds_select: Time the strategy took beside that, after ``timed_select``.
    """

    def __init__(self, trial: "Trial", posterior: Posterior) -> None:
        self.indices = trial.available()
        self.num_classes = trial.num_classes
        self.num_samples = posterior.num_samples
        self.round = trial.round
        self.history: Sequence[Mapping[str, Any]] = [
            {key: row.get(key) for key in HISTORY} for row in trial.rows
        ]
        state = trial.rows[-1].get("strategy_state") if trial.rows else None
        self.state: Mapping[str, Any] | None = json.loads(state) if state else None
        self.seconds_score = 0.0
        self.seconds_select = 0.0
        self._posterior = posterior
        self._inputs = trial.pool.inputs
        self._labeled = trial.labeled_set()
        self._device = trial.engine.device
        self._chunk_bytes = trial.engine.chunk_bytes
        self._must_differ = SAMPLES in trial.run.strategy.needs and trial.round == 0
        self._held: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.indices)

    def log_probs(self, num_samples: int | None = None) -> Tensor:
        """(N, K, C) float32 log-probabilities; ``num_samples`` may ask for fewer than K."""
        count = self._sample_count(num_samples)
        held = self._held.get("log_probs")
        if held is None or held.shape[1] < count:
            self._held["log_probs"] = held = torch.cat(list(self._stream_log_probs(count)))
        return held[:, :count]

    def score(self, functions: Sequence[ScoreFn], num_samples: int | None = None) -> list[Tensor]:
        """Each pointwise score of the whole pool, (N,) float64; (N, K, C) is never held."""
        count = self._sample_count(num_samples)
        held = self._held.get("log_probs")
        parts: list[list[Tensor]] = [[] for _ in functions]
        for log_probs in self._stream_log_probs(count) if held is None else self._cut(count):
            for part, function in zip(parts, functions, strict=True):
                part.append(function(log_probs).double().cpu())
        return [torch.cat(part) for part in parts]

    def features(self) -> Tensor:
        """(N, D) float32 features of the pool."""
        return self._features("features", self.indices)

    def labeled_features(self) -> Tensor:
        """(M, D) float32 features of the labeled set, in the order in which it was labeled."""
        return self._features("labeled_features", self._labeled.indices)

    def labels(self) -> Tensor:
        """(M,) int64 labels of the labeled set, in the same order."""
        return self._labeled.labels

    def inputs(self, positions: Tensor) -> Tensor:
        """(n, *input_shape) float32 inputs of the pool at ``positions``."""
        return self._inputs.gather(self.indices[positions], self._device)

    def timed_select(
        self, strategy: Strategy, batch_size: int, generator: torch.Generator
    ) -> Selection:
        """The strategy's selection, with the time it took kept in the view."""
        started = time.perf_counter()
        selection = strategy.select(self, batch_size, generator)
        self.seconds_select = time.perf_counter() - started - self.seconds_score
        return selection

    def _sample_count(self, num_samples: int | None) -> int:
        if num_samples is None:
            return self.num_samples
        if not 1 <= num_samples <= self.num_samples:
            raise ConfigError(
                f"The strategy asks for {num_samples} posterior samples; the model has "
                f"{self.num_samples}.",
                f"Use strategy.num_samples={self.num_samples} or fewer.",
            )
        return num_samples

    def _chunks(self, indices: Tensor, compute: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
        posterior, device = self._posterior, self._device
        chunks = chunked(posterior, self._inputs, indices, device, self._chunk_bytes)
        while True:
            started = time.perf_counter()
            try:
                computed = compute(next(chunks))
                if device.type == "cuda":
                    torch.cuda.synchronize(device)  # else its time would go to the selection
            except StopIteration:
                return
            finally:
                self.seconds_score += time.perf_counter() - started
            yield computed

    def _stream_log_probs(self, count: int) -> Iterator[Tensor]:
        for log_probs in self._chunks(
            self.indices, lambda inputs: self._posterior.log_probs(inputs, count)
        ):
            if self._must_differ and count > 1:
                if bool((log_probs == log_probs[:, :1]).all()):
                    raise AlBenchError(
                        f"All {count} posterior samples are identical, so the strategy's scores "
                        "mean nothing.",
                        "Use a network with dropout, or model=deep_ensemble.",
                    )
                self._must_differ = False
            yield log_probs

    def _cut(self, count: int) -> Iterator[Tensor]:
        """The log-probabilities that are held, in chunks: scores need room for temporaries."""
        log_probs = self.log_probs(count)
        size = max(1, self._chunk_bytes // (8 * log_probs[0].numel()))
        yield from torch.split(log_probs, size)

    def _features(self, name: str, indices: Tensor) -> Tensor:
        if name not in self._held:
            parts = list(self._chunks(indices, self._posterior.features))
            self._held[name] = torch.cat(parts) if parts else torch.empty(0, 0)
        return self._held[name]
