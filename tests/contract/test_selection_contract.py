"""What every selection under conf/selection must do; a new file is picked up by itself."""

import re
from inspect import signature

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf
from selection_files import CONF, FILES, NAMES, brought, built, configured, together

from al_bench.checking.probing import DoesNotApply
from al_bench.checking.selections import CHECKS, CORE_SET_CHECKS, NEEDS, checks_of
from al_bench.configuration.building import build
from al_bench.configuration.shipped import parts_of
from al_bench.configuration.trust import _check_form
from al_bench.sampling.base import IRREDUCIBLE, TARGETS, CoreSet
from al_bench.sampling.irreducible import Holdout, TwoHalves, model_of
from al_bench.strategies.rules import Power, Softmax, Softrank, TopB

DRAWN = {
    "order_of_the_candidates_is_irrelevant",
    "identical_candidates_are_equally_likely",
    "copies_are_chosen_equally_often",
}
RULES = {"top_b": TopB, "power": Power, "softmax": Softmax, "softrank": Softrank}


def cost(check):
    """Laws take hundreds of draws; the other checks are done at every change."""
    marks = [pytest.mark.slow] if check.__name__ in DRAWN else []
    return pytest.param(check, marks=marks, id=check.__name__)


@pytest.fixture(scope="module", params=NAMES)
def selection(request):
    return built(request.param)


@pytest.mark.parametrize(
    "check", [cost(check) for check in dict.fromkeys((*CHECKS, *CORE_SET_CHECKS))]
)
def test_the_contract(selection, check):
    if check not in checks_of(selection):
        pytest.skip("is a property of the other kind")
    try:
        check(selection)
    except DoesNotApply as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_file_begins_with_what_it_is(path):
    first, second = path.read_text(encoding="utf-8").splitlines()[:2]
    assert first.startswith("# ")
    assert 15 < len(first) <= 110
    assert not second.startswith("#")


@pytest.mark.parametrize("name", NAMES)
def test_first_line_says_what_the_model_must_provide(name):
    first = (CONF / "selection" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    said = {word for words in re.findall(r"needs ([a-z, ]+)", first) for word in words.split()}
    assert said & NEEDS == built(name).needs - {IRREDUCIBLE, TARGETS}


@pytest.mark.parametrize("name", NAMES)
def test_values_in_the_file_are_the_defaults_of_the_class(name):
    config = configured(name)
    parameters = signature(get_object(config["_target_"])).parameters
    for key in config:
        if not key.startswith("_") and not OmegaConf.is_dict(config._get_node(key)):
            assert config[key] == parameters[key].default


@pytest.mark.parametrize("name", NAMES)
def test_what_a_file_names_is_run_again_without_being_trusted(name):
    node = OmegaConf.to_container(configured(name))
    for part in parts_of({"selection": node}):
        assert part.is_shipped, part
        _check_form(part, CONF)


@pytest.mark.parametrize("name", ["uniform", "rho_loss", "grand"])
def test_a_choice_brings_budget_and_training_along_and_takes_the_strategy_away(name):
    config = brought(name)
    assert "strategy" not in config
    assert config.budget["_target_"].endswith("StepBudget")
    assert config.training["_target_"].endswith("StepRecipe")


@pytest.mark.slow
def test_every_rule_of_active_learning_is_one_override_away():
    chosen = [f"+selection@{rule}=loss" for rule in RULES]
    config = together(*chosen, *(f"selection/rule@{rule}.rule={rule}" for rule in RULES))
    for rule, kind in RULES.items():
        assert isinstance(build(config[rule], "selection").rule, kind)


@pytest.mark.slow
def test_boltzmann_sampling_is_two_overrides_away():
    selection = built("rho_loss", "selection/rule=softmax", "selection.rule.beta=4")
    assert selection.rule == Softmax(beta=4)


@pytest.mark.slow
def test_irreducible_losses_are_one_override_away():
    assert isinstance(model_of(built("rho_loss")), Holdout)
    assert isinstance(model_of(built("irreducible_loss")), Holdout)
    halves = built("rho_loss", "selection/irreducible=two_halves")
    assert isinstance(model_of(halves), TwoHalves)
    model = model_of(built("rho_loss", "selection.irreducible.update=true"))
    assert model.update
    assert (model.training.optimizer, model.training.learning_rate) == ("adamw", 0.001)
    assert (model.training.batch_size, model.training.max_epochs) == (320, 10)
    assert model.recipe(27_000).max_epochs == 10


@pytest.mark.slow
def test_models_beside_the_target_are_augmented_as_it_is():
    flip = "training/augment=flip"
    assert model_of(built("rho_loss", flip)).training.augment.flip
    assert built("svp", flip).recipe().augment.flip
    assert model_of(built("rho_loss")).training.augment is None


@pytest.mark.parametrize(
    ("name", "epochs", "proxies"),
    [("svp", 25, 1), ("forgetting", 25, 1), ("el2n", 10, 10), ("grand", 10, 10)],
)
def test_core_sets_have_the_proxies_of_their_papers(name, epochs, proxies):
    core_set = built(name)
    assert isinstance(core_set, CoreSet)
    assert (core_set.share, core_set.epochs, core_set.num_proxies) == (0.1, epochs, proxies)
    assert core_set.recipe().max_epochs == epochs


def test_grand_at_initialization_is_one_override_away():
    assert built("grand", "selection.epochs=0").recipe() is None
