"""Test and validation metrics of a posterior: the only place that reads test sets."""

import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from al_bench.data.base import Inputs
from al_bench.information.crossentropy import updated_log_probs
from al_bench.information.entropies import predictive_log_probs
from al_bench.models.base import Posterior
from al_bench.models.chunks import chunked
from al_bench.rounds import metrics, ood
from al_bench.rounds.joint import JOINT, JointLosses, online_columns, online_weights
from al_bench.rounds.trial import Trial


def validate(posterior: Posterior, trial: Trial) -> dict[str, Any]:
    """Curve columns ``validation_*``, null without a validation set, and the seconds so far."""
    started = time.perf_counter()
    validation = trial.validation_set()
    row: dict[str, Any] = {"validation_accuracy": None, "validation_nll": None}
    if len(validation):
        inputs, indices = validation.inputs, validation.indices
        parts = [
            _predicted(log_probs) for _, log_probs in _shown(posterior, trial, inputs, indices)
        ]
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
    for inputs, log_probs in _shown(posterior, trial, test.inputs):
        predicted.append(_predicted(log_probs))
        if predicted[-1].isnan().any():
            continue  # metrics will say so
        if weights is not None:
            updated.append(updated_log_probs(log_probs, weights.to(log_probs.device)).cpu())
        if losses is not None:
            losses.add(log_probs)
        for name, score in scores.items():
            inliers[name].append(score.of(posterior, inputs, log_probs).cpu())
    measured = metrics.evaluate(torch.cat(predicted), test.labels, bins, known)
    online = metrics.evaluate(torch.cat(updated), test.labels, bins, known) if updated else {}
    others = {other.name: _scored(posterior, trial, other.inputs, scores) for other in run.ood}
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


def _shown(
    posterior: Posterior, trial: Trial, inputs: Inputs, indices: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs in chunks, all of them or those at ``indices``, each with what is predicted of it.

    Yields:
        (n, *input_shape), and log-probabilities (n, K, C) of the samples that metrics are made of.
    """
    engine, count = trial.engine, trial.run.num_evaluated(posterior.num_samples)
    wanted = torch.arange(len(inputs)) if indices is None else indices
    for chunk in chunked(posterior, inputs, wanted, engine.device, engine.chunk_bytes):
        yield chunk, posterior.log_probs(chunk, count)


def _predicted(log_probs: Tensor) -> Tensor:
    return predictive_log_probs(log_probs).cpu()


def _scored(
    posterior: Posterior, trial: Trial, inputs: Inputs, scores: Mapping[str, ood.Score]
) -> dict[str, Tensor]:
    """Each score (n,) by name, on the CPU, of another data set's test set."""
    values: dict[str, list[Tensor]] = {name: [] for name in scores}
    for chunk, log_probs in _shown(posterior, trial, inputs):
        for name, score in scores.items():
            values[name].append(score.of(posterior, chunk, log_probs).cpu())
    return _joined(values)


def _joined(values: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat(list(parts)) for name, parts in values.items()}


def peak_memory(device: torch.device) -> dict[str, int | None]:
    """Peak memory of this process and of its accelerator so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    on_device = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {"peak_memory_bytes": resident, "peak_device_memory_bytes": on_device}
