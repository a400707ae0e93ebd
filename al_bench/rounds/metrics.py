"""How good predictions are: accuracy, calibration and their relatives, from log-probabilities.

n test points, K posterior samples, C classes.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from al_bench.errors import TrainingError
from al_bench.information.entropies import predictive_log_probs

VERSION = 2
"""Of the definitions below, stored with every row; raised when the same predictions give another
value. Rows from before the first change have none. 1: confidences on an edge of an interval. 2: the
largest probability tells points apart that are all but certain (``ood``).
"""

EDGE = 1e-6
"""A confidence this close above an edge of an interval is on it.

Predictions are float32, so a confidence of exactly 0.6 may come out as 0.60000002, and an average
of posterior samples that is formed through logarithms as 0.6000000000000001.
"""

EPSILON = 2.0**-52
"""The least probability the NLL is charged for, so a single -inf costs 36.04 nats and not all.

It is float64's machine epsilon, which scikit-learn's ``log_loss`` uses too.
"""


def evaluate(
    log_probs: Tensor, labels: Tensor, bins: int = 15, known: Sequence[int] | None = None
) -> dict[str, Any]:
    """Every metric of a test set, under its column's name without ``test_``.

    The predicted class is the most probable one, the first of equals. Fractions lie in 0 … 1:

    - ``accuracy``; ``balanced_accuracy``, the mean recall of the classes that occur in ``labels``;
      ``macro_f1``, the mean F1 of the ``known`` classes that occur in ``labels`` or among the
      predictions.
    - ``nll``, nats, with probabilities clipped at ``EPSILON``; ``entropy`` of the prediction, nats.
    - ``brier``, squared error summed over the classes, 0 … 2 (Brier 1950).
    - ``ece``, expected calibration error in ``bins`` intervals of equal width, each open below and
      closed above (Guo et al. 2017, arXiv:1706.04599); within ``EDGE`` above an edge is on it.
    - ``class_accuracy``, the recall of each class, None where it does not occur.
    - ``calibration_count``, ``calibration_confidence``, ``calibration_accuracy`` of each interval;
      the means are None where an interval is empty.

    Args:
        log_probs: Log-probabilities of the prediction (n, C), or of its posterior samples
            (n, K, C), which are averaged first.
        labels: (n,) int64.
        bins: Calibration intervals.
        known: Classes that the data set has an example of; ``None`` is all.

    Raises:
        TrainingError: A prediction is NaN.
    """
    if log_probs.ndim == 3:
        log_probs = predictive_log_probs(log_probs)
    if log_probs.ndim != 2 or labels.shape != log_probs.shape[:1] or not len(labels):
        raise ValueError(
            "log_probs must have shape (n, C) or (n, K, C) and labels (n,), n at least 1, got "
            f"{tuple(log_probs.shape)} and {tuple(labels.shape)}"
        )
    log_probs = log_probs.detach().cpu().double()  # (n, C)
    labels = labels.cpu()
    if broken := int(log_probs.isnan().any(dim=1).sum()):
        raise TrainingError(f"The model predicts NaN for {broken} of {len(labels)} test points.")

    probs = log_probs.exp()  # (n, C)
    predicted = log_probs.argmax(dim=1)  # the first of equals
    correct = (predicted == labels).double()
    log_likelihood = log_probs.gather(1, labels[:, None]).squeeze(1)  # (n,)
    target = torch.nn.functional.one_hot(labels, probs.shape[1])
    return {
        "accuracy": float(correct.mean()),
        **_by_class(predicted, labels, probs.shape[1], known),
        "nll": float(-log_likelihood.clamp(min=math.log(EPSILON)).mean()),
        "brier": float((probs - target).square().sum(dim=1).mean()),
        "entropy": float(torch.special.entr(probs).sum(dim=1).mean()),
        **_calibration(probs.amax(dim=1), correct, bins),
    }


def _by_class(
    predicted: Tensor, labels: Tensor, num_classes: int, known: Sequence[int] | None
) -> dict[str, Any]:
    hits = torch.bincount(labels[predicted == labels], minlength=num_classes).double()  # (C,)
    actual = torch.bincount(labels, minlength=num_classes)
    claimed = torch.bincount(predicted, minlength=num_classes)
    recall = hits / actual  # NaN for an absent class
    f1 = 2 * hits / (actual + claimed)
    counted = actual + claimed > 0
    if known is not None:
        counted &= torch.isin(torch.arange(num_classes), torch.tensor(list(known)))
    return {
        "balanced_accuracy": float(recall[actual > 0].mean()),
        "macro_f1": float(f1[counted].mean()),
        "class_accuracy": _or_none(recall),
    }


def _calibration(confidence: Tensor, correct: Tensor, bins: int) -> dict[str, Any]:
    inner_edges = torch.arange(1, bins, dtype=torch.float64) / bins + EDGE
    place = torch.bucketize(confidence, inner_edges)  # right=False: edge i closes interval i
    count = torch.bincount(place, minlength=bins)
    mean_confidence = torch.bincount(place, weights=confidence, minlength=bins) / count
    accuracy = torch.bincount(place, weights=correct, minlength=bins) / count
    gaps = (mean_confidence - accuracy).abs().nan_to_num()  # NaN: an empty interval
    return {
        "ece": float((gaps * count).sum() / len(confidence)),
        "calibration_count": count.tolist(),
        "calibration_confidence": _or_none(mean_confidence),
        "calibration_accuracy": _or_none(accuracy),
    }


def _or_none(values: Tensor) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]
