"""Test and validation metrics of a posterior: the only place that reads test sets."""

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from al_bench.data.base import Inputs
from al_bench.information.crossentropy import updated_log_probs
from al_bench.information.entropies import predictive_log_probs
from al_bench.models.base import Posterior
from al_bench.models.chunks import in_chunks
from al_bench.rounds import metrics, ood
from al_bench.rounds.joint import JOINT, JointLosses, online_columns, online_weights
from al_bench.rounds.trial import Trial

Computed = TypeVar("Computed")


def validate(posterior: Posterior, trial: Trial) -> dict[str, Any]:
    """Curve columns ``validation_*``, null without a validation set, and the seconds so far."""
    started = time.perf_counter()
    validation = trial.validation_set()
    row: dict[str, Any] = {"validation_accuracy": None, "validation_nll": None}
    if len(validation):
        inputs, indices = validation.inputs, validation.indices
        parts = list(_passes(posterior, trial, inputs, _predicted, indices))
        bins = trial.run.calibration_bins
        measured = metrics.evaluate(torch.cat(parts), validation.labels, bins)
        row = {f"validation_{name}": measured[name] for name in ("accuracy", "nll")}
    row["seconds_evaluate"] = time.perf_counter() - started
    return row


def evaluate(
    posterior: Posterior,
    trial: Trial,
    validated: Mapping[str, Any],
    acquired: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """All curve columns that evaluation fills, of one pass over the test set.

    Args:
        posterior: What predicts.
        trial: Whose round it is.
        validated: What ``validate`` says of the posterior.
        acquired: Acquisition rows of the round; empty where nothing is bought.
    """
    started = time.perf_counter()
    run, test = trial.run, trial.test
    bins, known = run.calibration_bins, trial.pool.known_classes
    scores = ood.scores_of(posterior, run.num_evaluated(posterior.num_samples)) if run.ood else {}
    weights = online_weights(posterior, trial, acquired) if run.online else None
    losses = None if run.joint_size is None else JointLosses(test.labels, run.joint_size)
    predicted: list[Tensor] = []
    updated: list[Tensor] = []
    inliers: dict[str, list[Tensor]] = {name: [] for name in scores}
    plain = weights is None and losses is None and not scores

    def shown(inputs: Tensor, log_probs: Tensor) -> _Shown:
        prediction = predictive_log_probs(log_probs)
        if plain or prediction.isnan().any():  # metrics will say so
            return _Shown(prediction)
        again = None
        if weights is not None:
            again = updated_log_probs(log_probs, weights.to(log_probs.device))
        values = _scored(posterior, scores, inputs, log_probs)
        return _Shown(prediction, again, log_probs if losses is not None else None, values)

    for part in _passes(posterior, trial, test.inputs, shown):
        predicted.append(part.prediction)
        if part.updated is not None:
            updated.append(part.updated)
        if losses is not None and part.log_probs is not None:
            losses.add(part.log_probs)
        for name, values in part.scores.items():
            inliers[name].append(values)
    measured = metrics.evaluate(torch.cat(predicted), test.labels, bins, known)
    online = metrics.evaluate(torch.cat(updated), test.labels, bins, known) if updated else {}
    others = {other.name: _scores(posterior, trial, other.inputs, scores) for other in run.ood}
    row = {
        **validated,
        **{f"test_{name}": value for name, value in measured.items()},
        "metrics_version": metrics.VERSION,
        **(dict.fromkeys(JOINT) if losses is None else losses.columns()),
        **online_columns(weights, online),
        **ood.columns(run.identity.dataset, trial.num_classes, _joined(inliers), others),
    }
    row["seconds_evaluate"] += time.perf_counter() - started
    return row | peak_memory(trial.engine.device)


@dataclass(frozen=True)
class _Shown:
    """What evaluation makes of a chunk of the test set, n points.

    Args:
        prediction: Log-probabilities (n, C).
        updated: The same once labels have reweighted the samples.
        log_probs: Of the samples, (n, K, C), where joint losses want them.
        scores: Each out-of-distribution score (n,) by name.
    """

    prediction: Tensor
    updated: Tensor | None = None
    log_probs: Tensor | None = None
    scores: Mapping[str, Tensor] = field(default_factory=dict)


def _passes(
    posterior: Posterior,
    trial: Trial,
    inputs: Inputs,
    of: Callable[[Tensor, Tensor], Computed],
    indices: Tensor | None = None,
) -> Iterator[Computed]:
    """What ``of`` makes of inputs, all of them or those at ``indices``, chunk by chunk.

    It is given inputs (n, *input_shape) and their log-probabilities (n, K, C), of the samples that
    metrics are made of.
    """
    engine, count = trial.engine, trial.run.num_evaluated(posterior.num_samples)
    wanted = torch.arange(len(inputs)) if indices is None else indices

    def shown(chunk: Tensor) -> Computed:
        return of(chunk, posterior.log_probs(chunk, count))

    return in_chunks(posterior, inputs, wanted, engine.device, engine.chunk_bytes, shown)


def _predicted(inputs: Tensor, log_probs: Tensor) -> Tensor:
    return predictive_log_probs(log_probs)


def _scores(
    posterior: Posterior, trial: Trial, inputs: Inputs, scores: Mapping[str, ood.Score]
) -> dict[str, Tensor]:
    """Each score (n,) by name, on the CPU, of another data set's test set."""
    values: dict[str, list[Tensor]] = {name: [] for name in scores}
    of = partial(_scored, posterior, scores)
    for part in _passes(posterior, trial, inputs, of):
        for name, each in part.items():
            values[name].append(each)
    return _joined(values)


def _scored(
    posterior: Posterior, scores: Mapping[str, ood.Score], inputs: Tensor, log_probs: Tensor
) -> dict[str, Tensor]:
    """Each score (n,) by name of one chunk."""
    return {name: score.of(posterior, inputs, log_probs) for name, score in scores.items()}


def _joined(values: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat(list(parts)).cpu() for name, parts in values.items()}


def peak_memory(device: torch.device) -> dict[str, int | None]:
    """Peak memory of this process and of its accelerator so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    on_device = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {"peak_memory_bytes": resident, "peak_device_memory_bytes": on_device}
