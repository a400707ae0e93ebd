"""The files under conf/selection, composed once and by themselves."""

import functools
from pathlib import Path

from hydra import compose, initialize_config_dir

from al_bench.configuration.building import build
from al_bench.configuration.own_hydra import BASE

CONF = Path(__file__).parents[1] / "conf"
FILES = sorted((CONF / "selection").rglob("*.yaml"))
NAMES = sorted(path.stem for path in (CONF / "selection").glob("*.yaml"))
BROUGHT = ("+strategy=random", "+budget=default", "+training=default")  # what they replace


@functools.cache
def together(*overrides):
    """What these overrides make of a run of active learning."""
    with initialize_config_dir(str(CONF), **BASE):
        return compose(overrides=[*BROUGHT, *overrides])


def configured(name):
    """The node of ``selection=name``."""
    return together(*(f"+selection@{one}={one}" for one in NAMES))[name]


def brought(name):
    """The whole of what ``selection=name`` makes of a run of active learning."""
    return together(f"+selection={name}")


def built(name, *overrides):
    """What ``selection=name`` with these overrides builds."""
    config = together(f"+selection={name}", *overrides).selection if overrides else None
    return build(configured(name) if config is None else config, "selection")
