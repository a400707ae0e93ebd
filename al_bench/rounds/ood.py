"""Out-of-distribution evaluation: which uncertainty tells other data sets from a run's own.

n points of a test set, K posterior samples, C classes.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from al_bench.errors import TrainingError
from al_bench.information.average import average_prediction
from al_bench.information.entropies import entropy as entropy_of
from al_bench.information.entropies import mutual_information, predictive_log_probs
from al_bench.models.base import DENSITY, LOGITS, SAMPLES, Posterior
from al_bench.models.capabilities import offered
from al_bench.rounds.detection import detection
from al_bench.rounds.histograms import histogram


@dataclass(frozen=True)
class Score:
    """How uncertain a posterior is of a point, higher for what it does not know.

    Args:
        of: From a posterior, inputs (n, *input_shape) and the log-probabilities (n, K, C) of these
            to (n,).
        needs: What the posterior must provide; ``None`` is nothing beside predictions.
    """

    of: Callable[[Posterior, Tensor, Tensor], Tensor]
    needs: str | None = None


def _entropy(posterior: Posterior, inputs: Tensor, log_probs: Tensor) -> Tensor:
    return entropy_of(predictive_log_probs(log_probs))


def _max_probability(posterior: Posterior, inputs: Tensor, log_probs: Tensor) -> Tensor:
    """One less the largest probability, as the sum of the others: near 1 that one has no digits."""
    return average_prediction(log_probs).doubt.squeeze(1)


def _mutual_information(posterior: Posterior, inputs: Tensor, log_probs: Tensor) -> Tensor:
    return mutual_information(log_probs)


def _energy(posterior: Posterior, inputs: Tensor, log_probs: Tensor) -> Tensor:
    """Liu et al. (2020), arXiv:2010.03759, at temperature 1."""
    logits: Tensor = offered(posterior, LOGITS)(inputs)
    return -logits.double().logsumexp(dim=1)


def _density(posterior: Posterior, inputs: Tensor, log_probs: Tensor) -> Tensor:
    """Minus the logarithm of the features' density: Mukhoti et al. (2023), arXiv:2102.11582."""
    log_density: Tensor = offered(posterior, DENSITY)(inputs)
    return -log_density


SCORES: Mapping[str, Score] = {
    "entropy": Score(_entropy),
    "max_probability": Score(_max_probability),
    "mutual_information": Score(_mutual_information, SAMPLES),
    "energy": Score(_energy, LOGITS),
    "density": Score(_density, DENSITY),
}


def scores_of(posterior: Posterior, num_samples: int) -> dict[str, Score]:
    """The scores that a posterior has, by name.

    Args:
        posterior: The model.
        num_samples: Posterior samples of which predictions are made.
    """
    there = posterior.provides if num_samples > 1 else posterior.provides - {SAMPLES}
    return {name: one for name, one in SCORES.items() if one.needs is None or one.needs in there}


def columns(
    dataset: str,
    num_classes: int,
    inliers: Mapping[str, Tensor],
    others: Mapping[str, Mapping[str, Tensor]],
) -> dict[str, Any]:
    """The columns ``ood`` and ``ood_histograms``; null where there is no other data set.

    Args:
        dataset: The run's data set in results.
        num_classes: C.
        inliers: Score to its values (n,) for the run's own test set.
        others: Name of another data set to the same for its test set.

    Raises:
        TrainingError: A score is NaN.
    """
    if not others:
        return {"ood": None, "ood_histograms": None}
    sets = {dataset: inliers, **others}
    for name, scores in sets.items():
        for score, values in scores.items():
            if broken := int(values.isnan().sum()):
                raise TrainingError(
                    f"The model's {score} is NaN for {broken} of {len(values)} test points of "
                    f"{name}."
                )
    entries = [
        {"dataset": name, "score": score, **detection(inliers[score], values)}
        for name, scores in others.items()
        for score, values in scores.items()
    ]
    entropies = {name: scores["entropy"] for name, scores in sets.items()}
    histograms = {"entropy": histogram(entropies, (0.0, math.log(num_classes)))}
    if "density" in inliers:
        logs = {name: -scores["density"] for name, scores in sets.items()}
        histograms["log_density"] = histogram(logs)
    return {"ood": entries, "ood_histograms": json.dumps(histograms)}
