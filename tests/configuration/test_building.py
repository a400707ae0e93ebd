"""Objects from configuration nodes: what is wrong is told by its key."""

import pickle

import pytest
from omegaconf import DictConfig, OmegaConf

from al_bench.configuration.building import build
from al_bench.errors import ConfigError

RECIPE = "al_bench.training.recipe.Recipe"
REPEAT = "al_bench.data.repeat.Repeat"
BATCHBALD = "al_bench.strategies.batchbald.BatchBALD"
POWER = "al_bench.strategies.rules.Power"
CLASSES = "al_bench.data.target.ClassTargets"


@pytest.mark.parametrize(
    ("target", "group", "wrong", "said"),
    [
        (RECIPE, "training", {"weight_decay": float("inf")}, "must be a number from 0, got inf."),
        (RECIPE, "training", {"momentum": [1]}, "must be a number from 0 and below 1, got [1]."),
        (RECIPE, "training", {"learning_rate": True}, "must be a number above 0, got True."),
        (POWER, "strategy.rule", {"beta": "x"}, "must be a number above 0, got 'x'."),
        (BATCHBALD, "strategy", {"tolerance": "x"}, "must be a number from 0, got 'x'."),
        (REPEAT, "pool.repeat", {"noise_std": "x"}, "must be a number from 0, got 'x'."),
        (CLASSES, "target", {"proportions": 3}, "must be a list such as [0.5,1], got 3."),
        (CLASSES, "target", {"proportions": ["a"]}, "must be a list such as [0.5,1], got ['a']."),
    ],
)
def test_a_value_of_the_wrong_type_is_told_by_its_key(target, group, wrong, said):
    with pytest.raises(ConfigError) as caught:
        build(OmegaConf.create({"_target_": target, **wrong}), group)
    (key,) = wrong
    assert caught.value.message == f"{group}.{key} {said}"


@pytest.mark.parametrize(
    ("hidden", "said"),
    [(3, "must be a list of widths, got 3"), ([0], "must be a whole number from 1, got 0")],
)
def test_widths_of_an_mlp_are_whole_numbers_in_a_list(hidden, said):
    node = {"_target_": "al_bench.models.networks.mlp.mlp", "_partial_": True, "hidden": hidden}
    network = build(OmegaConf.create(node), "model.network")
    with pytest.raises(ConfigError) as caught:
        network(input_shape=(4,), num_classes=2)
    assert said in str(caught.value)


def test_a_wrong_key_deep_inside_is_told_with_its_place_and_near_names():
    rule = {"_target_": POWER, "bta": 3}
    node = {"_target_": "al_bench.strategies.pointwise.Pointwise", "score": None, "rule": rule}
    with pytest.raises(ConfigError) as caught:
        build(OmegaConf.create(node), "strategy")
    assert str(caught.value) == (
        "strategy.rule has no parameter 'bta'. Did you mean 'strategy.rule.beta'?"
    )


def test_what_has_no_target_says_how_to_choose():
    with pytest.raises(ConfigError, match="strategy has no _target_"):
        build(None, "strategy")


class Keeps:
    """Whatever it is given."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


def kept(**node):
    return build(OmegaConf.create({"_target_": f"{__name__}.Keeps", **node}), "mine")


def test_hydras_special_keys_mean_what_they_mean_to_hydra():
    inner = {"_target_": POWER, "beta": 2}
    made = kept(_args_=[inner, [inner]], part={"deep": inner}, nothing=None)
    assert made.args[0].beta == made.args[1][0].beta == 2
    assert (type(made.args[1]), type(made.kwargs["part"])) == (list, dict)
    assert made.kwargs["part"]["deep"].beta == 2
    assert made.kwargs["nothing"] is None
    assert kept(_recursive_=False, part=inner).kwargs["part"] == inner
    assert isinstance(kept(_convert_="none", part={"list": [1]}).kwargs["part"], DictConfig)
    later = kept(_partial_=True, part=inner)
    assert later(missing=3).kwargs["part"].beta == 2


def test_what_is_partial_can_be_pickled():
    node = {"_target_": "al_bench.models.networks.mlp.mlp", "_partial_": True, "hidden": [3]}
    network = pickle.loads(pickle.dumps(build(OmegaConf.create(node), "model.network")))
    assert network(input_shape=(4,), num_classes=2).output.out_features == 2


def test_what_is_built_does_not_hang_on_what_a_version_of_hydra_refuses():
    node = {"_target_": "operator.itemgetter", "_args_": [1]}
    assert build(OmegaConf.create(node), "mine")("ab") == "b"


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"_target_": "math.pi"}, "mine._target_=math.pi is no class and no function."),
        ({"_target_": POWER, "_partial_": "x"}, "mine._partial_ must be true or false, got 'x'."),
        ({"_target_": POWER, "_args_": 3}, "mine._args_ must be a list such as [0,1], got 3."),
    ],
)
def test_a_special_key_that_cannot_have_its_value_is_told(node, said):
    with pytest.raises(ConfigError) as caught:
        build(OmegaConf.create(node), "mine")
    assert caught.value.message == said
