"""A batch that is picked one after the other by joint information, and drawn once that tells none.

N pool points, Ω the K posterior samples, B batch size.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from al_bench.strategies.base import Notes, Selection
from al_bench.strategies.rules import Power

SATURATED = 0.05  # nats left below log K


class JointGreedy(Protocol):
    """Picks the candidate that adds most to the points picked before."""

    @property
    def remaining(self) -> float:
        """Nats of Ω that the labels of the points picked leave in doubt; log K at first."""

    @property
    def is_exact(self) -> bool:
        """Whether all joint labelings that leave something to be learnt are present."""

    def pick(self) -> tuple[int, float]:
        """Pick the best candidate: its position and what it adds, in nats."""


def pick_jointly(
    greedy: JointGreedy,
    batch_size: int,
    tolerance: float,
    notes: Notes,
    least_gain: float = -math.inf,
) -> tuple[list[int], list[float]]:
    """Positions and scores of at most B picks, at least one.

    Args:
        greedy: Picks.
        batch_size: B.
        tolerance: Nats of Ω left in doubt at which there are no more picks.
        notes: Get ``num_exact`` (picks made before sampling began) and ``saturated_at`` (rank of
            the first pick with less than ``SATURATED`` nats left to gain).
        least_gain: After a pick that adds less there are no more.
    """
    positions: list[int] = []
    scores: list[float] = []
    notes["num_exact"] = 0
    while len(positions) < batch_size:
        if positions and greedy.remaining < SATURATED:
            notes.setdefault("saturated_at", len(positions))
        if positions and (greedy.remaining < tolerance or scores[-1] < least_gain):
            break
        if greedy.is_exact:
            notes["num_exact"] = len(positions) + 1
        position, score = greedy.pick()
        positions.append(position)
        scores.append(score)
    return positions, scores


def filled_up(
    positions: list[int],
    scores: list[float],
    alone: Tensor,
    batch_size: int,
    generator: torch.Generator,
    notes: Notes,
) -> Selection:
    """A batch of B points: those picked, then others drawn as PowerBALD draws, without a score.

    Args:
        positions: Of the points picked.
        scores: Of these.
        alone: (N,) what each point adds by itself; a negative number counts as 0.
        batch_size: B.
        generator: Draws.
        notes: Get ``num_drawn`` where points are drawn.
    """
    missing = batch_size - len(positions)
    if missing:
        notes["num_drawn"] = missing
        left = torch.ones(len(alone), dtype=torch.bool)
        left[positions] = False
        candidates = left.nonzero().squeeze(1)
        drawn = Power()(alone[candidates].clamp_min(0.0), missing, generator)
        positions = [*positions, *candidates[drawn].tolist()]
        scores = [*scores, *[math.nan] * missing]
    return Selection(torch.tensor(positions), torch.tensor(scores, dtype=torch.float64), notes)
