"""What an error names is what can be typed: every parameter of every choice, wherever it lies."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from al_bench.configuration.building import build
from al_bench.configuration.choices import KINDS, choices
from al_bench.configuration.composing import compose
from al_bench.configuration.config_dir import config_dir
from al_bench.errors import AlBenchError, ConfigError, keyed, placed, require_whole
from al_bench.running.prepare import prepare

WRONG = (-3, 0, -0.5, "no such thing", 2**70, [], True, {"a": 1})
GROUPS = ("dataset", "pool", "model", "training", "budget", "target", "strategy")
KEY = re.compile(rf"\b(?:init_strategy|{'|'.join(GROUPS)})(?:\.\w+)+")
TYPED = re.compile(r"(?<![\w.])([a-z_]+(?:/[a-z_]+)*(?:@[\w.]+)?(?:\.\w+)*)=")


def composed_with(group, choice):
    """A configuration with a choice of a group, and the key of its node."""
    words = {
        "strategy/score": ["strategy=powerbald", f"strategy/score={choice}"],
        "strategy/rule": ["strategy=powerbald", f"strategy/rule={choice}"],
        "strategy/space": ["strategy=coreset", f"strategy/space={choice}"],
        "model/network": [f"model/network={choice}"],
    }.get(group, [f"{group}={choice}"])
    needed = {
        "replay": [f"strategy.run={Path.cwd()}"],
        "classes": ["target.proportions=[1]"],
        "remap": ["pool.remap.classes=[0,1]"],
        "contaminate": ["pool.contaminate.source=digits"],
    }
    key = f"pool.{choice}" if group == "pool" else group.replace("/", ".")
    return compose([*words, *needed.get(choice, [])]).config, key


def is_object(node):
    return OmegaConf.is_dict(node) and "_target_" in node


def nodes(node, key):
    """Every node that describes an object, with its key."""
    if OmegaConf.is_dict(node):
        if is_object(node):
            yield key, node
        for name in node:
            if not OmegaConf.is_missing(node, name):
                yield from nodes(node[name], f"{key}.{name}")


def errors_of(config, key):
    """What is said of each wrong value of each parameter of what ``key`` describes."""
    for inner, node in nodes(OmegaConf.select(config, key), key):
        for name in [name for name in node if not name.startswith("_")]:
            if not OmegaConf.is_missing(node, name) and is_object(node[name]):
                continue
            changed = config.copy()
            OmegaConf.set_struct(changed, False)
            for value in WRONG:
                OmegaConf.update(changed, f"{inner}.{name}", value, merge=False)
                try:
                    built = build(OmegaConf.select(changed, key), key)
                    if hasattr(built, "check") and key == "model":
                        with placed(built):
                            built.check((1, 8, 8), 10)
                except AlBenchError as error:
                    yield inner, name, error
                except Exception:  # what only training would find
                    continue


def known(config, key):
    node, parts = config, key.split(".")
    for part in parts:
        if not OmegaConf.is_dict(node) or part not in list(node):
            return False
        node = None if OmegaConf.is_missing(node, part) else node[part]
    return True


def check(config, key):
    found = set()
    for inner, name, error in errors_of(config, key):
        said = str(error)
        assert "\x02" not in said
        for named in KEY.findall(error.message.split(", got")[0]):
            assert known(config, named), said
            assert named.startswith(inner), said
        for typed in TYPED.findall(error.hint or ""):
            group = typed.split("@")[-1].replace("/", ".")
            assert known(config, group) or group in KINDS.values(), said
        found.add((inner, name))
    return found


FOLDERS = [config_dir()]
EVERY = [
    (group, choice)
    for group in (*GROUPS, "model/network", "strategy/score", "strategy/rule", "strategy/space")
    for choice, _ in choices(group, FOLDERS)
    if choice not in ("full", "null") or group == "budget"
]


@pytest.mark.slow
@pytest.mark.parametrize(("group", "choice"), EVERY)
def test_what_is_named_can_be_typed(group, choice):
    config, key = composed_with(group, choice)
    check(config, key)


POINTWISE = {
    "_target_": "al_bench.strategies.pointwise.Pointwise",
    "score": {"_target_": "al_bench.strategies.epig.EPIG", "num_targets": 0},
    "rule": {"_target_": "al_bench.strategies.rules.Power", "beta": 1.0},
}


@pytest.mark.parametrize("group", ["strategy", "init_strategy", "strategy.of"])
def test_an_error_names_the_key_of_what_is_built_wherever_it_lies(group):
    with pytest.raises(ConfigError, match=rf"^{group}\.score\.num_targets must be a whole number"):
        build(OmegaConf.create(POINTWISE), group)
    node = OmegaConf.merge(POINTWISE, {"score": {"num_targets": 5}, "rule": {"beta": -1.0}})
    with pytest.raises(ConfigError, match=rf"^{group}\.rule\.beta must") as caught:
        build(node, group)
    same = group == "strategy"
    typed = "strategy/rule=top_b" if same else f"strategy/rule@{group}.rule=top_b"
    assert f"Use {typed} " in str(caught.value)


def test_an_object_built_by_hand_names_its_parameter_alone():
    from al_bench.strategies.rules import Power

    with pytest.raises(ConfigError, match=r"^beta must be a number above 0, got -1"):
        Power(beta=-1)
    assert keyed("path", object()) == keyed("path")


def test_what_was_built_knows_its_key_later():
    node = OmegaConf.merge(POINTWISE, {"score": {"num_targets": 5}})
    built = build(node, "init_strategy")
    assert keyed("num_targets", built.score) == "init_strategy.score.num_targets"
    assert built == build(node, "strategy")
    said = r"^init_strategy\.size and strategy\.score\.path are wrong"
    with pytest.raises(ConfigError, match=said), placed(built):
        raise ConfigError(f"{keyed('size')} and strategy.score.path are wrong.")


@pytest.mark.parametrize("value", [2**63, 10**30, -1, 1.5, True, None])
def test_whole_numbers_are_those_a_table_holds(value):
    require_whole("size", 2**63 - 1, 1)
    with pytest.raises(ConfigError, match=r"^size must be a whole number from 1"):
        require_whole("size", value, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["seeds=[9223372036854775808]"],
            "A seed must be a whole number from 0 to 9223372",
        ),
        (
            ["seeds=99999999999999999999"],
            "seeds must be a whole number from 1 to 9223372036854775807",
        ),
        (
            ["threads=99999999999"],
            "threads must be a whole number from 1 to 4096, got",
        ),
        (["chunk_bytes=99999999999999999999"], "chunk_bytes must be a whole number from 1 to"),
        (["workers=99999999999999999999"], "workers must be a whole number from 1 to"),
        (["streams.init=99999999999999999999"], "streams.init must be a whole number from 0 to"),
        (["budget.total=99999999999999999999"], "budget.total must be a whole number from 1 to"),
    ],
)
def test_numbers_that_no_table_holds_are_refused_before_any_work(words, said):
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}"):
        prepare(compose([*words]))
