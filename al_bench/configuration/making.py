"""From nodes with a ``_target_`` to objects, as Hydra does it, and alike under all its versions.

Hydra's own function refuses other targets in each version, warns in later ones unless it is told
what is allowed, and makes something of ``_partial_`` that cannot be pickled. What may be built is
al-bench's to say, before anything is made.
"""

import functools
from typing import Any

from omegaconf import OmegaConf

from al_bench.configuration.targets import locate
from al_bench.errors import ConfigError, require_list

SPECIAL = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


class Failed(Exception):
    """Calling a class or function raised; ``__cause__`` is what.

    Args:
        key: Of the node that describes it.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def make(node: Any, key: str, recursive: bool = True, convert: str = "all") -> Any:
    """What a node describes, and what the nodes inside it do.

    Args:
        node: A part of a configuration; ``_partial_``, ``_args_``, ``_recursive_`` and
            ``_convert_`` in it mean what they mean to Hydra.
        key: Its own key, dotted.
        recursive: Whether the nodes inside are made too, or handed over as they are written.
        convert: ``none`` hands over lists and mappings as nodes, anything else as plain ones.

    Returns:
        The object of a node that has a ``_target_``; of others a list or dict of what is inside.

    Raises:
        Failed: A class or function raised.
        ConfigError: There is no such class, or a special key cannot have its value.
    """
    if OmegaConf.is_list(node):
        items = [
            make(item, f"{key}[{place}]", recursive, convert) for place, item in enumerate(node)
        ]
        return _container(items, convert)
    if not OmegaConf.is_dict(node):
        return node
    recursive = _flag(node, key, "_recursive_", recursive)
    convert = node.get("_convert_", convert)
    partial = _flag(node, key, "_partial_", False)
    values: dict[Any, Any] = {}
    for name in node:
        if name in SPECIAL and name != "_args_":
            continue
        value = node[name]
        if recursive:
            value = make(value, f"{key}.{name}", recursive, convert)
        elif OmegaConf.is_config(value) and convert != "none":
            value = OmegaConf.to_container(value, resolve=True)
        values[name] = value
    if "_target_" not in node:
        return _container(values, convert)
    target = locate(str(node["_target_"]), f"{key}._target_")
    if not callable(target):
        raise ConfigError(f"{key}._target_={node['_target_']} is no class and no function.")
    args = values.pop("_args_", [])
    require_list(f"{key}._args_", args)
    try:
        return functools.partial(target, *args, **values) if partial else target(*args, **values)
    except Exception as error:
        raise Failed(key) from error


def _container(plain: Any, convert: str) -> Any:
    return OmegaConf.create(plain, flags={"allow_objects": True}) if convert == "none" else plain


def _flag(node: Any, key: str, name: str, default: bool) -> bool:
    value = node.get(name, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{key}.{name} must be true or false, got {value!r}.")
    return value
