"""PIG: what labels that are known already tell of the predictions on target inputs, a control.

N pool points, T target inputs, K posterior samples, C classes, B batch size.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.errors import require_whole
from al_bench.information.observed import entropy_drop, flat_probs
from al_bench.models.base import SAMPLES
from al_bench.strategies.base import LABELS, PoolView, Selection, check_num_samples
from al_bench.strategies.observed import select_observed


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
        """Picks in greedy order; scores and notes as ``select_observed`` says."""
        targets = view.target_log_probs(self.num_targets, self.num_samples)
        if targets.isnan().any():
            raise ValueError("log-probabilities of target inputs are NaN")
        target_probs = flat_probs(targets)

        def gain(weights: Tensor, after: Tensor) -> Tensor:
            return entropy_drop(weights, after, target_probs, len(targets))

        return select_observed(view, batch_size, self.num_samples, gain, generator)
