"""What posterior samples predict together: joint losses, and what new labels make of the samples.

n points, K posterior samples ω_1 … ω_K, C classes; in nats. Kirsch et al. (2022), arXiv:2205.08766.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from al_bench.errors import TrainingError
from al_bench.information.crossentropy import effective_samples
from al_bench.information.observed import label_log_probs
from al_bench.models.base import Posterior
from al_bench.models.chunks import in_chunks
from al_bench.rounds.metrics import EPSILON
from al_bench.rounds.trial import Trial

JOINT = ("test_nll_joint", "test_nll_conditional")
ONLINE = ("online_accuracy", "online_nll", "online_effective_samples", "online_top_weight")
LEFT_OUT = -1  # of a partition: the batch of points that fill none


def partition(num_points: int, batch_size: int) -> Tensor:
    """The batch of each point of a test set, from 0, and ``LEFT_OUT`` for those that fill none.

    Drawn from numbers that are always the same, so it depends on its arguments alone: all arms,
    seeds and rounds have the same batches.

    Args:
        num_points: Of the test set.
        batch_size: Points in a batch, between 1 and ``num_points``.

    Returns:
        (num_points,) int64.
    """
    order = torch.randperm(num_points, generator=torch.Generator().manual_seed(0))
    batches = torch.full((num_points,), LEFT_OUT)
    filled = num_points // batch_size * batch_size
    batches[order[:filled]] = torch.arange(filled) // batch_size
    return batches


class JointLosses:
    """Joint and single losses of a test set that is shown in chunks.

    -(1/b) log mean_k Π_i p(y_i | x_i, ω_k) of each batch of b points, and for the same points
    -mean_k log p(y_i | x_i, ω_k), which is never less. A label costs a sample 36 nats at most, as
    ``metrics.EPSILON`` says of a prediction. Of each batch that has begun and is not whole yet K
    numbers are held, never more than that.

    Args:
        labels: Of the test set, (n,) int64.
        batch_size: b, between 1 and n.
    """

    def __init__(self, labels: Tensor, batch_size: int) -> None:
        self._labels = labels
        self._batch_size = batch_size
        self._batches = partition(len(labels), batch_size).tolist()
        self._next = 0  # place of the point to come
        self._begun: dict[int, tuple[int, Tensor]] = {}  # by batch: points so far, and their sum
        self._joint: list[float] = []
        self._single: list[float] = []

    def add(self, log_probs: Tensor) -> None:
        """Log-probabilities (n, K, C) of the next points of the test set, in its order."""
        begin, self._next = self._next, self._next + len(log_probs)
        of_label = _of_label(log_probs, self._labels[begin : self._next])
        of_label = of_label.clamp_min(math.log(EPSILON))
        single = (-of_label.mean(dim=1)).tolist()
        batches = self._batches[begin : self._next]
        for batch, loss, values in zip(batches, single, of_label, strict=True):
            if batch == LEFT_OUT:
                continue
            self._single.append(loss)
            count, total = self._begun.pop(batch, (0, torch.zeros_like(values)))
            count, total = count + 1, total + values
            if count == self._batch_size:
                joint = total.logsumexp(dim=0) - math.log(len(total))
                self._joint.append(-float(joint) / count)
            else:
                self._begun[batch] = count, total

    def columns(self) -> dict[str, float]:
        """The columns ``JOINT``, nats per label, once all points have been added."""
        means = (math.fsum(losses) / len(losses) for losses in (self._joint, self._single))
        return dict(zip(JOINT, means, strict=True))


def online_weights(
    posterior: Posterior, trial: Trial, acquired: Sequence[Mapping[str, Any]]
) -> Tensor | None:
    """p(ω_k | y_1, …, y_n): what the labels that a round has bought make of its samples.

    Where no sample thinks the labels possible together, as happens to forests, each label counts
    for every sample as at least ``metrics.EPSILON`` probable.

    Args:
        posterior: Of the round, before it has seen the labels.
        trial: Whose.
        acquired: Acquisition rows of the round; refused labels say nothing.

    Returns:
        (K,) float64 of the samples that metrics are made of, summing to one; ``None`` where nothing
        was bought.

    Raises:
        TrainingError: A prediction is NaN.
    """
    bought = [entry for entry in acquired if entry["round"] is not None]
    if not bought:
        return None
    answered = [entry for entry in bought if entry["label"] is not None]
    indices = torch.tensor([entry["index"] for entry in answered], dtype=torch.int64)
    labels = torch.tensor([entry["label"] for entry in answered], dtype=torch.int64)
    engine, count = trial.engine, trial.run.num_evaluated(posterior.num_samples)
    of_label = torch.zeros(0, count, dtype=torch.float64)
    if answered:
        parts = []
        for log_probs in in_chunks(
            posterior,
            trial.pool.inputs,
            indices,
            engine.device,
            engine.chunk_bytes,
            lambda inputs: posterior.log_probs(inputs, count),
        ):
            if log_probs.isnan().any():
                raise TrainingError("The model predicts NaN for points that it has bought.")
            known, labels = labels[: len(log_probs)], labels[len(log_probs) :]
            parts.append(_of_label(log_probs, known))
        of_label = torch.cat(parts)  # (n, K)
    weights = of_label.sum(dim=0).softmax(dim=0)
    if weights.isnan().any():
        weights = of_label.clamp_min(math.log(EPSILON)).sum(dim=0).softmax(dim=0)
    return weights


def online_columns(weights: Tensor | None, measured: Mapping[str, Any]) -> dict[str, Any]:
    """The columns ``ONLINE``; null where there are no weights.

    Args:
        weights: Of the samples, (K,).
        measured: Metrics of the weighted prediction on the test set.
    """
    if weights is None:
        return dict.fromkeys(ONLINE)
    values = (
        measured["accuracy"],
        measured["nll"],
        effective_samples(weights),
        float(weights.max()),
    )
    return dict(zip(ONLINE, values, strict=True))


def _of_label(log_probs: Tensor, labels: Tensor) -> Tensor:
    return label_log_probs(log_probs, labels).cpu()
