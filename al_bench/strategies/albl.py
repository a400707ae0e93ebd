"""ALBL: a bandit that learns which of several strategies to ask.

M labeled points, E strategies (experts), C classes, B batch size.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from al_bench.errors import ConfigError, keyed, require_number
from al_bench.information.entropies import predictive_log_probs
from al_bench.strategies.base import Notes, PoolView, Selection, Strategy, require_batch_size
from al_bench.strategies.wrapped import check_wrapped, samples_asked

LEAST_SHARE = 10  # an expert is asked in one of so many times E rounds, at least


@dataclass(frozen=True)
class ALBL:
    """Active learning by learning: one of several strategies chooses the batch, by its past reward.

    Hsu and Lin (2015), in the form for batches that BADGE's published code has and dynamicAL
    compares with. An expert's weight w begins at 1, and each round one expert is drawn with
    probability

        p = (1 - E p_min) w / Σ w + p_min,  p_min = 1 / (10 E),

    and chooses the whole batch. In the next round its weight, and no other, is multiplied by

        exp(p_min / 2 (r + sqrt(ln(E / δ) / E) / p)),

    where r is the importance-weighted accuracy of the new model on the labeled set: the mean of
    1[predicted as labeled] / p', p' being the probability with which its expert was drawn when the
    point was bought, 1 for points of the initial set. So r sees training labels only, which a
    network that learns them by heart predicts whoever chose them. A round changes a weight by about
    a tenth: ten rounds are not far from fair draws. Weights are kept as logarithms, which changes
    no probability and cannot overflow.

    A round costs what the expert costs, and a forward pass over the labeled set.

    Args:
        experts: Strategies by a name of yours, two or more.
        delta: δ of the bandit's bound, above 0 and at most 1: a smaller one explores more.
    """

    experts: Mapping[str, Strategy]
    delta: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.experts, Mapping) or len(self.experts) < 2:
            names = list(self.experts) if isinstance(self.experts, Mapping) else self.experts
            raise ConfigError(
                f"{keyed('experts')} must be two strategies or more, got {names}.",
                f"Add for example +strategy@{keyed('experts')}.second=margin.",
            )
        for name, expert in self.experts.items():
            check_wrapped(expert, f"experts.{name}")
        require_number("delta", self.delta, most=1, above=0)

    @property
    def needs(self) -> frozenset[str]:
        """What the experts need."""
        return frozenset[str]().union(*(expert.needs for expert in self.experts.values()))

    @property
    def num_samples(self) -> int | None:
        """The most posterior samples that an expert asks for; ``None`` where none says so."""
        asked = map(samples_asked, self.experts.values())
        return max((count for count in asked if count is not None), default=None)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """The selection of the expert that is drawn; scores are its own.

        Notes: those of the expert, ``expert`` (its name), ``expert_prob`` (p), and ``reward`` (r)
        from the second round on. State: weights, the expert asked last, its probability, what each
        probability has bought, and the experts' states.
        """
        require_batch_size(batch_size, len(view))
        before = view.state
        log_weights = dict.fromkeys(self.experts, 0.0)
        notes: Notes = {}
        if before is not None:
            log_weights = dict(before["log_weights"])
            notes["reward"] = earned = reward(view, before["bought"])
            log_weights[before["expert"]] += self._gain(earned, before["expert_prob"])
        probs = self._probs(log_weights)
        drawn = int(torch.multinomial(probs, 1, generator=generator))
        name, prob = list(self.experts)[drawn], float(probs[drawn])
        states = {} if before is None else dict(before["states"])
        everything = view.restricted(torch.arange(len(view)), states.get(name))
        chosen = self.experts[name].select(everything, batch_size, generator)
        if chosen.state is not None:
            states[name] = dict(chosen.state)
        indices = view.indices.cpu()[chosen.positions].tolist()
        bought = [*([] if before is None else before["bought"]), {"prob": prob, "indices": indices}]
        state = {
            "log_weights": log_weights,
            "expert": name,
            "expert_prob": prob,
            "bought": bought,
            "states": states,
        }
        notes |= {"expert": name, "expert_prob": prob, **chosen.notes}
        return Selection(chosen.positions, chosen.scores, notes, state)

    @property
    def _least_prob(self) -> float:
        return 1.0 / (LEAST_SHARE * len(self.experts))

    def _probs(self, log_weights: Mapping[str, float]) -> Tensor:
        """(E,) float64, with which probability each expert is asked."""
        weights = torch.tensor([log_weights[name] for name in self.experts], dtype=torch.float64)
        shares = weights.softmax(dim=0)
        return (1.0 - len(self.experts) * self._least_prob) * shares + self._least_prob

    def _gain(self, reward: float, prob: float) -> float:
        """What is added to the logarithm of the weight of an expert asked with ``prob``."""
        count = len(self.experts)
        bonus = math.sqrt(math.log(count / self.delta) / count) / prob
        return self._least_prob / 2 * (reward + bonus)


def reward(view: PoolView, bought: Sequence[Mapping[str, Any]]) -> float:
    """Importance-weighted accuracy on the labeled set; 0 while nothing is labeled.

    Args:
        view: The labeled points, as the average of all posterior samples predicts them.
        bought: Pool ``indices`` and the ``prob`` with which they were chosen, a mapping a round;
            labeled points that are in none were chosen with probability 1.

    Raises:
        ValueError: Predictions are NaN.
    """
    indices = view.labeled_indices.tolist()
    if not indices:
        return 0.0
    log_probs = view.labeled_log_probs()
    if log_probs.isnan().any():
        raise ValueError("predictions of labeled points are NaN")
    prob_of = {index: batch["prob"] for batch in bought for index in batch["indices"]}
    probs = torch.tensor([prob_of.get(index, 1.0) for index in indices], dtype=torch.float64)
    predicted = predictive_log_probs(log_probs).argmax(dim=-1).cpu()
    return float(((predicted == view.labels().cpu()) / probs).mean())
