"""What a selection sees of the candidates of a step."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from sampling.in_memory import NETWORK, make_pool, make_trial
from torch import nn

from al_bench.data.target import ClassTargets, Targets
from al_bench.errors import AlBenchError, ConfigError
from al_bench.models.base import Network
from al_bench.models.deterministic import Deterministic
from al_bench.models.masks import draw_masks
from al_bench.models.mc_dropout import MCDropout
from al_bench.sampling.base import IRREDUCIBLE, TARGETS, CandidateView
from al_bench.sampling.draws import Uniform
from al_bench.sampling.recipe import StepRecipe
from al_bench.sampling.view import Batch, StepView


class Normalized(Network):
    """A network with batch normalization before and after its dropout."""

    def __init__(self, num_classes):
        super().__init__()
        self.first, self.second = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
        self.output = nn.Linear(4, num_classes)
        self.mask_units, self.dropout = (4,), 0.5

    def prefix(self, inputs):
        return self.first(inputs)

    def body(self, hidden, masks=None):
        return self.second(hidden * masks[0] if masks else hidden)


def normalized(*, input_shape, num_classes):
    return Normalized(num_classes)


@dataclass(frozen=True)
class Wants:
    """A selection with these needs."""

    needs: frozenset[str] = frozenset()
    choose: ClassVar = Uniform.choose


def view_of(trial, step=3, needs=()):
    working = trial.working()
    indices = trial.training[:20]
    inputs = trial.pool.inputs.gather(indices, torch.device("cpu"))
    batch = Batch(indices, inputs, trial.pool.labels[indices])
    return StepView(working.viewer, batch, step, Wants(frozenset(needs))), working.network, inputs


def everything(view):
    """All that a view gives."""
    factors = view.gradient_factors()
    return [view.losses(), *factors, view.log_probs(), view.target_log_probs(7)]


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_looking_leaves_the_network_as_it_is_to_the_bit(mode):
    recipe = StepRecipe(batch_size=4, selection_mode=mode)
    trial = make_trial(Uniform(), model=MCDropout(normalized, 3), recipe=recipe)
    view, network, _ = view_of(trial, needs=[TARGETS])
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    everything(view)
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_in_mode_train_candidates_are_normalized_by_their_own_statistics_and_lose_units():
    trial = make_trial(Uniform(), model=Deterministic(normalized))
    view, network, inputs = view_of(trial)
    masks = draw_masks(network, 20, trial.streams.generator("posterior", 3), inputs.device)
    logits = network.train()(inputs, masks)  # moves running statistics, after the view's pass
    expected = F.cross_entropy(logits.detach(), view.labels, reduction="none").double()
    torch.testing.assert_close(view.losses(), expected)


def test_in_mode_eval_no_unit_is_lost_and_running_statistics_are_used():
    recipe = StepRecipe(batch_size=4, selection_mode="eval")
    trial = make_trial(Uniform(), model=Deterministic(normalized), recipe=recipe)
    view, network, inputs = view_of(trial)
    logits = network.eval()(inputs).detach()
    expected = F.cross_entropy(logits, view.labels, reduction="none").double()
    torch.testing.assert_close(view.losses(), expected)


def test_a_sample_is_one_function_of_all_candidates_and_targets():
    pool = make_pool()
    training = make_trial(Uniform(), pool=pool).training
    targets = Targets(pool.inputs, training[:20])
    recipe = StepRecipe(batch_size=4, selection_mode="eval")
    trial = make_trial(
        Uniform(), pool=pool, model=MCDropout(NETWORK, 5), targets=targets, recipe=recipe
    )
    view, _, _ = view_of(trial, needs=[TARGETS])
    log_probs = view.log_probs()
    assert log_probs.shape == (20, 5, 3)
    assert not torch.equal(log_probs[:, 0], log_probs[:, 1])
    drawn = targets.draw(20, trial.streams.generator("target", 3))
    places = (training[:20][None] == drawn[:, None]).int().argmax(dim=1)
    torch.testing.assert_close(view.target_log_probs(20), log_probs[places])
    fewer, _, _ = view_of(trial)
    torch.testing.assert_close(fewer.log_probs(2), log_probs[:, :2])


def test_each_quantity_is_computed_once():
    view, network, _ = view_of(make_trial(Uniform()))
    first = view.losses()
    with torch.no_grad():
        network.output.weight.zero_()
    assert view.losses() is first
    assert view.log_probs().shape == (20, 1, 3)
    torch.testing.assert_close(
        view.log_probs().squeeze(1).gather(1, view.labels[:, None]).squeeze(1).double(), -first
    )


def test_a_view_has_what_selections_are_told_and_nothing_more():
    view, _, _ = view_of(make_trial(Uniform()))
    told = {name for name in dir(CandidateView) if not name.startswith("_")}
    told |= set(CandidateView.__annotations__)
    assert {name for name in dir(view) if not name.startswith("_")} == told


def test_more_samples_than_the_model_has_are_refused():
    view, _, _ = view_of(make_trial(Uniform(), model=MCDropout(NETWORK, 2)))
    with pytest.raises(ConfigError, match=r"asks for 3 posterior samples; the model has 2"):
        view.log_probs(3)


@pytest.mark.parametrize(
    ("needs", "words"), [(IRREDUCIBLE, "irreducible losses"), (TARGETS, "target inputs")]
)
def test_what_a_selection_did_not_say_it_needs_is_refused(needs, words):
    view, _, _ = view_of(make_trial(Uniform()))
    look = {IRREDUCIBLE: view.irreducible_losses, TARGETS: lambda: view.target_log_probs(3)}
    with pytest.raises(AlBenchError, match=f"looks at {words} without saying so"):
        look[needs]()


def test_target_inputs_are_training_points_alone():
    trial = make_trial(Uniform())
    assert set(trial.targets.indices.tolist()) == set(trial.training.tolist())
    others = make_pool(seed=1).inputs
    elsewhere = Targets(others, torch.arange(9))
    assert make_trial(Uniform(), targets=elsewhere).targets is elsewhere


def test_targets_by_class_are_training_points_and_every_wanted_class_is_there():
    pool = make_pool()
    trial = make_trial(Uniform(), pool=pool, targets=ClassTargets([1, 1, 0]).of(None, pool))
    assert torch.isin(trial.targets.indices, trial.training).all()
    assert set(trial.targets.groups.tolist()) == {0, 1}
    rare = dataclasses.replace(pool, true_labels=pool.true_labels.clamp_max(1))
    left = make_trial(Uniform()).training
    held = next(i for i in range(len(pool)) if i not in set(left.tolist()))
    rare.true_labels[held] = 2
    with pytest.raises(ConfigError, match="class 2, of which there is no point to train on"):
        make_trial(Uniform(), pool=rare, targets=ClassTargets([0, 0, 1]).of(None, rare))
