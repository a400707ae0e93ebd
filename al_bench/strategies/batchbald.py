"""BatchBALD: the batch whose labels together tell most about the parameters.

N pool points, K posterior samples, C classes, B batch size.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.errors import require_number, require_whole
from al_bench.information.entropies import mutual_information
from al_bench.information.joint import JointOutcomes
from al_bench.models.base import SAMPLES
from al_bench.strategies.base import (
    Notes,
    PoolView,
    Selection,
    check_num_samples,
    require_batch_size,
)
from al_bench.strategies.joint_batch import filled_up, pick_jointly

LEAST_GAIN = 1e-6  # nats: a joint gain below that is rounding
MERGED = (64, 256)  # outcomes that bound gains, the cheap bounds first
LEAST_OUTCOMES = 3  # a table of so many times more is worth bounding
FIRST_BLOCK = 16  # candidates evaluated first, then twice as many, and so on
ROUNDING = 1e-6  # nats: more than float32 adds to or takes from a gain or its bound


@dataclass(frozen=True)
class BatchBALD:
    """Greedy maximisation of I[Y_1, …, Y_B; Ω]; Kirsch et al. (2019), arXiv:1906.08158.

    The joint information of K posterior samples cannot exceed log K. With less than 0.05
    nats left the batch is noted as saturated: further picks follow the accidents of these K
    samples, and more samples or a smaller batch would help. They go on as published all the same,
    until less than ``tolerance`` is left or a pick gains nothing; then the rest of the batch is
    drawn as PowerBALD does (highest BALD would buy copies of what was bought).

    Greedy relies on submodularity: what a label adds about Ω can only shrink as others are bought.
    So the batch has at least 1 - 1/e of the best batch's information, a gain from earlier bounds
    the present one, and after a pick that gains nothing no pick gains anything.

    Args:
        max_configurations: Joint labelings of a batch to keep: exact while all of them fit,
            sampled from then on.
        tolerance: Nats left below log K at which the joint computation ends.
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
    """

    max_configurations: int = 10_000
    tolerance: float = 0.0001
    num_samples: int | None = None
    numerics_version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({SAMPLES})

    def __post_init__(self) -> None:
        require_whole("max_configurations", self.max_configurations, 1)
        require_number("tolerance", self.tolerance, 0)
        check_num_samples(self.num_samples)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are the information that each pick added, in nats.

        Picks drawn after the joint computation has ended have no score (NaN). Notes:
        ``information`` (nats, of the picks with a score together), ``monte_carlo_error`` (its
        standard error, which is also that of the joint entropy, nats), ``num_exact`` (picks made
        before sampling began), ``saturated_at`` (rank of the first pick with less than
        ``SATURATED`` nats left to gain), ``num_drawn`` (picks without a score),
        ``share_evaluated`` (work done, as a share of evaluating every candidate at every pick;
        bounds count, so it can exceed 1 where they rule out nothing), ``fell_back`` = ``random``
        when no point has any information.
        """
        log_probs = view.log_probs(self.num_samples)  # (N, K, C)
        require_batch_size(batch_size, len(log_probs))
        greedy = BatchBALDGreedy(log_probs, self.max_configurations, generator)
        notes: Notes = {}
        positions, gains = pick_jointly(greedy, batch_size, self.tolerance, notes, LEAST_GAIN)
        notes["information"] = greedy.outcomes.information
        notes["monte_carlo_error"] = math.sqrt(greedy.outcomes.variance)
        notes["share_evaluated"] = greedy.work / greedy.full_work
        if not greedy.bald.any():
            notes["fell_back"] = "random"
        return filled_up(positions, gains, greedy.bald, batch_size, generator, notes)


