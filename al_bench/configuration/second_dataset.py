"""Whoever names a further data set gets the node that reads it: pool transforms, evaluation.ood."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from omegaconf import DictConfig, OmegaConf

from al_bench.errors import ConfigError, choose
from al_bench.results.identity import PLACES

OOD = "evaluation.ood"
_LIKE = f"Write {OOD}=[fashion_mnist] or '{OOD}=[{{emnist: {{split: letters}}}}]'."


def add_second_datasets(
    config: DictConfig, folders: Sequence[str], load: Callable[[list[str]], DictConfig]
) -> None:
    """Complete ``dataset`` where a pool transform names a choice of ``dataset`` as its ``source``.

    Args:
        config: A run's configuration, changed in place.
        folders: Overrides that add folders of configuration.
        load: Composes a configuration from overrides.

    Raises:
        ConfigError: The data set has no such parameter.
    """
    for name, node in (config.pool or {}).items():
        reads_another = OmegaConf.is_dict(node) and {"source", "dataset"} <= node.keys()
        if reads_another and isinstance(node.get("source"), str):
            chosen = load([*folders, f"dataset={node.source}"]).dataset
            node.dataset = _second(f"pool.{name}.dataset", node.dataset, chosen, config.dataset)


def add_ood_datasets(
    config: DictConfig, folders: Sequence[str], load: Callable[[list[str]], DictConfig]
) -> None:
    """Make of the choices in ``evaluation.ood`` a mapping from their names to what reads them.

    Args:
        config: A run's configuration, changed in place.
        folders: Overrides that add folders of configuration.
        load: Composes a configuration from overrides.

    Raises:
        ConfigError: It is no list of choices of ``dataset``; one has no such parameter, or lacks
            one; or two have one name.
    """
    listed = config.evaluation.get("ood") if OmegaConf.is_dict(config.evaluation) else None
    if listed is None:
        return
    if not OmegaConf.is_list(listed):
        raise ConfigError(f"{OOD} must be a list of data sets, got {listed!r}.", _LIKE)
    nodes: dict[str, Any] = {}
    for entry in listed:
        choice, typed = _choice(entry)
        chosen = load([*folders, f"dataset={choice}"]).dataset
        node = _second(f"{OOD}: {choice}", typed, chosen, config.dataset)
        for parameter, value in node.items():
            if value == "???":
                raise ConfigError(
                    f"{OOD}: {choice} needs {parameter}.",
                    f"Write '{OOD}=[{{{choice}: {{{parameter}: …}}}}]'.",
                )
        name = _name(choice, node, typed)
        if name in nodes:
            raise ConfigError(
                f"{OOD} has two data sets that results would call {name}.",
                f"Leave one out, or name arrays: '{OOD}=[{{arrays: {{path: …, name: …}}}}]'.",
            )
        nodes[name] = node
    config.evaluation.ood = nodes or None


def _choice(entry: Any) -> tuple[str, Mapping[str, Any]]:
    """A choice of ``dataset`` and its parameters: ``mnist``, or ``{emnist: {split: letters}}``."""
    if isinstance(entry, str) and entry:
        return entry, {}
    if OmegaConf.is_dict(entry) and len(entry) == 1:
        ((choice, typed),) = entry.items()
        if isinstance(choice, str) and (typed is None or OmegaConf.is_dict(typed)):
            return choice, typed or {}
    raise ConfigError(f"{OOD} must be a list of data sets, got {entry!r} in it.", _LIKE)


def _name(choice: str, node: Mapping[str, Any], typed: Mapping[str, Any]) -> str:
    """What results call it: ``emnist_letters``; arrays are called as they call themselves."""
    if node.get("name") is not None:
        name = str(node["name"])
    elif "path" in typed:
        name = PurePath(str(typed["path"])).name.removesuffix(".npz")
    else:
        more = (str(value) for key, value in typed.items() if key not in PLACES)
        name = "_".join([choice, *more])
    return re.sub(r"[^A-Za-z0-9_+-]+", "_", name)[:100]  # a part of the keys of a configuration


def _second(key: str, node: Any, choice: Any, first: DictConfig) -> dict[str, Any]:
    """The choice with parameters of ``node``; it lies beside the first data set, unless told.

    The choice was composed apart: a second data set must not bring its network along.
    """
    second = with_parameters(key, node, choice)
    shared = (second.keys() & first) - set(node or ())
    return second | {name: first[name] for name in ("root", "download") if name in shared}


def with_parameters(key: str, node: Any, choice: Any) -> dict[str, Any]:
    """A choice with some parameters in the place of its own.

    Args:
        key: Of the parameters.
        node: The parameters; ``None`` is none.
        choice: The node of the choice.

    Raises:
        ConfigError: It has no such parameter.
    """
    second: Any = OmegaConf.to_container(choice)
    parameters: Any = OmegaConf.to_container(node) if node else {}
    for name in parameters:
        if name not in second:
            raise ConfigError(f"{key} has no parameter {name!r}.", choose(str(name), second))
    return {**second, **parameters}
