"""The files under conf/strategy, composed by themselves: much faster than a whole run."""

import functools
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

CONF = Path(__file__).parents[1] / "conf"
FILES = sorted((CONF / "strategy").rglob("*.yaml"))
ALL = sorted(path.stem for path in (CONF / "strategy").glob("*.yaml"))
ASKING = ["replay"]  # have a parameter without a default; their own tests check them
NAMES = [name for name in ALL if name not in ASKING]


def choices(group):
    """The names of ``strategy/rule=…`` for ``rule``."""
    return sorted(path.stem for path in (CONF / "strategy" / group).glob("*.yaml"))


@functools.cache
def configured(choice, *overrides):
    """The node of ``strategy/bald``, ``strategy/rule/power`` …"""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(choice, overrides=list(overrides))
    for key in choice.split("/")[:-1]:
        config = config[key]
    return config


def built(name, *overrides):
    """What ``strategy=name`` with these overrides builds."""
    return instantiate(configured(f"strategy/{name}", *overrides), _convert_="all")