class BatchBALDGreedy:
    """Finds the candidate with the highest gain without evaluating all of them.

    Candidates are evaluated from the highest upper bound down, until no bound exceeds the best
    gain: picks are those of evaluating all. A gain can only shrink as points are added, so a gain
    from earlier is a bound (Minoux 1978), but only while all outcomes are present: sampling changes
    gains. The present outcomes, similar ones merged into one, bound gains always and cost as much
    less as there are fewer of them.

    Args:
        log_probs: Of the pool, (N, K, C).
        max_outcomes: Joint labelings to keep at most.
        generator: Permutes the pool, so that ties are fair, and samples outcomes.

    Attributes:
        outcomes: The joint labelings of the points picked.
        bald: Information of each point by itself, (N,) float64, on the CPU.
        work: Joint labelings, merged or not, × candidates evaluated so far.
        full_work: The same if every candidate had been evaluated at every pick.
    """

    def __init__(self, log_probs: Tensor, max_outcomes: int, generator: torch.Generator) -> None:
        if log_probs.isnan().any():
            raise ValueError("log-probabilities are NaN")
        num_points, num_samples, _ = log_probs.shape
        self._log_probs, self._max_outcomes, self._generator = log_probs, max_outcomes, generator
        self.bald = mutual_information(log_probs).cpu()
        # From here on points are in a random order, so that "the first" of equals is a fair choice.
        self._order = torch.randperm(num_points, generator=generator)
        self._bounds = self.bald[self._order]  # (N,), -inf where picked
        self._num_left = num_points
        self.outcomes = JointOutcomes.none(num_samples, log_probs.device)
        self.work = self.full_work = 0

    @property
    def remaining(self) -> float:
        """Nats of Ω that the labels of the points picked leave in doubt."""
        return self.outcomes.remaining

    @property
    def is_exact(self) -> bool:
        """Whether all outcomes are present."""
        return self.outcomes.exact

    def pick(self) -> tuple[int, float]:
        """Pick the candidate with the highest gain: its position and its gain, in nats."""
        candidates = self._evaluated()
        gains = self._bounds[candidates]
        best = int(candidates[gains == gains.max()].min())
        position, gain = int(self._order[best]), float(self._bounds[best])
        self._bounds[best] = -math.inf
        self._num_left -= 1
        self.outcomes = self.outcomes.extended(
            self._log_probs[position], self._max_outcomes, self._generator
        )
        return position, gain

    def _evaluated(self) -> Tensor:
        """Candidates with their present gain in ``_bounds``, the best one among them."""
        outcomes, num_outcomes = self.outcomes, len(self.outcomes.mass)
        self.full_work += num_outcomes * self._num_left
        queue = self._bounds.argsort(descending=True)[: self._num_left]
        if self._num_left == len(self._bounds):
            self.work += num_outcomes * len(queue)
            return queue  # nothing is picked yet, BALD is the gain
        largest = outcomes.block_size(self._log_probs.shape[2])
        size = min(largest, FIRST_BLOCK)
        # The first few raise the best gain early, so that bounds rule out many.
        evaluated, queue = queue[:size], queue[size:]
        best = self._evaluate(evaluated)
        tables = [count for count in MERGED if count * LEAST_OUTCOMES <= num_outcomes]
        if not outcomes.exact:
            self._bounds[queue] = math.inf  # earlier gains don't bound sampled ones
        for count in tables:
            queue = queue[self._bounds[queue] + ROUNDING >= best]
            if len(queue) == 0:
                break
            self._bound(queue, outcomes.merged(count))
            queue = queue[self._bounds[queue].argsort(descending=True)]
            block, queue = queue[:size], queue[size:]
            evaluated = torch.cat([evaluated, block])
            best = max(best, self._evaluate(block))
        while len(queue):
            block, queue = queue[:size], queue[size:]
            if float(self._bounds[block[0]]) + ROUNDING < best:
                break
            best = max(best, self._evaluate(block))
            evaluated = torch.cat([evaluated, block])
            size = min(2 * size, largest)
        return evaluated

    def _evaluate(self, candidates: Tensor) -> float:
        """Put the gains of ``candidates`` in the place of their bounds; the highest of them."""
        self._bounds[candidates] = self._gains(self.outcomes, candidates)
        return float(self._bounds[candidates].max())

    def _bound(self, candidates: Tensor, merged: JointOutcomes) -> None:
        """Lower the bounds of ``candidates`` to their gains given ``merged`` outcomes."""
        for block in torch.split(candidates, merged.block_size(self._log_probs.shape[2])):
            bounds = self._gains(merged, block)
            self._bounds[block] = torch.minimum(self._bounds[block], bounds)

    def _gains(self, outcomes: JointOutcomes, candidates: Tensor) -> Tensor:
        """Gains given ``outcomes``, (n,) float64, on the CPU."""
        self.work += len(outcomes.mass) * len(candidates)
        points = self._order[candidates].to(self._log_probs.device)
        return outcomes.gains(self._log_probs[points]).cpu()
