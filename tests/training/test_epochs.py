import dataclasses

import pytest
import torch

from al_bench.data.base import TensorInputs
from al_bench.data.labeled import LabeledSet
from al_bench.engine import Engine
from al_bench.errors import TrainingError
from al_bench.models.networks.mlp import mlp
from al_bench.seeding import isolated
from al_bench.training import epochs
from al_bench.training.draws import Generators
from al_bench.training.epochs import train
from al_bench.training.recipe import Recipe

ENGINE = Engine(torch.device("cpu"))


def blobs(n, seed=0):
    """n points of three well separated classes in the plane."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    centers = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 3.0]])
    values = centers[labels] + 0.3 * torch.randn(n, 2, generator=generator)
    return LabeledSet(TensorInputs(values), torch.arange(n), labels)


def network(seed=0):
    with isolated(torch.Generator().manual_seed(seed)):
        return mlp(input_shape=(2,), num_classes=3)


def fit(recipe, labeled=None, validation=None, engine=ENGINE):
    net = network()
    labeled = blobs(30) if labeled is None else labeled
    validation = blobs(0) if validation is None else validation
    generators = Generators(*(torch.Generator().manual_seed(seed) for seed in (1, 2, 3)))
    return net, train(net, labeled, validation, recipe, generators, engine)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(learning_rate=0.01, max_epochs=3),
        Recipe(optimizer="sgd", learning_rate=0.05, momentum=0.9, epoch_size=None, max_epochs=40),
        Recipe(learning_rate=0.02, batch_size=None, epoch_size=None, max_epochs=60),
    ],
    ids=["replacement", "epochs", "full_batch"],
)
def test_every_kind_of_recipe_learns_separable_classes(recipe):
    _, training = fit(recipe)
    assert training.train_accuracy == 1.0
    assert training.epochs == recipe.max_epochs
    assert training.steps == recipe.max_epochs * recipe.steps_per_epoch(30)


def test_training_twice_gives_the_same_bits():
    first, _ = fit(Recipe(max_epochs=2))
    second, _ = fit(Recipe(max_epochs=2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_early_stopping_restores_the_weights_of_the_best_epoch(monkeypatch):
    values = iter([0.5, 0.9, 0.8, 0.9, 0.7, 1.0])  # a tie is no improvement
    states = []
    assess = epochs._assess

    def scripted(net, read, engine):
        if len(read) != 7:
            return assess(net, read, engine)
        states.append({name: value.clone() for name, value in net.state_dict().items()})
        return next(values), 0.0

    monkeypatch.setattr(epochs, "_assess", scripted)
    recipe = Recipe(epoch_size=64, max_epochs=30, monitor="accuracy", patience=3)
    net, training = fit(recipe, validation=blobs(7, seed=5))
    assert (training.best_epoch, training.epochs) == (2, 5)
    for name, value in net.state_dict().items():
        assert torch.equal(value, states[1][name]), name
        assert value.dtype == torch.float32


def test_early_stopping_on_nll_wants_it_small():
    recipe = Recipe(learning_rate=0.01, max_epochs=4, epoch_size=128, monitor="nll", patience=4)
    _, training = fit(recipe, validation=blobs(9, seed=5))
    assert training.best_epoch == 4  # separable classes: every epoch is better


def test_no_labels_leave_the_network_as_it_was_built():
    net, training = fit(Recipe(), labeled=blobs(0))
    for name, value in network().state_dict().items():
        assert torch.equal(value, net.state_dict()[name])
    assert training.steps == 0
    assert training.train_loss is None


def test_a_diverging_loss_is_an_error_that_names_the_learning_rate():
    recipe = Recipe(optimizer="sgd", learning_rate=1e20, max_epochs=20)
    with pytest.raises(TrainingError, match=r"learning_rate=1e\+20"):
        fit(recipe)


def test_batches_are_the_same_whether_gathered_at_once_or_one_by_one():
    small = dataclasses.replace(ENGINE, chunk_bytes=1)
    held, _ = fit(Recipe(max_epochs=1))
    gathered, _ = fit(Recipe(max_epochs=1), engine=small)
    for name, value in held.state_dict().items():
        assert torch.equal(value, gathered.state_dict()[name])


def test_training_in_bfloat16_keeps_float32_weights_and_learns():
    engine = dataclasses.replace(ENGINE, training_precision="bfloat16")
    net, training = fit(Recipe(learning_rate=0.01, max_epochs=3), engine=engine)
    assert training.train_accuracy == 1.0
    assert {value.dtype for value in net.state_dict().values()} == {torch.float32}
