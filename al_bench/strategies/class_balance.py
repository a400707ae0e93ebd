"""Class balance: another strategy chooses within each predicted class, equally often.

N pool points, M labeled points, C classes, B batch size.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from al_bench.information.entropies import predictive_log_probs
from al_bench.strategies.balance import balanced_classes, histogram
from al_bench.strategies.base import Notes, PoolView, Selection, Strategy, require_batch_size
from al_bench.strategies.wrapped import check_wrapped, samples_asked


@dataclass(frozen=True)
class ClassBalance:
    """A strategy that is asked for points of one predicted class after the other.

    Each label goes to the class with the fewest points so far among those that are still predicted
    somewhere in the pool, equally rare ones in random order; "so far" counts the labels of the
    labeled set and the predictions of the batch. The strategy then chooses that many points among
    those predicted as that class. Predictions are those of the average over posterior samples. One
    more forward pass over the pool than the strategy itself, which runs at most C times.

    small-text's class balancer does the same up to how it shares out what a class lacks (at random
    there, to the rarest class here).

    Args:
        of: The strategy.
        count_labeled: Count the labels of the labeled set too; otherwise each batch is balanced
            by itself.
    """

    of: Strategy
    count_labeled: bool = True

    def __post_init__(self) -> None:
        check_wrapped(self.of)

    @property
    def needs(self) -> frozenset[str]:
        """What the strategy needs."""
        return self.of.needs

    @property
    def num_samples(self) -> int | None:
        """Posterior samples the strategy scores with."""
        return samples_asked(self.of)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks of the classes in turn, each class's own in the strategy's order.

        Scores are the strategy's; between classes they may not be comparable. Notes:
        ``num_predicted_classes``, ``fell_back`` where the strategy fell back in every class, and
        the other notes of the strategy with ``.class`` behind their name (``information.3``).
        """
        require_batch_size(batch_size, len(view))
        predicted = predicted_classes(view)
        counts = [0] * view.num_classes
        if self.count_labeled:
            counts = histogram(view.labels(), view.num_classes)
        available = histogram(predicted, view.num_classes)
        classes = balanced_classes(counts, available, batch_size, generator)
        before = view.state or {}
        chosen: dict[int, Selection] = {}
        picks: dict[int, Iterator[tuple[int, float]]] = {}
        for label, count in Counter(classes).items():
            members = (predicted == label).nonzero().squeeze(1)
            subset = view.restricted(members, before.get(str(label)))
            chosen[label] = self.of.select(subset, count, generator)
            positions = members[chosen[label].positions].tolist()
            picks[label] = zip(positions, chosen[label].scores.tolist(), strict=True)
        taken = [next(picks[label]) for label in classes]
        return Selection(
            torch.tensor([position for position, _ in taken]),
            torch.tensor([score for _, score in taken], dtype=torch.float64),
            _notes(chosen),
            _state(before, chosen),
        )


def predicted_classes(view: PoolView) -> Tensor:
    """(N,) int64, the most probable class of the average prediction of every pool point.

    Raises:
        ValueError: Predictions are NaN.
    """
    (predicted,) = view.score([_predicted])
    if predicted.isnan().any():
        raise ValueError(f"predictions of {int(predicted.isnan().sum())} points are NaN")
    return predicted.long().cpu()


def _predicted(log_probs: Tensor) -> Tensor:
    average = predictive_log_probs(log_probs)  # (n, C)
    best = average.argmax(dim=-1).double()
    return best.where(~average.isnan().any(dim=-1), torch.nan)


def _notes(chosen: Mapping[int, Selection]) -> Notes:
    notes: Notes = {"num_predicted_classes": len(chosen)}
    fell_back = {selection.notes.get("fell_back") for selection in chosen.values()}
    if len(fell_back) == 1 and (how := fell_back.pop()) is not None:
        notes["fell_back"] = how
    for label, selection in sorted(chosen.items()):
        notes |= {
            f"{name}.{label}": value
            for name, value in selection.notes.items()
            if name != "fell_back" or "fell_back" not in notes
        }
    return notes


def _state(before: Mapping[str, Any], chosen: Mapping[int, Selection]) -> dict[str, Any] | None:
    """The strategy's state by class; a class not asked this time keeps the one it had."""
    now = {
        str(c): selection.state for c, selection in chosen.items() if selection.state is not None
    }
    return {**before, **now} or None
