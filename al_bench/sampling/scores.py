"""Scores of labeled candidates: what a step on each is worth, higher is wanted more.

n candidates, T target inputs, K posterior samples ω_1 … ω_K, C classes. Capitals are random and
small letters observed, as in Kirsch and Gal (2021), arXiv:2106.12062: -log p(y | x) is the surprise
H[y | x] of the label that is there, H[Y | x] its expectation. All scores are in nats unless they
say otherwise.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.errors import require_whole
from al_bench.information.entropies import conditional_entropy
from al_bench.information.observed import (
    information_gain,
    label_log_probs,
    predictive_information_gain,
)
from al_bench.models.base import GRADIENTS, SAMPLES
from al_bench.sampling.base import IRREDUCIBLE, TARGETS, CandidateView
from al_bench.strategies.epig import fingerprint, same_for_copies
from al_bench.strategies.last_layer import label_errors


@dataclass(frozen=True)
class Loss:
    """-log p(y | x), the present loss; from 0. Loshchilov and Hutter (2016), arXiv:1511.06343.

    Points that the network finds hard, wrong labels among them.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def of_candidates(self, view: CandidateView, num_samples: int | None) -> Tensor:
        """(n,) float64."""
        return view.losses()


@dataclass(frozen=True)
class GradientNorm:
    """‖p - e_y‖, between 0 and √2; Katharopoulos and Fleuret (2018), arXiv:1803.00942.

    The norm of the loss's gradient in the logits. Times a constant of the network it is their upper
    bound of the norm of the gradient in all parameters.
    """

    needs: ClassVar[frozenset[str]] = frozenset({GRADIENTS})

    def of_candidates(self, view: CandidateView, num_samples: int | None) -> Tensor:
        """(n,) float64, no nats."""
        return gradient_norms(view)


@dataclass(frozen=True)
class ReducibleLoss:
    """-log p(y | x) + log p(y | x; D_ho), RHO-LOSS; Mindermann et al. (2022), arXiv:2206.07137.

    The present loss minus the irreducible one, that of a model trained on other points: large where
    the label can be learnt from other points (it is no noise), has not been learnt yet, and is like
    what is held out. Of either sign.
    """

    needs: ClassVar[frozenset[str]] = frozenset({IRREDUCIBLE})

    def of_candidates(self, view: CandidateView, num_samples: int | None) -> Tensor:
        """(n,) float64."""
        losses = view.losses()
        return losses - view.irreducible_losses().to(losses.device)


@dataclass(frozen=True)
class IrreducibleLoss:
    """log p(y | x; D_ho), at most 0: minus the irreducible loss, what is easiest to learn first.

    The part of RHO-LOSS that does not change as the network trains; an ablation of that paper.
    """

    needs: ClassVar[frozenset[str]] = frozenset({IRREDUCIBLE})

    def of_candidates(self, view: CandidateView, num_samples: int | None) -> Tensor:
        """(n,) float64."""
        return -view.irreducible_losses()


@dataclass(frozen=True)
class LossMinusConditionalEntropy:
    """(1 / K) Σ_k -log p(y | x, ω_k) - H[Y | x, Ω]: loss beyond what the network expects.

    The entropy stands for the noise of the label, as the irreducible loss does in RHO-LOSS, and
    needs no other model; an ablation of Mindermann et al. (2022), arXiv:2206.07137. Of either sign.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def of_candidates(self, view: CandidateView, num_samples: int | None) -> Tensor:
        """(n,) float64."""
        log_probs = view.log_probs(num_samples)
        return -label_log_probs(log_probs, view.labels).mean(dim=1) - conditional_entropy(log_probs)


@dataclass(frozen=True)
class InformationGain:
    """I[y; Ω | x] = H[Ω] - H[Ω | y, x], what the label tells about the parameters.

    Between 0 and log K; its expectation over p(y | x) is BALD. Kirsch and Gal (2021),
    arXiv:2106.12062.
    """

    needs: ClassVar[frozenset[str]] = frozenset({SAMPLES})

    def of_candidates(self, view: CandidateView, num_samples: int | None) -> Tensor:
        """(n,) float64."""
        return information_gain(view.log_probs(num_samples), view.labels)


@dataclass(frozen=True)
class PredictiveInformationGain:
    """E_x* I[y; Y* | x, x*], how much more certain the label makes predictions on target inputs.

    Of either sign, at most log C; its expectation over p(y | x) is EPIG. Kirsch and Gal (2022),
    arXiv:2208.00549. The average over x* is over ``num_targets`` inputs that are drawn from the
    run's target distribution, by default from the training points.

    Args:
        num_targets: Target inputs T.
    """

    num_targets: int = 100
    needs: ClassVar[frozenset[str]] = frozenset({SAMPLES, TARGETS})

    def __post_init__(self) -> None:
        require_whole("num_targets", self.num_targets, 1)

    def of_candidates(self, view: CandidateView, num_samples: int | None) -> Tensor:
        """(n,) float64, the same for candidates of the same predictions and label.

        Raises:
            ValueError: A log-probability is NaN.
        """
        log_probs = view.log_probs(num_samples)
        targets = view.target_log_probs(self.num_targets, num_samples)
        if targets.isnan().any():
            raise ValueError("log-probabilities of target inputs are NaN")
        gains = predictive_information_gain(log_probs, view.labels, targets)
        names = torch.stack([fingerprint(log_probs), view.labels.to(gains)], dim=1)
        return same_for_copies(gains, torch.unique(names, dim=0, return_inverse=True)[1])


def gradient_norms(view: CandidateView) -> Tensor:
    """‖p - e_y‖ of each candidate, (n,) float64, between 0 and √2."""
    log_probs = view.gradient_factors().log_probs
    return label_errors(log_probs, view.labels.to(log_probs.device)).norm(dim=1)
