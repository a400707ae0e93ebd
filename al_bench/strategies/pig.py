"""PIG: what labels that are known already tell of the predictions on target inputs, a control.

N pool points, T target inputs, K posterior samples, C classes, B batch size.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from al_bench.errors import require_whole
from al_bench.information.crossentropy import effective_samples
from al_bench.information.observed import (
    entropy_drop,
    flat_probs,
    label_log_probs,
    posterior,
    uniform,
)
from al_bench.models.base import SAMPLES
from al_bench.strategies.base import LABELS, REFUSED, PoolView, Selection, check_num_samples

LEAST_GAIN = 1e-6  # nats: less is rounding


@dataclass(frozen=True)
class PIG:
    """Greedy predictive information gain of true labels; Kirsch and Gal (2022), arXiv:2208.00549.

    E_x* I[y_1, …, y_B; Y* | x*]: how much more certain the true labels of the batch make the
    prediction on a random target input. That needs labels before they are bought, so this is a
    control: what EPIG could choose if it knew the label it averages over (as active sampling does).
    Each pick maximises E_x* (H[Y* | x*, y_A] - H[Y* | x*, y_A, y]) over T inputs drawn every round
    from the run's target distribution. A label may make predictions less certain, so scores can be
    negative. Labels known, no joint labelings are needed: exact given the K samples and the
    targets, up to rounding (1e-6 nats, in float64 below 1e-3), at 2·B·N·K·T·C operations in float32
    and B·N·T·C logarithms. After some labels few of the K samples keep any weight
    (``effective_samples``), and nothing is left to be gained. A point that the annotator refuses
    gains 0.

    Gains are neither submodular nor of one sign, so every candidate is evaluated at every pick, and
    negative gains are picked when nothing better is left. The search ends where no single label
    changes anything, though two of them together still might.

    The published code of "CoreSetPIG" compares the surprise -log p(y | x) of a model and of another
    one trained on the targets' predictions; the definition is used here.

    Args:
        num_targets: Target inputs T.
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
    """

    num_targets: int = 100
    num_samples: int | None = None
    needs: ClassVar[frozenset[str]] = frozenset({SAMPLES, LABELS})

    def __post_init__(self) -> None:
        require_whole("num_targets", self.num_targets, 1)
        check_num_samples(self.num_samples)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are what each label gains, in nats.

        Once no label changes anything by ``LEAST_GAIN`` the rest of the batch is drawn uniformly,
        without scores (NaN). Notes: ``num_drawn``, how many those are; ``effective_samples`` at the
        end, between 1 and K; ``fell_back`` = ``random`` when no label tells anything.
        """
        if not 1 <= batch_size <= len(view):
            raise ValueError(f"cannot pick {batch_size} of {len(view)} points")
        targets = view.target_log_probs(self.num_targets, self.num_samples)
        labels = view.pool_labels()
        log_probs = view.log_probs(self.num_samples)
        of_label = label_log_probs(log_probs, labels.clamp_min(0))  # (N, K)
        refused = (labels == REFUSED).to(of_label.device)
        of_label = of_label.masked_fill(refused[:, None], 0.0)  # certain, so it tells nothing
        if targets.isnan().any():
            raise ValueError("log-probabilities of target inputs are NaN")
        order = torch.randperm(len(of_label), generator=generator)
        of_label = of_label[order.to(of_label.device)]
        target_probs = flat_probs(targets)
        weights = uniform(of_label)
        left = torch.ones(len(of_label), dtype=torch.bool, device=of_label.device)
        picks: list[int] = []
        values: list[float] = []
        notes: dict[str, float | int | str | bool] = {}
        while len(picks) < batch_size:
            after = posterior(of_label, weights)
            gains = entropy_drop(weights, after, target_probs, len(targets))
            if not picks and not gains.any():
                notes["fell_back"] = "random"
            if picks and float(gains[left].abs().max()) < LEAST_GAIN:
                break
            gains = gains.where(left, -math.inf)
            best = int((gains == gains.max()).int().argmax())  # the first one
            picks.append(best)
            values.append(float(gains[best]))
            left[best] = False
            weights = after[best]
        missing = batch_size - len(picks)
        if missing:
            notes["num_drawn"] = missing
            picks += left.nonzero().squeeze(1)[:missing].tolist()  # they are in random order
            values += [math.nan] * missing
        notes["effective_samples"] = effective_samples(weights)
        return Selection(order[picks], torch.tensor(values, dtype=torch.float64), notes)
