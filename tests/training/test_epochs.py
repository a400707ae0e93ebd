"""Epochs stop early at the best snapshot, and train what the streams say."""

import dataclasses

import pytest
import torch

from al_bench.data.base import TensorInputs
from al_bench.data.labeled import LabeledSet
from al_bench.engine import Engine
from al_bench.errors import TrainingError
from al_bench.models.networks.mlp import mlp
from al_bench.seeding import Streams, isolated
from al_bench.training import epochs
from al_bench.training.augment import CropFlip
from al_bench.training.draws import Generators
from al_bench.training.epochs import train
from al_bench.training.recipe import Recipe
from al_bench.training.schedules import Cosine
from al_bench.training.step import Step, take_step

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
    generators = Generators(*(torch.Generator().manual_seed(seed) for seed in (1, 2, 3, 4)))
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


@pytest.mark.slow
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


def test_looks_may_come_every_so_many_epochs(monkeypatch):
    values = iter([0.5, 0.9, 0.8, 0.7])
    looked = []

    def scripted(net, read, recipe, generators, engine):
        looked.append(len(looked))
        return next(values), 0.0

    monkeypatch.setattr(epochs, "_look", scripted)
    recipe = Recipe(epoch_size=64, max_epochs=30, monitor="accuracy", patience=7, monitor_every=4)
    _, training = fit(recipe, validation=blobs(7, seed=5))
    # at 4, 8, 12 and 16: after the best look eight epochs are more than seven
    assert (training.best_epoch, training.epochs, len(looked)) == (8, 16, 4)


def test_looks_through_samples_are_those_of_mc_dropout_and_leave_training_alone(monkeypatch):
    """The mean prediction of masked networks, computed one by one in float64."""
    recipe = Recipe(learning_rate=0.01, epoch_size=64, max_epochs=3, monitor="nll", patience=9)
    validation = blobs(31, seed=5)
    look, seen = epochs._look, []

    def heard(net, read, how, generators, engine):
        masks = torch.Generator()
        masks.set_state(generators.look.get_state())
        answer = look(net, read, how, generators, engine)
        net.eval()
        inputs, labels = next(iter(read))
        uniform = torch.rand(how.monitor_samples, sum(net.mask_units), generator=masks)
        kept = (uniform >= net.dropout).float() / (1 - net.dropout)
        parts = torch.split(kept, list(net.mask_units), dim=1)
        with torch.no_grad():
            each = [
                net(inputs, [part[k : k + 1] for part in parts]).double().softmax(dim=1)
                for k in range(how.monitor_samples)
            ]
        mean = torch.stack(each).mean(dim=0)
        nll = -mean[torch.arange(31), labels].log().mean()
        seen.append((answer, (float((mean.argmax(1) == labels).double().mean()), float(nll))))
        return answer

    plain, _ = fit(recipe, validation=validation)
    monkeypatch.setattr(epochs, "_look", heard)
    sampled = dataclasses.replace(recipe, monitor_samples=6)
    _, training = fit(sampled, validation=validation)
    assert len(seen) == training.epochs == 3
    for answer, expected in seen:
        assert answer == pytest.approx(expected, rel=1e-4)
    nlls = [answer[1] for answer, _ in seen]
    assert len(set(nlls)) == 3
    last = dataclasses.replace(recipe, monitor=None, patience=None)
    if training.best_epoch == 3:
        for name, value in fit(last)[0].state_dict().items():
            assert torch.equal(value, plain.state_dict()[name])


def scripted_passes(monkeypatch, shares):
    """Passes of ten points each, of which a share is right; the weights are left alone."""
    right = iter(round(10 * share) for share in shares)

    def taken(network, optimizer, points, how, learning_rate, engine):
        wrong = torch.arange(len(points.labels)) >= next(right)
        shown = torch.nn.functional.one_hot((points.labels + wrong) % 3, 3).float()
        return Step(torch.tensor(1.0), shown)

    monkeypatch.setattr(epochs, "take_step", taken)


@pytest.mark.parametrize(
    ("said", "passes", "ended"),
    [
        ({}, [0.8, 0.9, 0.8, 1.0], 2),
        ({"stop_after": 2}, [0.9, 0.8, 0.8, 1.0], 4),  # not in a row
        ({"min_epochs": 3}, [0.9, 0.8, 0.2, 1.0], 3),  # reached before
        ({"stop_after": 2, "min_epochs": 2}, [0.8, 0.9, 0.9], 3),
        ({"stop_after": 4}, [1.0] * 5, 4),
        ({"max_epochs": 3}, [0.8] * 3, 3),
    ],
)
def test_training_ends_when_enough_epochs_have_reached_the_training_accuracy(
    monkeypatch, said, passes, ended
):
    scripted_passes(monkeypatch, passes)
    recipe = Recipe(batch_size=10, epoch_size=None, stop_train_accuracy=0.9)
    _, training = fit(dataclasses.replace(recipe, **said), labeled=blobs(10))
    assert (training.epochs, training.steps, training.best_epoch) == (ended, ended, ended)


