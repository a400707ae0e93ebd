"""Which points of a pool a trial trains on, holds out, and validates with: equal for all arms."""

from typing import NamedTuple

import torch
from torch import Tensor

from al_bench.data.base import Pool
from al_bench.data.labeled import LabeledSet
from al_bench.data.pool import copies_of
from al_bench.errors import ConfigError, keyed
from al_bench.rounds.splits import different_points
from al_bench.sampling.budget import StepBudget
from al_bench.seeding import Streams


class Split(NamedTuple):
    """Points of a pool, no point among two of these, nor a copy of it.

    Args:
        training: (N,) int64 pool indices, ascending: all that have a label and are not set apart.
        holdout: What irreducible losses may be learned from, with labels of its own.
        validation: (V,) int64 pool indices.
        num_put_aside: Points drawn for the holdout that ``holdout_labels`` and ``holdout_classes``
            keep out of it; nothing is trained on them.
    """

    training: Tensor
    holdout: LabeledSet
    validation: Tensor
    num_put_aside: int


def draw_split(pool: Pool, budget: StepBudget, streams: Streams) -> Split:
    """The split of one seed; validation points are those that active learning has.

    Raises:
        ConfigError: The pool has too few points.
    """
    drawn = different_points(pool, streams)
    validation, rest = drawn[: budget.validation_size], drawn[budget.validation_size :]
    if budget.validation_size > len(drawn):
        raise ConfigError(
            f"{keyed('validation_size', budget)}={budget.validation_size} is more than the "
            f"{len(drawn)} different points with labels."
        )
    size = budget.num_holdout(len(rest))
    if size > len(rest):
        raise ConfigError(
            f"{keyed('holdout_size', budget)}={size} is more than the {len(rest)} different "
            "points with labels that validation leaves.",
            f"Use for example {keyed('holdout_size', budget)}=0.5.",
        )
    held = rest[:size]
    apart = pool.refused.clone()
    apart[copies_of(pool, torch.cat([validation, held]))] = True
    training = (~apart).nonzero().squeeze(1)
    if len(training) == 0:
        raise ConfigError(
            f"{keyed('holdout_size', budget)}={budget.holdout_size} leaves no point to train on.",
            f"Use for example {keyed('holdout_size', budget)}=0.5.",
        )
    holdout = _holdout(pool, held, budget)
    return Split(training, holdout, validation, len(held) - len(holdout))


def _holdout(pool: Pool, held: Tensor, budget: StepBudget) -> LabeledSet:
    labels = pool.labels
    if budget.holdout_labels == "clean":
        held, labels = held[pool.origin[held] == 0], pool.true_labels
    if budget.holdout_classes is not None:
        wanted = torch.tensor(list(budget.holdout_classes))
        if int(wanted.max()) >= pool.num_classes:
            raise ConfigError(
                f"{keyed('holdout_classes', budget)} has {int(wanted.max())}; the pool has "
                f"{pool.num_classes} classes.",
                f"Valid: 0 to {pool.num_classes - 1}.",
            )
        held = held[torch.isin(labels[held], wanted)]
    return LabeledSet(pool.inputs, held, labels[held])
