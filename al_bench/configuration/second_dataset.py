"""Pool transforms that name a further data set get the node that reads it."""

from collections.abc import Callable, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from al_bench.errors import ConfigError, choose


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
            node.dataset = _second(f"pool.{name}", node.dataset, chosen, config.dataset)


def _second(key: str, node: Any, choice: Any, first: DictConfig) -> dict[str, Any]:
    """The choice with parameters of ``node``; it lies beside the first data set, unless told.

    The choice was composed apart: a second data set must not bring its network along.
    """
    second = with_parameters(f"{key}.dataset", node, choice)
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
