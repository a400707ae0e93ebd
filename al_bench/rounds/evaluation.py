"""Test and validation metrics of a posterior: the only place that reads a test set."""

import resource
import sys
import time
from typing import Any

import torch
from torch import Tensor

from al_bench.data.base import Inputs
from al_bench.information.entropies import predictive_log_probs
from al_bench.models.base import Posterior
from al_bench.models.chunks import chunked
from al_bench.rounds import metrics
from al_bench.rounds.trial import Trial


def evaluate(posterior: Posterior, trial: Trial) -> dict[str, Any]:
    """Curve columns ``test_*``, ``validation_*``, their version, seconds and peak memory."""
    started = time.perf_counter()
    bins = trial.run.calibration_bins
    test = trial.test
    everything = torch.arange(len(test))
    row: dict[str, Any] = {
        f"test_{name}": value
        for name, value in metrics.evaluate(
            _predict(posterior, trial, test.inputs, everything),
            test.labels,
            bins,
            trial.pool.known_classes,
        ).items()
    }
    validation = trial.validation_set()
    row["metrics_version"] = metrics.VERSION
    row["validation_accuracy"] = row["validation_nll"] = None
    if len(validation):
        log_probs = _predict(posterior, trial, validation.inputs, validation.indices)
        measured = metrics.evaluate(log_probs, validation.labels, bins)
        row["validation_accuracy"] = measured["accuracy"]
        row["validation_nll"] = measured["nll"]
    row["seconds_evaluate"] = time.perf_counter() - started
    return row | peak_memory(trial.engine.device)


def _predict(posterior: Posterior, trial: Trial, inputs: Inputs, indices: Tensor) -> Tensor:
    """Predictive log-probabilities (n, C) on the CPU."""
    engine = trial.engine
    count = min(trial.run.evaluation_samples or posterior.num_samples, posterior.num_samples)
    chunks = chunked(posterior, inputs, indices, engine.device, engine.chunk_bytes)
    parts = [predictive_log_probs(posterior.log_probs(chunk, count)).cpu() for chunk in chunks]
    return torch.cat(parts)


def peak_memory(device: torch.device) -> dict[str, int | None]:
    """Peak memory of this process and of its accelerator so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    on_device = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {"peak_memory_bytes": resident, "peak_device_memory_bytes": on_device}
