"""Test and validation metrics of a posterior: the only place that reads test sets."""

import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from al_bench.data.base import Inputs
from al_bench.information.entropies import predictive_log_probs
from al_bench.models.base import Posterior
from al_bench.models.chunks import chunked
from al_bench.rounds import metrics, ood
from al_bench.rounds.trial import Trial


def evaluate(posterior: Posterior, trial: Trial) -> dict[str, Any]:
    """Curve columns ``test_*``, ``validation_*``, ``ood*``, version, seconds and peak memory."""
    started = time.perf_counter()
    bins = trial.run.calibration_bins
    test = trial.test
    scores = ood.scores_of(posterior, _num_samples(posterior, trial)) if trial.run.ood else {}
    log_probs, inliers = _scored(posterior, trial, test.inputs, scores)
    row: dict[str, Any] = {
        f"test_{name}": value
        for name, value in metrics.evaluate(
            log_probs, test.labels, bins, trial.pool.known_classes
        ).items()
    }
    others = {
        other.name: _scored(posterior, trial, other.inputs, scores)[1] for other in trial.run.ood
    }
    row |= ood.columns(trial.run.identity.dataset, trial.num_classes, inliers, others)
    validation = trial.validation_set()
    row["metrics_version"] = metrics.VERSION
    row["validation_accuracy"] = row["validation_nll"] = None
    if len(validation):
        log_probs, _ = _scored(posterior, trial, validation.inputs, {}, validation.indices)
        measured = metrics.evaluate(log_probs, validation.labels, bins)
        row["validation_accuracy"] = measured["accuracy"]
        row["validation_nll"] = measured["nll"]
    row["seconds_evaluate"] = time.perf_counter() - started
    return row | peak_memory(trial.engine.device)


def _num_samples(posterior: Posterior, trial: Trial) -> int:
    return min(trial.run.evaluation_samples or posterior.num_samples, posterior.num_samples)


def _scored(
    posterior: Posterior,
    trial: Trial,
    inputs: Inputs,
    scores: Mapping[str, ood.Score],
    indices: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Predictive log-probabilities (n, C) and each score (n,) by name, on the CPU, of one pass.

    Args:
        posterior: What predicts.
        trial: Whose.
        inputs: Of a test set or a pool.
        scores: Wanted beside the predictions.
        indices: (n,) of the inputs; ``None`` is all.
    """
    engine, count = trial.engine, _num_samples(posterior, trial)
    wanted = torch.arange(len(inputs)) if indices is None else indices
    predicted: list[Tensor] = []
    values: dict[str, list[Tensor]] = {name: [] for name in scores}
    for chunk in chunked(posterior, inputs, wanted, engine.device, engine.chunk_bytes):
        log_probs = posterior.log_probs(chunk, count)
        predicted.append(predictive_log_probs(log_probs).cpu())
        for name, score in scores.items():
            values[name].append(score.of(posterior, chunk, log_probs).cpu())
    return torch.cat(predicted), {name: torch.cat(parts) for name, parts in values.items()}


def peak_memory(device: torch.device) -> dict[str, int | None]:
    """Peak memory of this process and of its accelerator so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    on_device = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {"peak_memory_bytes": resident, "peak_device_memory_bytes": on_device}
