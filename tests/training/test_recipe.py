"""Recipes refuse what is out of range, by the key that is wrong."""

import pytest
import torch

from al_bench.data.base import TensorInputs
from al_bench.errors import ConfigError
from al_bench.training.augment import CropFlip
from al_bench.training.recipe import Recipe
from al_bench.training.schedules import Cosine


def generator():
    return torch.Generator().manual_seed(0)


def sizes(recipe, num_labeled):
    return [len(batch) for batch in recipe.batches(num_labeled, generator())]


def test_a_small_labeled_set_still_gets_the_epochs_steps():
    recipe = Recipe(batch_size=64, epoch_size=5056)
    assert sizes(recipe, 20) == [64] * 79
    assert recipe.steps_per_epoch(20) == 79


def test_plain_epochs_show_every_point_once():
    recipe = Recipe(batch_size=8, epoch_size=None)
    batches = list(recipe.batches(20, generator()))
    assert [len(batch) for batch in batches] == [8, 8, 4]
    assert sorted(torch.cat(batches).tolist()) == list(range(20))
    assert recipe.steps_per_epoch(20) == 3


def test_full_batch_is_one_step_with_all_points():
    recipe = Recipe(batch_size=None, epoch_size=None)
    assert sizes(recipe, 20) == [20]
    assert recipe.steps_per_epoch(20) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"start": "hot"}, "start=hot"),
        ({"monitor": "acuracy", "patience": 3}, "Did you mean 'accuracy'"),
        ({"monitor": "nll"}, "go together"),
        ({"monitor_every": 5}, "says how monitor looks, which is null. Add monitor=nll"),
        ({"monitor_samples": 5}, "or use monitor_samples=null"),
        ({"monitor": "nll", "patience": 3, "monitor_every": 0}, "monitor_every must be"),
        ({"monitor": "nll", "patience": 3, "monitor_every": 11}, "would never be looked at"),
        ({"learning_rate": 0}, "a number above 0, got 0"),
        ({"momentum": 0.9}, "needs optimizer=sgd"),
        ({"momentum": 0.9, "optimizer": "adamw"}, "needs optimizer=sgd, got adamw"),
        ({"nesterov": True, "optimizer": "sgd"}, "needs optimizer=sgd with a momentum"),
        ({"nesterov": "yes"}, "must be true or null, got 'yes'"),
        ({"label_smoothing": 0}, "above 0 and below 1, got 0. Use null for none"),
        ({"label_smoothing": 1.0}, "above 0 and below 1, got 1.0"),
        ({"clip_norm": -1}, "clip_norm must be a number above 0"),
        ({"momentum": 1.0, "optimizer": "sgd"}, "from 0 and below 1, got 1.0"),
        ({"weight_decay": -1}, "from 0, got -1"),
        ({"batch_size": None}, "epoch_size=null"),
        ({"max_epochs": 0}, "whole number from 1"),
        ({"stop_train_accuracy": 97}, "above 0 and at most 1, got 97. Use null to train"),
        ({"stop_train_accuracy": 0.9, "max_epochs": None}, "may never be reached.*max_epochs=500"),
        ({"stop_train_accuracy": 0.9, "stop_after": 0}, "stop_after must be a whole number"),
        (
            {"stop_train_accuracy": 0.9, "min_epochs": 11},
            "min_epochs=11 is more than max_epochs=10",
        ),
        ({"stop_after": 2}, "stop_after=2 says when stop_train_accuracy ends the training"),
        ({"min_epochs": 2}, "Add stop_train_accuracy=0.97, or use min_epochs=null"),
    ],
)
def test_a_wrong_recipe_is_refused_with_a_reason(wrong, said):
    with pytest.raises(ConfigError, match=said):
        Recipe(**wrong)


class Unsaid:
    """Inputs that do not say what black is."""

    input_shape = (1, 4, 4)


class Half:
    factor_is = 0.5

    def factor(self, step, steps_per_epoch, max_epochs):
        return self.factor_is


class Stuck(Half):
    factor_is = float("nan")


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (Recipe(schedule=Stuck()), "The factor of a learning rate must be a number from 0"),
        (Recipe(schedule=Cosine(warmup_epochs=10)), "below the number of epochs, which is 10"),
        (Recipe(augment=CropFlip()), "Unsaid does not say what a value of 0 is"),
    ],
)
def test_a_schedule_or_augmentation_that_does_not_fit_is_refused(recipe, said):
    with pytest.raises(ConfigError, match=said):
        recipe.check(Unsaid(), recipe.max_epochs)


def test_what_fits_is_not():
    images = TensorInputs(torch.zeros(2, 3, 4, 4))
    Recipe(schedule=Half(), augment=CropFlip()).check(images, 10)
    Recipe().check(Unsaid(), 10)
