"""Points drawn by class: so many of each."""

from collections.abc import Sequence

import torch
from torch import Tensor

from al_bench.data.base import Examples
from al_bench.data.pool import Stage
from al_bench.data.subset import IndexedInputs
from al_bench.errors import ConfigError
from al_bench.seeding import Streams


def of_each_class(
    order: Tensor, labels: Tensor, counts: Sequence[int], said: str, hint: str | None = None
) -> list[Tensor]:
    """The first ``counts[c]`` points of each class c in an order.

    Args:
        order: (n,) int64 indices, different ones.
        labels: The class of every index.
        counts: One a class.
        said: What asks for them, as one would type it.
        hint: What to type instead of more than there are.

    Raises:
        ConfigError: There are fewer of a class.
    """
    chosen = []
    for label, count in enumerate(counts):
        of_class = order[labels[order] == label][:count]
        if len(of_class) < count:
            raise ConfigError(
                f"{said}: there are {len(of_class)} points of class {label}.",
                hint or "Ask for as many or fewer.",
            )
        chosen.append(of_class)
    return chosen


def require_one_a_class(numbers: Sequence[float], num_classes: int, key: str) -> None:
    """Raise ConfigError unless there is a number for every class."""
    if len(numbers) != num_classes:
        raise ConfigError(
            f"{key} has {len(numbers)} numbers for {num_classes} classes.", "Give one a class."
        )


def part_by_class(
    test: Examples, counts: Sequence[int], num_classes: int, streams: Streams
) -> Examples:
    """The part of a test set with so many points of each class, drawn anew for every seed.

    Raises:
        ConfigError: The numbers do not fit the classes, or there are fewer points of one.
    """
    key = "evaluation.test_counts"
    require_one_a_class(counts, num_classes, key)
    generator = streams.generator("split", member=Stage.TEST)
    order = torch.randperm(len(test), generator=generator)
    said = f"{key}={list(counts)}, of the test set"
    kept = torch.cat(of_each_class(order, test.labels, counts, said)).sort().values
    return Examples(IndexedInputs(test.inputs, kept), test.labels[kept])


def in_turn(chosen: Sequence[Tensor]) -> Tensor:
    """(n,) one point of each class, then the next of each, as far as there are some."""
    turns = torch.cat([torch.arange(len(of_class)) for of_class in chosen])
    return torch.cat(list(chosen))[turns.argsort(stable=True)]
