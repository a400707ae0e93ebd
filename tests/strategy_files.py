"""The files under conf/strategy, composed by themselves: much faster than a whole run."""

import functools
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from al_bench.configuration.building import build
from al_bench.configuration.own_hydra import BASE
from al_bench.errors import AlBenchError

CONF = Path(__file__).parents[1] / "conf"
FILES = sorted((CONF / "strategy").rglob("*.yaml"))
ALL = sorted(path.stem for path in (CONF / "strategy").glob("*.yaml"))
ASKING = ["replay"]  # have a parameter without a default; their own tests check them
NAMES = [name for name in ALL if name not in ASKING]


def choices(group):
    """The names of ``strategy/rule=…`` for ``rule``."""
    return sorted(path.stem for path in (CONF / "strategy" / group).glob("*.yaml"))


@functools.cache
def together(*overrides):
    """What these overrides make of nothing: a composition for each choice takes seconds."""
    with initialize_config_dir(str(CONF), **BASE):
        return compose(overrides=list(overrides))


def configured(choice):
    """The node of ``strategy/bald``, ``strategy/rule/power`` …"""
    paths = [path.relative_to(CONF).with_suffix("") for path in FILES]
    places = [f"+{path.parent}@{'.'.join(path.parts)}={path.name}" for path in paths]
    return OmegaConf.select(together(*places), choice.replace("/", "."))


def built(name, *overrides):
    """What ``strategy=name`` with these overrides builds."""
    config = configured(f"strategy/{name}")
    if overrides:
        config = together(f"+strategy={name}", *overrides).strategy
    return build(config, "strategy")


def assert_chosen_or_refused(choose, kilobytes):
    """Calling ``choose`` gives five points, or says what takes more memory than there is."""
    try:
        selection = choose()
    except AlBenchError as error:
        said = str(error)
        assert "\n" not in said
        assert f" MB, and {kilobytes * 1024 / 1e6:,.0f} MB are available on cpu. " in said
        assert "strategy=subsample strategy@strategy.of=… strategy.size=" in said
    else:
        assert len(selection.positions.unique()) == 5
