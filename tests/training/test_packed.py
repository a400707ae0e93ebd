"""Networks trained in packs are those trained one by one, whoever else is in the pack."""

import dataclasses
import functools
import math

import pytest
import torch
from packed_trials import FewPoints, equal, fit_packed, fit_sequential, told
from torch import nn

from al_bench import engine
from al_bench.data.base import TensorInputs
from al_bench.errors import TrainingError
from al_bench.models.base import Network
from al_bench.models.deterministic import Deterministic
from al_bench.models.ensemble import DeepEnsemble
from al_bench.models.mc_dropout import MCDropout
from al_bench.models.networks.blocks import BlockNetwork, Conv, Dense
from al_bench.models.networks.ddu_resnet import ddu_resnet8
from al_bench.models.networks.mlp import mlp
from al_bench.models.replicas import Replicas
from al_bench.training.augment import CropFlip
from al_bench.training.captured import warm_up
from al_bench.training.packed import PackedTrainer, _pack
from al_bench.training.recipe import Recipe
from al_bench.training.schedules import Constant, Cosine, Milestones, OneCycle
from al_bench.training.trainer import SequentialTrainer


def tiny_cnn(*, input_shape, num_classes):
    blocks = (Conv(3, 3, pool=2), Conv(5, 3, padding=1, masked=False), Dense(7))
    return BlockNetwork(input_shape, num_classes, blocks, dropout=0.3)


class Normalized(Network):
    """A dense layer between batch normalizations, then dropout."""

    def __init__(self, inputs, num_classes):
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm1d(inputs), nn.Linear(inputs, 6), nn.BatchNorm1d(6))
        self.output = nn.Linear(6, num_classes)
        self.mask_units, self.dropout = (6,), 0.25

    def prefix(self, inputs):
        return torch.relu(self.first(inputs.flatten(1)))

    def body(self, hidden, masks=None):
        return hidden * masks[0] if masks else hidden


def normalized(*, input_shape, num_classes):
    return Normalized(math.prod(input_shape), num_classes)


DENSE = Deterministic(functools.partial(mlp, hidden=(9,), dropout=0.3))
LINEAR = Deterministic(functools.partial(mlp, hidden=()))
CNN = Deterministic(tiny_cnn)
NORMALIZED = Deterministic(normalized)
SPECTRAL = Deterministic(functools.partial(ddu_resnet8, spectral=0.5))
ENSEMBLE = DeepEnsemble(functools.partial(mlp, hidden=(5,)), num_members=2)
MODELS = {
    "linear": LINEAR,
    "dense": DENSE,
    "convolutional": CNN,
    "batch normalization": NORMALIZED,
    "spectral normalization": SPECTRAL,
    "ensemble": ENSEMBLE,
}
SPECTRAL_SLOW = pytest.param("spectral normalization", marks=pytest.mark.slow)
EVERY = [*(name for name in MODELS if name != "spectral normalization"), SPECTRAL_SLOW]
PLAIN = Recipe(batch_size=8, epoch_size=24, max_epochs=3, learning_rate=0.02)
RECIPES = {
    "adam": dict(weight_decay=0.01),
    "adamw": dict(optimizer="adamw", weight_decay=0.1, schedule=Cosine(warmup_epochs=1)),
    "sgd": dict(optimizer="sgd", weight_decay=0.01, schedule=Milestones(epochs=(1, 2))),
    "momentum": dict(optimizer="sgd", momentum=0.9, schedule=OneCycle()),
    "nesterov": dict(optimizer="sgd", momentum=0.9, nesterov=True, clip_norm=0.5),
    "smoothed": dict(label_smoothing=0.1, clip_norm=1.0, schedule=Constant(warmup_epochs=0.5)),
    "augmented": dict(augment=CropFlip(padding=1)),
    "accuracy": dict(monitor="accuracy", patience=2, max_epochs=9),
    "nll": dict(monitor="nll", patience=1, max_epochs=9, monitor_every=2),
    "until fitted": dict(stop_train_accuracy=0.6, stop_after=2, min_epochs=3, max_epochs=9),
}
SHORT = {  # batches of several sizes, or those of the labeled set
    "short": dict(epoch_size=None),
    "joined": dict(epoch_size=None, batch_size=29),
    "shorter epochs": dict(epoch_size=20),
    "full batch": dict(batch_size=None, epoch_size=None),
}


