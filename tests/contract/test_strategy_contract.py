"""What every strategy under conf/strategy must do; a new file is picked up by itself."""

import dataclasses
import re
from inspect import Parameter, signature

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf
from pool_views import FakeView, log_probs, seeded
from strategy_files import ALL, ASKING, CONF, FILES, NAMES, built, choices, configured, together

from al_bench.checking import laws
from al_bench.checking.checks import CHECKS
from al_bench.checking.pools import disagreeing
from al_bench.checking.probing import DoesNotApply
from al_bench.configuration.building import build
from al_bench.models.base import SAMPLES
from al_bench.models.capabilities import CAPABILITIES
from al_bench.strategies.base import LABELS
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.rules import Power, Softmax, Softrank
from al_bench.strategies.scores import needs_of

SCORES, RULES = choices("score"), choices("rule")
# Standardised scores and logarithms are no weights.
MAY_BE_NEGATIVE = {("weighted", "power"), ("density", "power")}


def family(name):
    """Presets that are a score and a rule, both tested elsewhere, are in the slow set."""
    drawn = name.startswith(("power", "softmax", "softrank")) and name != "powerbald"
    return pytest.param(name, marks=[pytest.mark.slow] if drawn else [])


@pytest.fixture(scope="module", params=[family(name) for name in NAMES])
def strategy(request):
    return built(request.param)


def cost(check):
    """Laws take hundreds of draws; the other checks are done at every change."""
    marks = [pytest.mark.slow] if check.__module__ == laws.__name__ else []
    return pytest.param(check, marks=marks, id=check.__name__)


@pytest.mark.parametrize("check", [cost(check) for check in CHECKS])
def test_the_contract(strategy, check):
    try:
        check(strategy)
    except DoesNotApply as reason:
        pytest.skip(str(reason))


def test_disagreeing_points_come_before_agreeing_ones(strategy):
    """Pitfalls 3, 4 and 6: certain members that disagree are wanted, those that agree are not."""
    if SAMPLES not in strategy.needs:
        pytest.skip("does not look at disagreement")
    if isinstance(strategy, Pointwise) and isinstance(strategy.rule, Softmax | Softrank):
        pytest.skip("takes every point with some probability")
    if LABELS in strategy.needs:
        pytest.skip("knows the labels, of which some make predictions less certain")
    for seed in range(20):
        picks = strategy.select(disagreeing(30, 10), 3, seeded(seed)).positions
        assert all(10 <= pick < 20 for pick in picks[:2])


@pytest.mark.parametrize("name", ALL)
def test_only_known_files_leave_a_parameter_to_the_user(name):
    missing = OmegaConf.missing_keys(configured(f"strategy/{name}"))
    assert bool(missing) == (name in ASKING)


@pytest.mark.parametrize("score", SCORES)
def test_every_score_goes_with_every_rule(score):
    config = together(
        *(f"+strategy@{name}=bald" for name in SCORES),
        *(f"strategy/score@{name}.score={name}" for name in SCORES),
    )
    strategy = build(config[score], "strategy")
    assert strategy.needs == needs_of(strategy.score)
    for rule in RULES:
        strategy = dataclasses.replace(strategy, rule=built("bald", f"strategy/rule={rule}").rule)
        if (score, rule) in MAY_BE_NEGATIVE:
            with pytest.raises(ValueError, match="negative"):
                strategy.select(FakeView(log_probs(12, 6, 4)), 5, seeded(0))
            continue
        batch = strategy.select(FakeView(log_probs(12, 6, 4)), 5, seeded(0)).positions
        assert len(batch.unique()) == 5


def test_rule_and_its_parameter_are_one_override_away():
    strategy = built("entropy", "strategy/rule=power", "strategy.rule.beta=4")
    assert strategy.rule == Power(beta=4)
    assert strategy.needs == frozenset()
    power, bald = built("powerbald"), built("bald")
    assert power.rule == Power()
    assert power.score.func is bald.score.func


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_file_begins_with_what_it_is(path):
    first, second = path.read_text(encoding="utf-8").splitlines()[:2]
    assert first.startswith("# ")
    assert 15 < len(first) <= 110
    assert not second.startswith("#")


@pytest.mark.parametrize("name", NAMES)
def test_first_line_says_what_the_model_must_provide(name):
    needs = built(name).needs
    first = (CONF / "strategy" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    said = {word for words in re.findall(r"needs ([a-z, ]+)", first) for word in words.split()}
    said = {word.strip(",") for word in said} & CAPABILITIES.keys()
    assert said == needs - {LABELS}
    assert ("sees labels" in first) == (LABELS in needs)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_values_in_the_file_are_the_defaults_of_the_class(path):
    config = configured(path.relative_to(CONF).with_suffix("").as_posix())
    parameters = signature(get_object(config["_target_"])).parameters
    for name in config:
        if name.startswith("_") or OmegaConf.is_dict(config._get_node(name)):
            continue  # what is built of other files
        default = parameters[name].default
        if OmegaConf.is_missing(config, name):
            assert default is Parameter.empty
            continue
        assert config[name] == default
        assert type(config[name]) is type(default)
