"""The parts of a built object: the scores, rules, spaces and wrapped strategies inside it."""

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from types import ModuleType
from typing import Any

import numpy as np
import torch

# Values in which no part can lie.
_PLAIN = (bool, int, float, complex, str, bytes, type(None), PurePath, np.ndarray, torch.Tensor)


def parts(built: Any) -> Iterator[Any]:
    """``built`` and everything it is made of: objects, functions, and classes still to be called.

    Looked into are fields and attributes, the items of lists, tuples, sets and mappings, and what
    a partial calls and passes on. Of a network its own object is told, not its layers. Nothing is
    told twice.

    Args:
        built: Whatever a configuration builds: a strategy, a model, a list of pool transforms.
    """
    objects: dict[int, Any] = {}  # by id, kept so that no id is used again
    stack = [built]
    while stack:
        one = stack.pop()
        if isinstance(one, _PLAIN) or id(one) in objects:
            continue
        objects[id(one)] = one
        if not isinstance(one, (Mapping, list, tuple, set, frozenset, functools.partial)):
            yield one
        stack += reversed(_inside(one))


def _inside(one: Any) -> list[Any]:
    if isinstance(one, Mapping):
        return list(one.values())
    if isinstance(one, (list, tuple, set, frozenset)):
        return list(one)
    if isinstance(one, functools.partial):
        return [one.func, *one.args, *one.keywords.values()]
    if inspect.ismethod(one):
        return [one.__self__]
    if isinstance(one, (type, ModuleType, torch.nn.Module)) or inspect.isroutine(one):
        return []
    names = [field.name for field in fields(one)] if is_dataclass(one) else []
    inside = {name: getattr(one, name) for name in names if hasattr(one, name)}
    return list((inside | getattr(one, "__dict__", {})).values())


def num_targets(strategy: Any) -> int | None:
    """The most target inputs that a part of ``strategy`` draws in a round; ``None`` for none.

    A part that draws them says so by an attribute ``num_targets`` that is a number.
    """
    counts = (getattr(part, "num_targets", None) for part in parts(strategy))
    return max((n for n in counts if isinstance(n, int)), default=None)


def made_of(built: Any) -> list[Any]:
    """The functions and classes that ``built`` is made of, each once."""
    makers = (part if _is_made_of_itself(part) else type(part) for part in parts(built))
    return list(dict.fromkeys(makers))


def _is_made_of_itself(part: Any) -> bool:
    return isinstance(part, type) or inspect.isroutine(part)


def numerics_versions(made: Iterable[Any]) -> dict[str, int]:
    """The numerics version of each class or function that has one, by its full name.

    It is an attribute ``numerics_version``, absent until the same parameters give other numbers
    than before for the first time. A subclass has its base's unless it says otherwise. What lay
    elsewhere when it was first counted keeps that name, ``numerics_name``, since ids hold it.
    """
    return {
        getattr(one, "numerics_name", f"{one.__module__}.{one.__qualname__}"): version
        for one in made
        if isinstance(version := getattr(one, "numerics_version", None), int)
    }