def test_the_accuracy_that_ends_a_training_is_that_of_its_own_passes(monkeypatch):
    """With half of the units dropped, and before each step: not what the network knows after it."""
    right = []

    def taken(network, optimizer, points, *more):
        step = take_step(network, optimizer, points, *more)
        right.extend((step.logits.argmax(dim=1) == points.labels).tolist())
        return step

    monkeypatch.setattr(epochs, "take_step", taken)
    recipe = Recipe(learning_rate=0.0003, batch_size=10, epoch_size=None, max_epochs=30)
    _, training = fit(dataclasses.replace(recipe, stop_train_accuracy=0.9))
    shares = torch.tensor(right).view(-1, 30).double().mean(dim=1)
    assert 2 < training.epochs == len(shares) < 30
    assert shares[-1] >= 0.9 > shares[:-1].max()


def test_what_ends_a_training_changes_nothing_before():
    recipe = Recipe(learning_rate=0.01, batch_size=10, epoch_size=None, max_epochs=30)
    stopped, training = fit(dataclasses.replace(recipe, stop_train_accuracy=0.95))
    plain, _ = fit(dataclasses.replace(recipe, max_epochs=training.epochs))
    for name, value in stopped.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name]), name


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


@pytest.mark.slow
def test_batches_are_the_same_whether_gathered_at_once_or_one_by_one():
    small = dataclasses.replace(ENGINE, chunk_bytes=1)
    held, _ = fit(Recipe(max_epochs=1))
    gathered, _ = fit(Recipe(max_epochs=1), engine=small)
    for name, value in held.state_dict().items():
        assert torch.equal(value, gathered.state_dict()[name])


@pytest.mark.slow
def test_training_in_bfloat16_keeps_float32_weights_and_learns():
    engine = dataclasses.replace(ENGINE, training_precision="bfloat16")
    net, training = fit(Recipe(learning_rate=0.01, max_epochs=3), engine=engine)
    assert training.train_accuracy == 1.0
    assert {value.dtype for value in net.state_dict().values()} == {torch.float32}


def images(n):
    values = torch.randint(256, (n, 1, 6, 6), dtype=torch.uint8)
    return LabeledSet(TensorInputs(values, (0.3,), (0.4,)), torch.arange(n), torch.arange(n) % 3)


class Seen(torch.nn.Module):
    """A linear network that keeps what it is shown, in training and otherwise."""

    mask_units = ()
    dropout = 0.0

    def __init__(self):
        super().__init__()
        self.output = torch.nn.Linear(36, 3)
        self.shown = {True: [], False: []}

    def forward(self, inputs, masks=None):
        self.shown[self.training].append(inputs.detach().clone())
        return self.output(inputs.flatten(1))


def test_only_training_inputs_are_augmented_each_time_anew():
    labeled, validation = images(5), images(4)
    recipe = Recipe(
        batch_size=5,
        epoch_size=None,
        max_epochs=3,
        monitor="nll",
        patience=9,
        augment=CropFlip(2),
    )
    generators = Generators.of(Streams(0), 0, 0)
    net = Seen()
    train(net, labeled, validation, recipe, generators, ENGINE)
    cpu = torch.device("cpu")
    plain = [each.inputs.gather(each.indices, cpu) for each in (validation, labeled)]
    for shown, expected in zip(net.shown[False], [plain[0]] * 3 + [plain[1]], strict=True):
        assert torch.equal(shown, expected)
    again = Generators.of(Streams(0), 0, 0)
    for shown in net.shown[True]:
        places = torch.randperm(5, generator=again.order)
        uniform = torch.rand(5, 3, generator=again.augment)
        changed = CropFlip(2)(plain[1][places], uniform, labeled.inputs.zero)
        assert torch.equal(shown, changed)
    assert not torch.equal(net.shown[True][0], net.shown[True][1])


def test_a_schedule_runs_over_all_epochs_and_begins_anew_in_the_next_training(monkeypatch):
    rates = []

    def taken(network, optimizer, points, how, learning_rate, engine):
        rates.append(learning_rate)
        return take_step(network, optimizer, points, how, learning_rate, engine)

    monkeypatch.setattr(epochs, "take_step", taken)
    recipe = Recipe(epoch_size=None, batch_size=10, max_epochs=4, schedule=Cosine(), start="warm")
    fit(recipe)
    first = list(rates)
    fit(recipe)
    assert len(first) == 12
    assert first == sorted(first, reverse=True)
    assert first[0] == recipe.learning_rate
    assert rates == first * 2


@pytest.mark.slow
def test_everything_together_learns():
    recipe = Recipe(
        optimizer="sgd",
        learning_rate=0.2,
        momentum=0.9,
        nesterov=True,
        epoch_size=None,
        batch_size=8,
        max_epochs=20,
        label_smoothing=0.1,
        clip_norm=1.0,
        schedule=Cosine(warmup_epochs=2),
    )
    _, training = fit(recipe)
    assert training.train_accuracy == 1.0
    assert 0.2 < training.train_loss < 0.7  # at least 0.29: the labels' own entropy is in it
