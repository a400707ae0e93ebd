"""Batches chosen together for what they tell of the predictions on target inputs.

N pool points, T target inputs, K posterior samples, C classes, B batch size. For V made of the
targets' labels, the labels of a batch A tell I[Y_A; V] = I[Y_A; Ω] - I[Y_A; Ω | V], so a further
point adds the difference of two gains in information about Ω, without V and with it.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.errors import require_number, require_whole
from al_bench.information.crossentropy import effective_samples
from al_bench.information.entropies import ROUNDING, mutual_information
from al_bench.information.joint import JointOutcomes
from al_bench.information.predictive import joint_outcomes, soft_outcome
from al_bench.models.base import SAMPLES
from al_bench.strategies.base import (
    Notes,
    PoolView,
    Selection,
    check_num_samples,
    require_batch_size,
)
from al_bench.strategies.joint_batch import filled_up, pick_jointly

COARSE = 2e-6  # nats: scores computed in float32 cannot be told apart when they differ by less
SAME = 1e-7  # of the information about Ω: nor can those of float32 predictions, however computed


@dataclass(frozen=True)
class Targeted(ABC):
    """Greedy picks by the information about Ω that labels add without V less that with it.

    Parameters are those of ``JEPIG``.
    """

    num_targets: int = 10
    max_configurations: int = 2_000
    tolerance: float = 0.0001
    num_samples: int | None = None
    numerics_version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({SAMPLES})

    def __post_init__(self) -> None:
        require_whole("num_targets", self.num_targets, 1)
        require_whole("max_configurations", self.max_configurations, 1)
        require_number("tolerance", self.tolerance, 0)
        check_num_samples(self.num_samples)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are what each pick added, in nats.

        Picks drawn after the joint computation has ended have no score (NaN). Notes as those of
        BatchBALD, and one of what V is.
        """
        require_batch_size(batch_size, len(view))
        targets = view.target_log_probs(self.num_targets, self.num_samples)
        known, notes = self._known(targets, generator)
        greedy = DifferenceGreedy(
            view.log_probs(self.num_samples), known, self.max_configurations, generator
        )
        positions, scores = pick_jointly(greedy, batch_size, self.tolerance, notes)
        notes["information"] = sum(scores)
        notes["monte_carlo_error"] = math.sqrt(max(greedy.variance, 0.0))
        if not any(scores):
            notes["fell_back"] = "random"
        return filled_up(positions, scores, greedy.alone, batch_size, generator, notes)

    @abstractmethod
    def _known(self, targets: Tensor, generator: torch.Generator) -> tuple[JointOutcomes, Notes]:
        """V, from log-probabilities of targets (T, K, C), and what is to be told of it."""


@dataclass(frozen=True)
class JEPIG(Targeted):
    """Greedy maximisation of I[Y_1, …, Y_B; Y*_1, …, Y*_T]; Kirsch et al. (2021), arXiv:2106.11719.

    The joint expected predictive information gain: what the labels of the batch and the labels of T
    target inputs, drawn every round from the run's target distribution, tell of each other. Each
    pick maximises I[Y; Ω | Y_A] - I[Y; Ω | Y_A, Y*_1, …, Y*_T]. Both terms come from a table of
    joint labelings, exact while those that leave something to be learnt fit, then a weighted sample
    of them that leaves expectations unbiased; ``monte_carlo_error`` estimates the standard error of
    the batch's information from the last sampling of each step, so it is rather too low, by less
    than a factor of two where it was measured.

    The information about the targets is not submodular: a point may tell nothing by itself and much
    beside another one (two bits of which the target is the parity). So a small score says nothing
    of the next one, and picks go on whatever they add, until the labels of the batch leave less
    than ``tolerance`` nats of Ω in doubt, which bounds all that a further pick can add. What greedy
    picks reach is not bounded from below as BatchBALD's is.

    The labels of many targets together tell which of the K samples is true
    (``target_information`` nears log K); then the second term is 0 and this is BatchBALD. So T is
    small here. EPIG averages over targets one at a time.

    Costs at most 2·B·N·M·K·C operations twice, where M is ``max_configurations``, and usually a
    small part of it, since gains without the targets are upper bounds from one pick to the next.
    The paper estimates the second term with a model trained on the targets' predictions
    (``evalbald``); here it is that of the K samples.

    Args:
        num_targets: Target inputs T.
        max_configurations: Joint labelings to keep in each of the two tables.
        tolerance: Nats of Ω that the batch's labels leave in doubt (log K at first) at which the
            joint computation ends; the rest of the batch is then drawn in proportion to the scores
            that the points have by themselves.
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
    """

    def _known(self, targets: Tensor, generator: torch.Generator) -> tuple[JointOutcomes, Notes]:
        """The targets' labels, and their ``target_information`` I[Y*_1, …, Y*_T; Ω], in nats."""
        known = joint_outcomes(targets, self.max_configurations, generator)
        return known, {"target_information": known.information}


