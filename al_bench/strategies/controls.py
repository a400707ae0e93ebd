"""Controls that see labels before they are bought: how good a choice could be.

N pool points, M labeled points, C classes, B batch size.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from al_bench.errors import require_whole
from al_bench.strategies.balance import balanced_classes, histogram
from al_bench.strategies.base import LABELS, REFUSED, PoolView, Selection, require_batch_size


@dataclass(frozen=True)
class BalancedRandom:
    """Random within each class, every class as often as the others.

    Each label goes to the class with the fewest points so far among those the pool still has,
    equally rare ones in random order; within a class the draw is uniform without replacement.
    Points that the annotator refuses are of no class: they are bought, uniformly, once no other is
    left.

    Args:
        count_labeled: "So far" counts the labeled set too, so that it becomes balanced as a whole;
            otherwise each batch is balanced by itself.
    """

    count_labeled: bool = True
    needs: ClassVar[frozenset[str]] = frozenset({LABELS})

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks of the classes in turn; no scores.

        Notes ``num_refused``: picks that will be refused, where there are any.
        """
        require_batch_size(batch_size, len(view))
        labels = view.pool_labels().cpu()
        counts = [0] * view.num_classes
        if self.count_labeled:
            counts = histogram(view.labels(), view.num_classes)
        answered = labels[labels != REFUSED]
        available = histogram(answered, view.num_classes)
        size = min(batch_size, len(answered))
        classes = balanced_classes(counts, available, size, generator)
        classes += [REFUSED] * (batch_size - size)
        order = torch.randperm(len(view), generator=generator)
        members = {label: iter(order[labels[order] == label].tolist()) for label in set(classes)}
        positions = torch.tensor([next(members[label]) for label in classes])
        notes = {"num_refused": batch_size - size} if size < batch_size else {}
        return Selection(positions, torch.full((batch_size,), math.nan, dtype=torch.float64), notes)


@dataclass(frozen=True)
class Oracle:
    """Greedy look-ahead: buys the points whose labels make the next model predict best.

    Candidates and reference points are drawn uniformly from the pool once a round, without overlap
    where the pool suffices. For each place of the batch every candidate left is tried: the next
    round's model is trained with it and what was picked before, and judged by the mean
    log-likelihood of the reference points' labels. An approximate upper bound: greedy (what two
    labels teach together need not be what either teaches, so no gain bounds another and each place
    tries all candidates), among few candidates, and judged on pool points, never on the test set. A
    point that the annotator refuses is tried as one that teaches nothing, and is no reference.

    B × candidates trainings a round (half of that once B reaches ``candidates``), each followed by
    a forward pass over the reference points.

    Args:
        candidates: Points that are tried; at least B are.
        reference: Points to predict.
    """

    candidates: int = 20
    reference: int = 200
    needs: ClassVar[frozenset[str]] = frozenset({LABELS})

    def __post_init__(self) -> None:
        require_whole("candidates", self.candidates, 1)
        require_whole("reference", self.reference, 1)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores are the mean log-likelihood reached with each, in nats.

        Notes ``num_trained``: models trained to choose this batch.
        """
        require_batch_size(batch_size, len(view))
        order = torch.randperm(len(view), generator=generator)
        size = min(max(self.candidates, batch_size), len(view))
        left: list[int] = order[:size].tolist()
        reference = order.flip(0)[: self.reference]  # from the other end
        picked: list[int] = []
        scores: list[float] = []
        num_trained = 0
        while len(picked) < batch_size:
            worth = [view.look_ahead(torch.tensor([*picked, p]), reference) for p in left]
            num_trained += len(left)
            if any(math.isnan(value) for value in worth):
                raise ValueError("the likelihood of the reference points is NaN")
            best = max(range(len(left)), key=worth.__getitem__)  # the first of equals
            picked.append(left.pop(best))
            scores.append(worth[best])
        return Selection(
            torch.tensor(picked),
            torch.tensor(scores, dtype=torch.float64),
            {"num_trained": num_trained},
        )
