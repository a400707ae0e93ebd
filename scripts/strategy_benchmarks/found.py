"""Strategies and scores as ``conf/strategy`` has them: new ones are found by themselves."""

from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from al_bench.configuration.building import build
from al_bench.configuration.config_dir import config_dir
from al_bench.configuration.own_hydra import BASE
from al_bench.models.base import NETWORK
from al_bench.strategies.base import LABELS, Strategy

FOLDER = config_dir() / "strategy"


@cache
def choice(name: str, *overrides: str) -> Any:
    """What ``strategy/NAME.yaml`` or ``strategy/score/NAME.yaml`` builds."""
    with initialize_config_dir(str(FOLDER.parent), **BASE):
        config = compose(f"strategy/{name}", overrides=list(overrides))
    for key in f"strategy/{name}".split("/")[:-1]:
        config = config[key]
    return build(config, "strategy")


def exists(name: str) -> bool:
    """Whether there is such a file."""
    return (FOLDER / f"{name}.yaml").exists()


def names(folder: Path = FOLDER) -> list[str]:
    """Of all files in a folder."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def tensor_only(strategy: Strategy) -> bool:
    """Whether it needs neither a network nor labels that were not bought."""
    return not strategy.needs & {NETWORK, LABELS}