@dataclass(frozen=True)
class EvalBALD(Targeted):
    """Evaluation information gain, greedily; Kirsch et al. (2021), arXiv:2106.11719.

    I[Y_1, …, Y_B; Ω] - I[Y_1, …, Y_B; Ω | evaluation]: BatchBALD of the model minus that of an
    evaluation model, which has been trained on the model's own predictions on T target inputs. What
    the two share is information that predicting the targets does not need. It estimates JEPIG
    with one soft labeling of the targets instead of the expectation over all of them, so a pick
    may score below 0. Scores neither shrink nor keep their sign as points are picked, so picks go
    on whatever they add, until the labels of the batch leave less than ``tolerance`` nats of Ω in
    doubt.

    The paper trains the evaluation model anew every round. Here it is the same K posterior samples,
    weighted by p(ω_k) ∝ exp Σ_t Σ_y p̄(y | x*_t) log p(y | x*_t, ω_k), which is what observing
    soft labels does to them. That costs no training, but many targets leave few effective samples
    (``effective_samples``), and a single one is BatchBALD; so T is small here. B = 1 is the
    paper's pointwise score. Cost and estimator as for JEPIG.

    Args:
        num_targets: Target inputs T.
        max_configurations: Joint labelings to keep in each of the two tables.
        tolerance: Nats of Ω that the batch's labels leave in doubt (log K at first) at which the
            joint computation ends; the rest of the batch is then drawn in proportion to the scores
            that the points have by themselves.
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
    """

    def _known(self, targets: Tensor, generator: torch.Generator) -> tuple[JointOutcomes, Notes]:
        """The evaluation model, and its ``effective_samples``, between 1 and K."""
        known = soft_outcome(targets)
        return known, {"effective_samples": effective_samples(known.posterior[0])}


class DifferenceGreedy:
    """Finds the candidate with the highest I[Y; Ω | Y_A] - I[Y; Ω | Y_A, V].

    The difference may grow as points are added, so earlier scores bound nothing. But its first term
    can only shrink (BatchBALD's objective is submodular) and its second is never negative, so
    earlier first terms are upper bounds: candidates are evaluated from the highest bound down until
    none exceeds the best difference. Sampled labelings keep the bounds up to the error of one pick.
    Scores that float32 cannot tell from the best are computed again in float64.

    Args:
        log_probs: Of the pool, (N, K, C).
        known: Outcomes of V.
        max_outcomes: Joint labelings of a table to keep at most.
        generator: Permutes the pool, so that ties are fair, and samples outcomes.

    Attributes:
        without: The joint labelings of the points picked.
        given: Those of V and the points picked.
        alone: What each point would have added first, (N,) float64, on the CPU.
    """

    def __init__(
        self,
        log_probs: Tensor,
        known: JointOutcomes,
        max_outcomes: int,
        generator: torch.Generator,
    ) -> None:
        if log_probs.isnan().any():
            raise ValueError("log-probabilities are NaN")
        num_points, num_samples, _ = log_probs.shape
        self._log_probs, self._max_outcomes, self._generator = log_probs, max_outcomes, generator
        self._order = torch.randperm(num_points, generator=generator)
        self._bounds = mutual_information(log_probs).cpu()[self._order]  # -inf where picked
        self._num_left = num_points
        self.without = JointOutcomes.none(num_samples, log_probs.device)
        self.given = known
        self._known_variance = known.variance
        scores = self._scores(torch.arange(num_points), self._bounds)
        self._first: Tensor | None = scores
        self.alone = torch.empty_like(scores)
        self.alone[self._order] = scores

    @property
    def variance(self) -> float:
        """Of the sum of the scores so far through sampling, estimated, squared nats."""
        return self.without.variance + self.given.variance - self._known_variance

    @property
    def remaining(self) -> float:
        """Nats of Ω that the labels of the points picked leave in doubt."""
        return self.without.remaining

    @property
    def is_exact(self) -> bool:
        """Whether all joint labelings are present, without V and with it."""
        return self.without.exact and self.given.exact

    def pick(self) -> tuple[int, float]:
        """Pick the candidate with the highest score: its position and its score, in nats."""
        if self._first is None:
            candidates, scores = self._evaluated()
        else:
            candidates, scores, self._first = torch.arange(self._num_left), self._first, None
        finalists = (scores >= scores.max() - COARSE).nonzero().squeeze(1)
        tie = 0.0
        if len(finalists) > 1:
            candidates = candidates[finalists]
            scores, tie = self._exact(candidates)
        best = int(candidates[scores >= scores.max() - tie].min())
        position, score = int(self._order[best]), float(scores.max())
        self._bounds[best] = -math.inf
        self._num_left -= 1
        point = self._log_probs[position]
        self.without = self.without.extended(point, self._max_outcomes, self._generator)
        self.given = self.given.extended(point, self._max_outcomes, self._generator)
        return position, score

    def _evaluated(self) -> tuple[Tensor, Tensor]:
        """Candidates, the best one among them, and their present scores."""
        queue = self._bounds.argsort(descending=True)[: self._num_left]
        found: list[Tensor] = []
        evaluated, best = 0, -math.inf
        size = self.without.block_size(self._log_probs.shape[2])
        while evaluated < len(queue) and float(self._bounds[queue[evaluated]]) > best - COARSE:
            block = queue[evaluated : evaluated + size]
            gains = self._gains(self.without, block)
            self._bounds[block] = gains
            scores = self._scores(block, gains)
            best = max(best, float(scores.max()))
            found.append(scores)
            evaluated += len(block)
        return queue[:evaluated], torch.cat(found)

    def _scores(self, candidates: Tensor, gains: Tensor) -> Tensor:
        return torch.where(gains > 0, gains - self._gains(self.given, candidates), 0.0)

    def _exact(self, candidates: Tensor) -> tuple[Tensor, float]:
        """Present scores in float64, and a difference that is none: that of equal predictions."""
        gains = self._gains(self.without, candidates, torch.float64)
        scores = gains - self._gains(self.given, candidates, torch.float64)
        scores = scores.masked_fill(scores.abs() < ROUNDING, 0.0)
        return scores, max(ROUNDING, SAME * float(gains.max()))

    def _gains(
        self, outcomes: JointOutcomes, candidates: Tensor, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        parts = []
        for block in torch.split(candidates, outcomes.block_size(self._log_probs.shape[2])):
            points = self._order[block].to(self._log_probs.device)
            parts.append(outcomes.gains(self._log_probs[points], dtype).cpu())
        return torch.cat(parts)
