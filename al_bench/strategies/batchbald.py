"""BatchBALD: the batch whose labels together tell most about the parameters.

N pool points, K posterior samples, C classes, B batch size.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.errors import ConfigError
from al_bench.information.entropies import entropy, mutual_information
from al_bench.information.joint import JointOutcomes
from al_bench.models.base import SAMPLES
from al_bench.strategies.base import PoolView, Selection
from al_bench.strategies.rules import Power
from al_bench.strategies.samples import check_num_samples, requested_samples

BLOCK_BYTES = 2**25  # of float64 working memory, for quantities of single points
SATURATED = 0.05  # nats below log K
SMALL_TABLE = 10  # a table this many times smaller than the largest is evaluated for all points


@dataclass(frozen=True)
class BatchBALD:
    """Greedy maximisation of I[Y_1, …, Y_B; Ω]; Kirsch et al. (2019), arXiv:1906.08158.

    The joint information of K posterior samples cannot exceed log K. With less than ``SATURATED``
    nats left the batch is noted as saturated: further picks follow the accidents of these K
    samples, and more samples or a smaller batch would help. They go on as published all the same,
    until less than ``tolerance`` is left and gains drown in rounding; then the rest of the batch is
    drawn as PowerBALD does (highest BALD would buy copies of what was bought).

    Args:
        max_configurations: Joint labelings of a batch to keep: exact while all of them fit,
            sampled from then on.
        tolerance: Nats left below log K at which the joint computation ends; 0 never does.
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
    """

    max_configurations: int = 10_000
    tolerance: float = 0.0001
    num_samples: int | None = None

    def __post_init__(self) -> None:
        if self.max_configurations < 1:
            raise ConfigError(
                "strategy.max_configurations must be at least 1, "
                f"got {self.max_configurations}. The default is 10000."
            )
        if not self.tolerance >= 0:
            raise ConfigError(f"strategy.tolerance must be 0 or positive, got {self.tolerance}.")
        check_num_samples(self.num_samples)

    @property
    def needs(self) -> frozenset[str]:
        """Posterior samples that differ."""
        return frozenset({SAMPLES})

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are the information that each pick added, in nats.

        Picks beyond ``tolerance`` have no score (NaN). Notes: ``information`` (nats, of the picks
        with a score together), ``saturated_at`` (rank of the first pick with less than SATURATED
        nats left to gain), ``num_drawn`` (picks without a score),
        ``monte_carlo_error`` (standard error of ``information`` and of the joint entropy, nats),
        ``num_exact`` (picks made before sampling began), ``share_evaluated`` (work done, as a share
        of evaluating every candidate at every pick).
        """
        log_probs = view.log_probs(requested_samples(self.num_samples, view))  # (N, K, C)
        if not 1 <= batch_size <= len(log_probs):
            raise ValueError(f"cannot pick {batch_size} of {len(log_probs)} points")
        greedy = LazyGreedy(log_probs, self.max_configurations, generator)
        positions: list[int] = []
        gains: list[float] = []
        notes: dict[str, float | int | str | bool] = {}
        num_exact = 0
        while len(positions) < batch_size:
            if positions:
                greedy.add(positions[-1])
                if greedy.outcomes.remaining < SATURATED:
                    notes.setdefault("saturated_at", len(positions))
                if greedy.outcomes.remaining < self.tolerance:
                    break
            position, gain = greedy.best()
            num_exact += greedy.outcomes.exact
            positions.append(position)
            gains.append(gain)
        notes |= {
            "information": sum(gains),
            "monte_carlo_error": math.sqrt(greedy.outcomes.variance),
            "num_exact": num_exact,
            "share_evaluated": greedy.work / greedy.full_work,
        }
        missing = batch_size - len(positions)
        if missing:
            notes["num_drawn"] = missing
            scores = greedy.bald.index_fill(0, torch.tensor(positions), -math.inf)
            positions += Power()(scores, missing, generator).tolist()
            gains += [math.nan] * missing
        return Selection(torch.tensor(positions), torch.tensor(gains, dtype=torch.float64), notes)


class LazyGreedy:
    """Finds the candidate with the highest gain without evaluating all of them.

    A gain can only shrink as points are added, so a gain from earlier is an upper bound now
    (Minoux 1978): candidates are evaluated from the highest bound down, until no bound exceeds the
    best gain. That is exact while all outcomes are present. Sampled outcomes descend from those of
    the pick before, so the bounds hold up to the sampling error of one pick.

    Args:
        log_probs: Of the pool, (N, K, C).
        max_outcomes: Joint labelings to keep at most.
        generator: Permutes the pool, so that ties are fair, and samples outcomes.

    Attributes:
        outcomes: The joint labelings of the points added.
        bald: Information of each point by itself, (N,) float64, on the CPU.
        work: Joint labelings × candidates evaluated so far.
        full_work: The same if every candidate had been evaluated at every pick.
    """

    def __init__(self, log_probs: Tensor, max_outcomes: int, generator: torch.Generator) -> None:
        if log_probs.isnan().any():
            raise ValueError("log-probabilities are NaN")
        num_points, num_samples, num_classes = log_probs.shape
        self._log_probs, self._max_outcomes, self._generator = log_probs, max_outcomes, generator
        block_size = max(1, BLOCK_BYTES // (8 * num_samples * num_classes))
        chunks = torch.split(log_probs, block_size)
        self._entropies = torch.cat([entropy(chunk) for chunk in chunks])  # (N, K)
        self.bald = torch.cat([mutual_information(chunk) for chunk in chunks]).cpu()
        # From here on points are in a random order, so that "the first" of equals is a fair choice.
        self._order = torch.randperm(num_points, generator=generator)
        self._gains = self.bald[self._order]  # (N,): upper bounds where stale, -inf where added
        self._stale = torch.zeros(num_points, dtype=torch.bool)
        self.outcomes = JointOutcomes.none(num_samples, log_probs.device)
        self.work = self.full_work = num_points

    def add(self, position: int) -> None:
        """Count the point at ``position`` as chosen."""
        log_probs = self._log_probs[position]
        self.outcomes = self.outcomes.extended(log_probs, self._max_outcomes, self._generator)
        self._gains[self._order == position] = -math.inf
        self._stale = self._gains > -math.inf
        self.full_work += len(self.outcomes.mass) * int(self._stale.sum())

    def best(self) -> tuple[int, float]:
        """Position and gain of the candidate with the highest gain."""
        block_size = self.outcomes.block_size(self._log_probs.shape[2])
        # A small table costs little, and its bounds save work when the table is large.
        lazy = SMALL_TABLE * len(self.outcomes.mass) > self._max_outcomes
        while self._stale.any():
            bounds = self._gains.where(self._stale, -math.inf)
            best = self._gains.where(~self._stale, -math.inf).max()
            if lazy and bounds.max() <= best:
                break
            count = min(block_size, int(self._stale.sum()))
            self._evaluate(bounds.topk(count).indices)
        best = self._gains.where(~self._stale, -math.inf).argmax()
        return int(self._order[best]), float(self._gains[best])

    def _evaluate(self, block: Tensor) -> None:
        points = self._order[block].to(self._log_probs.device)
        gains = self.outcomes.gains(self._log_probs[points], self._entropies[points])
        self._gains[block] = gains.cpu()
        self._stale[block] = False
        self.work += len(self.outcomes.mass) * len(block)