def changed(changes):
    return dataclasses.replace(PLAIN, **changes)


@pytest.fixture
def doubles():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Convolutions of a pack are computed together, which a CPU does one after the other."""

    monkeypatch.setattr(
        "al_bench.training.packs.Replicas", functools.partial(Replicas, together=True)
    )


def assert_close(packed, sequential):
    assert packed.keys() == sequential.keys()
    for seed, one in packed.items():
        other = sequential[seed]
        assert not isinstance(one, Exception), one
        mine, his = told(one), told(other)
        assert mine.pop("train_loss") == pytest.approx(his.pop("train_loss"), abs=1e-9)
        assert mine == his  # the same steps, and the same stops
        for weights, wanted in zip(one.weights, other.weights, strict=True):
            for name, value in weights.items():
                torch.testing.assert_close(value, wanted[name], rtol=0, atol=1e-9)


def check_equal_to_sequential(model, recipe, shape=(1, 8, 8)):
    def trials(width):
        return [FewPoints(model, recipe, seed, 30, shape, width) for seed in range(4)]

    assert_close(fit_packed(trials(3)), fit_sequential(trials(None)))


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("model", EVERY)
def test_packs_train_as_one_by_one(model):
    check_equal_to_sequential(MODELS[model], PLAIN)


@pytest.mark.slow
@pytest.mark.usefixtures("doubles", "as_on_a_gpu")
@pytest.mark.parametrize("model", ["convolutional", "batch normalization", SPECTRAL_SLOW])
def test_packs_train_as_one_by_one_where_all_is_computed_together(model):
    check_equal_to_sequential(MODELS[model], PLAIN)


@pytest.mark.slow
@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("name", RECIPES)
def test_packs_follow_every_recipe(name):
    check_equal_to_sequential(CNN, changed(RECIPES[name]))


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("name", SHORT)
def test_packs_fill_up_short_batches_with_points_that_do_not_count(name):
    check_equal_to_sequential(DENSE, changed(SHORT[name]), shape=(5,))


@pytest.mark.slow
@pytest.mark.usefixtures("doubles")
def test_looks_through_samples_draw_the_masks_of_each_trial():
    recipe = changed(dict(monitor="nll", patience=2, max_epochs=6, monitor_samples=3))
    check_equal_to_sequential(MCDropout(functools.partial(mlp, hidden=(9,))), recipe)


@pytest.mark.slow
@pytest.mark.parametrize("model", EVERY)
def test_bits_depend_on_the_trial_alone(model):
    """Not on its neighbors, its slot, the order of the queue, nor on what was in the slot before.

    Sizes of data and layers are odd, so that slots begin anywhere in memory; training stops early,
    so that slots are filled again at different times.
    """
    recipe = changed(dict(monitor="nll", patience=1, max_epochs=4))
    whole = range(6)
    wanted = {
        seed: fit_packed([FewPoints(MODELS[model], recipe, seed, width=3)])[seed] for seed in (2, 5)
    }
    for seeds in (whole, [1, 5, 3, 2]):
        found = fit_packed([FewPoints(MODELS[model], recipe, seed, width=3) for seed in seeds])
        for seed, one in wanted.items():
            assert equal(found[seed], one), (seeds, seed)


def test_the_number_of_labels_of_a_neighbor_changes_no_bit():
    recipe = changed(SHORT["short"])
    alone = fit_packed([FewPoints(DENSE, recipe, 0, 30, (5,), 2)])[0]
    counts = {1: 25, 2: 31, 0: 30}  # four batches in each epoch
    trials = [FewPoints(DENSE, recipe, seed, count, (5,), 2) for seed, count in counts.items()]
    assert equal(fit_packed(trials)[0], alone)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_fails_its_trial_alone_as_it_would_by_itself():
    def trials(width):
        made = [FewPoints(CNN, PLAIN, seed, width=width) for seed in range(4)]
        made[1].inputs.values[3] = math.nan
        return made

    packed, sequential = fit_packed(trials(3)), fit_sequential(trials(None))
    assert isinstance(packed[1], TrainingError)
    assert str(packed[1]) == str(sequential[1])
    healthy = fit_packed([FewPoints(CNN, PLAIN, seed, width=3) for seed in (0, 2, 3)])
    for seed, one in healthy.items():
        assert equal(packed[seed], one)


def test_an_ensemble_fails_of_the_member_of_which_it_would_fail_by_itself():
    recipe = changed(dict(learning_rate=1e30, optimizer="sgd", max_epochs=6))
    trials = [
        [FewPoints(ENSEMBLE, recipe, seed, width=width) for seed in range(3)] for width in (3, None)
    ]
    packed, sequential = fit_packed(trials[0]), fit_sequential(trials[1])
    for seed in range(3):
        assert isinstance(packed[seed], TrainingError)
        assert str(packed[seed]) == str(sequential[seed])


def test_trials_that_cannot_be_packed_are_trained_by_themselves():
    """Without labels, of other shapes, and of another engine: each has its outcome."""
    trials = [
        FewPoints(DENSE, PLAIN, 0, width=2),
        FewPoints(DENSE, PLAIN, 1, num_labeled=0, width=2),
        FewPoints(DENSE, PLAIN, 2),
        FewPoints(DENSE, PLAIN, 3, shape=(6,), width=2),
        FewPoints(LINEAR, PLAIN, 4, width=2),
    ]
    found = fit_packed(trials)
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert found[1].diagnostics["steps"] == 0
    assert equal(found[2], fit_sequential([FewPoints(DENSE, PLAIN, 2)])[2])


def test_runs_that_were_built_apart_share_a_pack(monkeypatch):
    packs = []
    monkeypatch.setattr(
        "al_bench.training.packed._pack", lambda *told, make=_pack: packs.append(0) or make(*told)
    )
    models = [Deterministic(functools.partial(mlp, hidden=(9,))) for _ in range(4)]
    models[3] = Deterministic(functools.partial(mlp, hidden=(8,)))
    fit_packed([FewPoints(model, PLAIN, seed, width=2) for seed, model in enumerate(models)])
    assert len(packs) == 2


class Broken(FewPoints):
    def labeled_set(self):
        raise ValueError("there is no such file")


def test_data_that_cannot_be_read_fail_their_trial_alone():
    found = fit_packed([Broken(DENSE, PLAIN, 0, width=2), FewPoints(DENSE, PLAIN, 1, width=2)])
    assert str(found[0]) == "there is no such file"
    assert equal(found[1], fit_packed([FewPoints(DENSE, PLAIN, 1, width=2)])[1])


@pytest.mark.parametrize("model", ["dense", "batch normalization"])
@pytest.mark.parametrize("changes", [dict(epoch_size=16), SHORT["full batch"]], ids=str)
def test_a_step_can_be_taken_back_wherever_training_is(model, changes, monkeypatch):
    """A GPU takes some before it records one."""
    trials = [FewPoints(MODELS[model], changed(changes), seed, width=2) for seed in range(3)]
    expected = fit_packed(trials)

    def taken_back(compute, tensors):
        warm_up(compute, tensors)

    monkeypatch.setattr("al_bench.training.packs.captured", taken_back)
    found = fit_packed(trials)
    assert all(equal(found[seed], expected[seed]) for seed in range(3))


def test_nothing_is_trained_where_no_trial_can_read_its_data():
    found = fit_packed([Broken(DENSE, PLAIN, seed, width=2) for seed in range(2)])
    assert [str(found[seed]) for seed in range(2)] == ["there is no such file"] * 2


class Fussy(Normalized):
    """It will not look at inputs that are far from zero."""

    def prefix(self, inputs):
        if inputs.mean() > 100:
            raise ValueError("such bright inputs")
        return super().prefix(inputs)


def fussy(*, input_shape, num_classes):
    return Fussy(math.prod(input_shape), num_classes)


class Bright(FewPoints):
    def __init__(self, *told, **more):
        super().__init__(*told, **more)
        everything = torch.arange(len(self.inputs))
        self.inputs = TensorInputs(self.inputs.gather(everything, self.engine.device) + 1000)


@pytest.mark.slow
@pytest.mark.parametrize("model", [Deterministic(fussy), DeepEnsemble(fussy, num_members=2)])
def test_a_network_that_raises_fails_its_trial_alone(model):
    def trials(*seeds):
        kinds = {3: Bright}
        return [kinds.get(seed, FewPoints)(model, PLAIN, seed, width=3) for seed in seeds]

    outcomes = [(trial.seed, one) for trial, one in PackedTrainer().fit(trials(0, 1, 2, 3, 4))]
    assert sorted(seed for seed, _ in outcomes) == [0, 1, 2, 3, 4]  # each is told once
    found = dict(outcomes)
    assert str(found.pop(3)) == "such bright inputs"
    well = fit_packed(trials(0, 1, 2, 4))
    assert all(equal(one, well[seed]) for seed, one in found.items())


def test_where_none_can_be_trained_each_fails_once(monkeypatch):
    def out_of_memory(*told):
        raise MemoryError("too many weights")

    monkeypatch.setattr("al_bench.training.packs.Pack._step", out_of_memory)
    trials = [FewPoints(DENSE, PLAIN, seed, width=2) for seed in range(3)]
    outcomes = [(trial.seed, str(one)) for trial, one in PackedTrainer().fit(trials)]
    assert sorted(outcomes) == [(seed, "too many weights") for seed in range(3)]


@pytest.mark.slow
def test_a_trial_that_was_advanced_takes_the_next_free_slot():
    """Rounds of a trial follow each other while others are still in an earlier one."""
    recipe = changed(dict(max_epochs=2))
    trials = [FewPoints(DENSE, recipe, seed, width=2) for seed in range(3)]
    rounds = []
    for trial, fitted in PackedTrainer().fit(trials):
        rounds.append((trial.seed, trial.round))
        alone = FewPoints(DENSE, recipe, trial.seed, width=2)
        alone.round, alone.weights = trial.round, trial.weights
        assert equal(fitted, fit_packed([alone])[trial.seed])
        trial.weights = fitted.weights
        trial.round += 1
        trial.finished = trial.round == (1 if trial.seed == 1 else 3)
    assert sorted(rounds) == [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1), (2, 2)]


@pytest.mark.slow
def test_steps_are_told_of_every_trial_and_the_time_is_shared_out():
    steps = []
    trials = [FewPoints(ENSEMBLE, PLAIN, seed, width=3) for seed in range(3)]
    found = list(PackedTrainer(lambda trial: steps.append(trial.seed)).fit(trials))
    one_by_one = []
    trials = [FewPoints(ENSEMBLE, PLAIN, seed) for seed in range(3)]
    list(SequentialTrainer(lambda trial: one_by_one.append(trial.seed)).fit(trials))
    assert sorted(steps) == sorted(one_by_one)
    assert all(fitted.diagnostics["seconds_fit"] > 0 for _, fitted in found)


@pytest.mark.slow
def test_packs_compute_in_the_precision_of_the_engine():
    def fitted(fit, width, precision):
        trial = FewPoints(CNN, PLAIN, 0, width=width)
        trial.engine = dataclasses.replace(trial.engine, training_precision=precision)
        return fit([trial])[0].diagnostics["train_loss"]

    low = fitted(fit_packed, 2, "bfloat16")
    assert low == pytest.approx(fitted(fit_sequential, None, "bfloat16"), rel=0.02)
    assert low != fitted(fit_packed, 2, "float32")


def test_models_whose_parameters_cannot_be_compared_have_packs_of_their_own():
    models = [
        Deterministic(functools.partial(own_weights, weights=torch.ones(2))) for _ in range(2)
    ]
    found = fit_packed(
        [FewPoints(model, PLAIN, seed, width=2) for seed, model in enumerate(models)]
    )
    assert all(not isinstance(one, Exception) for one in found.values())


def own_weights(*, input_shape, num_classes, weights):
    return mlp(input_shape=input_shape, num_classes=num_classes, hidden=(len(weights),))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("changes", [{}, dict(epoch_size=16)], ids=str)
@pytest.mark.parametrize("model", MODELS)
def test_packs_on_a_gpu_train_as_one_by_one_and_show_no_neighbors(model, changes):
    def trials(seeds, width):
        return [
            FewPoints(MODELS[model], changed(changes), seed, width=width, device="cuda:0")
            for seed in seeds
        ]

    with engine.restored():
        trials([0], 3)[0].engine.set_up()
        packed, sequential = fit_packed(trials(range(5), 3)), fit_sequential(trials(range(5), None))
        alone = fit_packed(trials([3], 3))
    assert equal(packed[3], alone[3])
    for seed, one in packed.items():
        loss = sequential[seed].diagnostics["train_loss"]
        assert one.diagnostics["train_loss"] == pytest.approx(loss, rel=1e-3)
