"""What of al-bench a configuration may name, and where: what the files in ``conf`` name there.

A folder of ``conf`` is a group: its files name what may stand in its place. What such an object
takes that is an object itself, a *part*, has the name of a group or of a folder in one
(``strategy/score`` for a parameter ``score``), or a file fills it from a group
(``/strategy@of: entropy``). So a new choice, and a new kind of part, is known by its file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from al_bench.configuration.config_dir import config_dir
from al_bench.text.visible import in_a_line

# Keys of a configuration that hold objects, and their groups.
OBJECTS = {
    "dataset": "dataset",
    "pool": "pool",
    "model": "model",
    "budget": "budget",
    "training": "training",
    "strategy": "strategy",
    "init_strategy": "strategy",
    "selection": "selection",
    "study": "study",
    "target": "target",
    "evaluation": "dataset",  # those of evaluation.ood
}
_LONGEST = 200  # characters of an object that is told
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Part:
    """An object that a configuration describes.

    Args:
        path: Where: ``("strategy", "score")``; places in lists are numbers.
        node: Its description.
        is_shipped: Whether it is one of al-bench's that may stand there.
    """

    path: tuple[Any, ...]
    node: Mapping[Any, Any]
    is_shipped: bool

    @property
    def target(self) -> Any:
        """What ``_target_`` says."""
        return self.node["_target_"]

    def __str__(self) -> str:
        """``strategy.score=module.Class``, in a length that can be read."""
        key = ".".join(map(str, self.path))
        text = in_a_line(f"{key}={self.target}")
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def parts_of(config: Mapping[str, Any]) -> Iterator[Part]:
    """Every object that a configuration describes, the outer ones first.

    Args:
        config: Plain mappings, lists and values.
    """
    for key, value in config.items():
        group = OBJECTS.get(key)
        yield from _parts(value, (key,), frozenset(() if group is None else (group,)))


def _parts(value: Any, path: tuple[Any, ...], allowed: frozenset[str]) -> Iterator[Part]:
    if isinstance(value, Mapping) and "_target_" in value:
        target = value["_target_"]
        is_shipped = isinstance(target, str) and any(target in choices(one) for one in allowed)
        yield Part(path, value, is_shipped)
        for name, child in value.items():  # one's own class may take any of ours
            inner = parts().get(str(name), frozenset()) if is_shipped else groups()
            yield from _parts(child, (*path, name), inner)
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield from _parts(child, (*path, name), allowed)
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from _parts(child, (*path, place), allowed)


@cache
def choices(group: str) -> frozenset[str]:
    """What the files of a group name, by ``_target_``, themselves or as a choice of another."""
    return frozenset(target for file in _files(group) for target in _names_in(file))


@cache
def parts() -> Mapping[str, frozenset[str]]:
    """Parameters that take an object of al-bench's, with the groups that it may be of."""
    by_name: dict[str, set[str]] = {}
    for group in groups():
        by_name.setdefault(group.rpartition("/")[2], set()).add(group)
        for file in _files(group):
            for filled, place in _filled(_content(file)):
                by_name.setdefault(place, set()).add(filled)
    return {name: frozenset(groups) for name, groups in by_name.items()}


@cache
def groups() -> frozenset[str]:
    """Every group of objects, and those within it."""
    tops = [config_dir() / group for group in set(OBJECTS.values())]
    inner = (path for top in tops for path in top.rglob("*") if path.is_dir())
    return frozenset(path.relative_to(config_dir()).as_posix() for path in (*tops, *inner))


def _files(group: str) -> list[Path]:
    return sorted((config_dir() / group).glob("*.yaml"))


@cache
def _content(file: Path) -> Any:
    return yaml.load(file.read_bytes(), _LOADER)


def _names_in(file: Path) -> Iterator[str]:
    """What a choice names, be it only by the one of another group that stands in its place."""
    yield from _targets(_content(file))
    for group, place, choice in _defaults(_content(file)):
        if place == "_here_":
            yield from _names_in(config_dir() / group / f"{choice}.yaml")


def _targets(node: Any) -> Iterator[str]:
    """What a choice names itself; of a pool's, below the transform's name."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield node["_target_"]
        else:
            for child in node.values():
                yield from _targets(child)


def _filled(node: Any) -> Iterator[tuple[str, str]]:
    """Groups from which a file fills a parameter of its object, each with the parameter."""
    for group, place, _ in _defaults(node):
        if place and not place.startswith("_"):
            yield group, place.partition(".")[0]


def _defaults(node: Any) -> Iterator[tuple[str, str, Any]]:
    """Each choice of another group that a file takes: group, place (empty is none), choice."""
    for entry in (node or {}).get("defaults", ()):
        for key, choice in entry.items() if isinstance(entry, Mapping) else ():
            group, _, place = key.removeprefix("override ").partition("@")
            if group.startswith("/"):
                yield group[1:], place, choice
