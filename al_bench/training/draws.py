"""What chance decides of an epoch: batches, dropout masks, augmentation; drawn many steps at once.

Row i of a stream's uniform numbers belongs to the i-th point that is shown, so that it does not
matter how many steps are drawn together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from al_bench.engine import Engine
from al_bench.models.base import Network
from al_bench.models.masks import draw_masks
from al_bench.seeding import Streams
from al_bench.training.recipe import Recipe

BYTES_A_UNIT = 16  # a uniform number, whether it keeps the unit, and the mask before it is scaled


@dataclass(frozen=True)
class Generators:
    """The random streams of training one network, CPU generators.

    Args:
        order: Draws the order of training points.
        mask: Draws dropout masks.
        augment: Draws what changes training inputs.
        look: Draws the masks of looks at the validation set.
    """

    order: torch.Generator
    mask: torch.Generator
    augment: torch.Generator
    look: torch.Generator

    @classmethod
    def of(cls, streams: Streams, round: int, member: int) -> "Generators":
        """Those of a trial's round and the member of its model."""
        return cls(
            order=streams.generator("order", round, member),
            mask=streams.generator("mask", round, member),
            augment=streams.generator("augment", round, member),
            # The trained model's own posterior is drawn as member 0.
            look=streams.generator("posterior", round, 1 + member),
        )


class Drawn(NamedTuple):
    """What chance decides of one step.

    Args:
        places: (n,) int64 on the CPU, places in the labeled set.
        masks: Dropout masks on the device, (n, units) each.
        uniform: (n, num_draws) on the device, of the augmentation; ``None`` without one.
    """

    places: Tensor
    masks: Sequence[Tensor]
    uniform: Tensor | None


def draw_epoch(
    network: Network, recipe: Recipe, num_labeled: int, generators: Generators, engine: Engine
) -> Iterator[Drawn]:
    """The steps of one epoch.

    Masks are drawn for as many steps at once as the engine's ``chunk_bytes`` allow, at least one.
    """
    batches = list(recipe.batches(num_labeled, generators.order))
    units = sum(network.mask_units)
    most = engine.chunk_bytes // (BYTES_A_UNIT * units) if units else sum(map(len, batches))
    for group in _groups(batches, most):
        sizes = [len(places) for places in group]
        masks = draw_masks(network, sum(sizes), generators.mask, engine.device)
        parts = [torch.split(mask, sizes) for mask in masks]
        numbers: Sequence[Tensor | None] = [None] * len(group)
        if recipe.augment is not None:
            shape = (sum(sizes), recipe.augment.num_draws)
            uniform = torch.rand(shape, generator=generators.augment).to(engine.device)
            numbers = torch.split(uniform, sizes)
        for i, places in enumerate(group):
            yield Drawn(places, [part[i] for part in parts], numbers[i])


def _groups(batches: Sequence[Tensor], most: int) -> Iterator[list[Tensor]]:
    """Consecutive batches with at most ``most`` points together, but at least one batch each."""
    group: list[Tensor] = []
    for places in batches:
        if group and sum(map(len, group)) + len(places) > most:
            yield group
            group = []
        group.append(places)
    yield group
