"""Draw the points that are set apart for a seed: its validation set and its initial set."""

import torch
from torch import Tensor

from al_bench.budget import Budget
from al_bench.data.base import Pool
from al_bench.data.class_counts import in_turn, of_each_class
from al_bench.data.pool import copies_of, first_copies
from al_bench.errors import ConfigError
from al_bench.seeding import Streams


def draw_validation(pool: Pool, budget: Budget, streams: Streams) -> Tensor:
    """(n,) int64 indices of different points with labels, in the order in which they are drawn.

    Raises:
        ConfigError: The pool has fewer than the budget asks for.
    """
    drawn = different_points(pool, streams)
    if budget.validation_per_class is not None:
        said = f"budget.validation_per_class={budget.validation_per_class}"
        counts = budget.validation_counts(pool.num_classes)
        return in_turn(of_each_class(drawn, pool.labels, counts, said))
    size = budget.validation_labels(pool.num_classes)
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
    return drawn[first_copies(pool, drawn)]


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
    order = order[first_copies(pool, order)]
    if budget.init_per_class is None:
        assert budget.init_size is not None
        if budget.init_size > len(order):
            raise ConfigError(
                f"budget.init_size={budget.init_size} is more than the {len(order)} different "
                "points that validation leaves."
            )
        return order[: budget.init_size]
    said = f"budget.init_per_class={budget.init_per_class}"
    hint = "Use budget.init_per_class=null budget.init_size=20 for a uniform draw."
    counts = budget.initial_counts(pool.num_classes)
    return in_turn(of_each_class(order, pool.labels, counts, said, hint))
