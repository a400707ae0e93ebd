"""Draw the points that are set apart for a seed: its validation set and its initial set."""

import torch
from torch import Tensor

from al_bench.budget import Budget
from al_bench.data.base import Pool
from al_bench.data.pool import copies_of, copy_numbers
from al_bench.errors import ConfigError
from al_bench.seeding import Streams


def draw_validation(pool: Pool, budget: Budget, streams: Streams) -> Tensor:
    """(n,) int64 indices of different points with labels, in the order in which they are drawn.

    Raises:
        ConfigError: The pool has fewer than ``budget.validation_size``.
    """
    size = budget.validation_labels(pool.num_classes)
    drawn = different_points(pool, streams)
    if size > len(drawn):
        raise ConfigError(
            f"budget.validation_size={size} is more than the {len(drawn)} different points with "
            "labels."
        )
    return drawn[:size]


def different_points(pool: Pool, streams: Streams) -> Tensor:
    """(n,) int64 indices of all points with labels, one of each with its copies, as "split" says.

    Points are set apart from the front of them, those for validation first.
    """
    drawn = torch.randperm(len(pool), generator=streams.generator("split"))
    drawn = drawn[~pool.refused[drawn]]
    return drawn[_first_copies(pool, drawn)]


def draw_initial(pool: Pool, validation: Tensor, budget: Budget, streams: Streams) -> Tensor:
    """(n,) int64 indices of the initial set, none of them a copy of a validation point.

    Raises:
        ConfigError: The pool has fewer points than the budget asks for.
    """
    order = torch.randperm(len(pool), generator=streams.generator("initial"))
    blocked = pool.refused.clone()
    blocked[copies_of(pool, validation)] = True
    order = order[~blocked[order]]
    if budget.is_full:
        return order
    order = order[_first_copies(pool, order)]
    if budget.init_per_class is None:
        assert budget.init_size is not None
        if budget.init_size > len(order):
            raise ConfigError(
                f"budget.init_size={budget.init_size} is more than the {len(order)} different "
                "points that validation leaves."
            )
        return order[: budget.init_size]
    chosen = []
    for label in range(pool.num_classes):
        of_class = order[pool.labels[order] == label][: budget.init_per_class]
        if len(of_class) < budget.init_per_class:
            raise ConfigError(
                f"budget.init_per_class={budget.init_per_class}: the pool has {len(of_class)} "
                f"points of class {label}.",
                "Use budget.init_per_class=null budget.init_size=20 for a uniform draw.",
            )
        chosen.append(of_class)
    return torch.stack(chosen, dim=1).flatten()  # one of each class, then the next of each


def _first_copies(pool: Pool, order: Tensor) -> Tensor:
    """(n,) bool: whether each place of ``order`` is the first with its source point."""
    if len(order) == 0:
        return torch.empty(0, dtype=torch.bool)
    _, group = torch.unique(copy_numbers(pool)[order], return_inverse=True)
    first = torch.full((int(group.max()) + 1,), len(order), dtype=torch.int64)
    places = torch.arange(len(order))
    first.scatter_reduce_(0, group, places, reduce="amin")
    return first[group] == places
