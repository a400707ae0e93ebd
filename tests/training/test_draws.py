"""What an epoch draws does not depend on how much is drawn at once."""

import dataclasses

import pytest
import torch

from al_bench.engine import Engine
from al_bench.models.masks import draw_masks
from al_bench.models.networks.mlp import mlp
from al_bench.seeding import Streams
from al_bench.training import draws
from al_bench.training.augment import CropFlip
from al_bench.training.draws import BYTES_A_UNIT, Generators, draw_epoch
from al_bench.training.recipe import Recipe

ENGINE = Engine(torch.device("cpu"))
RECIPE = Recipe(batch_size=16, epoch_size=41, augment=CropFlip())
UNITS = 7


def network():
    return mlp(input_shape=(2,), num_classes=3, hidden=(4, 3))


def epoch(recipe=RECIPE, chunk_bytes=2**20, num_labeled=9):
    generators = Generators.of(Streams(3), round=1, member=2)
    engine = dataclasses.replace(ENGINE, chunk_bytes=chunk_bytes)
    steps = list(draw_epoch(network(), recipe, num_labeled, generators, engine))
    return steps, generators


@pytest.mark.parametrize("recipe", [RECIPE, Recipe(batch_size=4, epoch_size=None)])
def test_masks_of_an_epoch_are_those_drawn_batch_by_batch(recipe):
    steps, generators = epoch(recipe)
    apart = Generators.of(Streams(3), round=1, member=2)
    places = list(recipe.batches(9, apart.order))
    assert len(places) == len(steps) == recipe.steps_per_epoch(9)
    for step, batch in zip(steps, places, strict=True):
        assert torch.equal(step.places, batch)
        masks = draw_masks(network(), len(batch), apart.mask, ENGINE.device)
        assert all(map(torch.equal, step.masks, masks))
        if recipe.augment is not None:
            uniform = torch.rand(len(batch), 3, generator=apart.augment)
            assert torch.equal(step.uniform, uniform)
    for name in ("order", "mask", "augment"):
        ended = [getattr(one, name).get_state() for one in (generators, apart)]
        assert torch.equal(*ended), name


def test_masks_are_drawn_together_within_the_working_memory(monkeypatch):
    asked = []

    def counted(network, count, generator, device):
        asked.append(count)
        return draw_masks(network, count, generator, device)

    monkeypatch.setattr(draws, "draw_masks", counted)
    whole, _ = epoch()
    few, _ = epoch(chunk_bytes=35 * BYTES_A_UNIT * UNITS)
    none, _ = epoch(chunk_bytes=1)
    assert asked == [41, 32, 9, 16, 16, 9]
    for one, other, third in zip(whole, few, none, strict=True):
        assert torch.equal(one.uniform, other.uniform)
        for masks in zip(one.masks, other.masks, third.masks, strict=True):
            assert torch.equal(masks[0], masks[1])
            assert torch.equal(masks[0], masks[2])


def test_a_recipe_without_augmentation_draws_nothing_for_it():
    recipe = dataclasses.replace(RECIPE, augment=None)
    steps, generators = epoch(recipe)
    assert all(step.uniform is None for step in steps)
    fresh = Generators.of(Streams(3), round=1, member=2).augment
    assert torch.equal(generators.augment.get_state(), fresh.get_state())
    with_it, _ = epoch()
    for one, other in zip(steps, with_it, strict=True):
        assert torch.equal(one.places, other.places)
        assert all(map(torch.equal, one.masks, other.masks))
