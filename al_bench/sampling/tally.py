"""What the steps of one round were taken on: shares of the points that were chosen, and losses.

C classes.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from al_bench.data.base import Examples, Pool
from al_bench.training.step import Step


class Tally:
    """Counts over the steps of a round; points that are chosen twice count twice.

    Args:
        pool: The pool.
        test: Its classes are those that matter.
    """

    def __init__(self, pool: Pool, test: Examples) -> None:
        self._labels = pool.labels
        own = pool.origin == 0
        self._wrong = own & (pool.labels != pool.true_labels)
        self._outside = ~own | ~torch.isin(pool.true_labels, test.labels)
        self._num_classes = pool.num_classes
        self.clear()

    def clear(self) -> None:
        """Begin a round."""
        self._steps = 0
        self._points = 0
        self._loss = 0.0
        self._counts = dict.fromkeys(("wrong", "known", "outside", "seen"), 0)
        self._classes = torch.zeros(self._num_classes, dtype=torch.int64)
        self._seconds = {"seconds_select": 0.0, "seconds_fit": 0.0}
        self._notes: dict[str, list[Any]] = defaultdict(list)

    @contextmanager
    def timed(self, column: str) -> Iterator[None]:
        """Count the time spent within."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[column] += time.perf_counter() - started

    def add(self, indices: Tensor, seen: Tensor, step: Step) -> None:
        """A step was taken.

        Args:
            indices: (B,) int64 pool indices of the points that it was taken on.
            seen: (B,) bool, whether each was trained on before.
            step: What the step saw of them.
        """
        labels = self._labels[indices]
        known = step.logits.argmax(dim=1).cpu() == labels
        found = {"wrong": self._wrong[indices], "outside": self._outside[indices]}
        for name, each in {**found, "known": known, "seen": seen}.items():
            self._counts[name] += int(each.sum())
        self._classes += torch.bincount(labels, minlength=self._num_classes)
        self._loss += float(step.loss)
        self._steps += 1
        self._points += len(indices)

    def note(self, notes: Mapping[str, Any]) -> None:
        """What a selection says of a step."""
        for name, value in notes.items():
            self._notes[name].append(value)

    def columns(self) -> dict[str, Any]:
        """Columns of the round's row; shares and the loss are null where no step was taken."""
        shares = {
            f"selected_{name}": count / self._points if self._points else None
            for name, count in self._counts.items()
        }
        notes = {name: _summary(values, self._steps) for name, values in self._notes.items()}
        return {
            "steps": self._steps,
            "train_loss": self._loss / self._steps if self._steps else None,
            **self._seconds,
            **shares,
            "selected_class_counts": self._classes.tolist() if self._points else None,
            "notes": json.dumps(notes, sort_keys=True) if notes else None,
        }


def _summary(values: list[Any], steps: int) -> Any:
    """What several steps have noted: the mean of numbers; else in how many steps it was noted."""
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) == len(values):
        mean = sum(numbers) / len(numbers)
        return values[0] if all(value == values[0] for value in values) else mean
    kinds = {str(value): values.count(value) for value in values}
    if steps == 0:
        return ", ".join(kinds)
    return ", ".join(f"{kind} in {count} of {steps} steps" for kind, count in kinds.items())
