"""A strategy's choice, or a selection's, with what differs from its default.

Such as ``bald(rule=power, beta=4)``. A *path* is a key below the strategy's own, such as ``rule``
or ``of.rule.beta``; a *group* is ``strategy`` or ``selection``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from al_bench.configuration.overrides import key_of
from al_bench.masking import masked

Load = Callable[[list[str]], DictConfig]


def strategy_label(
    group: str,
    choices: Mapping[str, str | None],
    config: Any,
    folders: Sequence[str],
    load: Load,
) -> str:
    """The strategy as one would say it; a strategy within it always by name.

    ``subsample(of=bald(rule=power, beta=4), size=1000)``.

    Args:
        group: Of the choice.
        choices: Hydra's choices: group, with ``@package`` where that is another, to option.
        config: The composed node of the group.
        folders: Overrides that name further folders of configuration.
        load: Composes the configuration of some overrides.
    """
    overrides = [*folders, f"{group}={choices[group]}"]
    default = load(overrides)
    parts: list[tuple[str, str]] = []
    nested: list[str] = []
    inner = {path: name for name in choices if (path := _path(group, name))}
    for path in sorted(inner, key=lambda path: (path.count("."), path)):  # outer ones first
        name, option = inner[path], choices[inner[path]]
        defaults = default.hydra.runtime.choices
        if name.startswith(f"{group}@"):
            nested.append(path)
        if path in nested or defaults.get(name) != option:
            parts.append((path, _text(option)))
        if defaults.get(name) != option:
            overrides.append(f"{'' if name in defaults else '+'}{name}={_text(option)}")
            default = load(overrides)
    # What is a reference to another key stays one: it follows from that key.
    was, now = _flat(default[group], False), _flat(config, False)
    resolved = _flat(config)
    parts += [
        (path, _text(resolved.get(path)))
        for path in sorted(was.keys() | now.keys())
        if was.get(path) != now.get(path)
    ]
    return _label(_text(choices[group]), "", parts, nested)


def is_changed(group: str, choices: Mapping[str, str | None], overrides: Sequence[str]) -> bool:
    """Whether a strategy may differ from what its file says: only then its default is composed.

    Args:
        group: Of the choice.
        choices: Hydra's choices, as for ``strategy_label``.
        overrides: The overrides that were typed.
    """
    keys = map(key_of, overrides)
    nested = any(name.startswith(f"{group}@") and _path(group, name) for name in choices)
    below = any(key != group and (key.startswith(group) or f"@{group}." in key) for key in keys)
    return nested or below


def _path(group: str, name: str) -> str:
    """The path of a choice: ``rule`` of strategy/rule, ``of.rule`` of …@strategy.of.rule."""
    choice, _, package = name.partition("@")
    package = package or choice.replace("/", ".")
    return package.removeprefix(f"{group}.") if package.startswith(f"{group}.") else ""


def _label(option: str, path: str, parts: Sequence[tuple[str, str]], nested: Sequence[str]) -> str:
    """``option`` with the parts of the strategy at ``path`` (empty: the outermost) in brackets."""
    here = [(at, settings) for at, settings in parts if _owner(at, nested) == path]
    settings = []
    for at, value in here:
        name = _shortest(at, [other for other, _ in here])
        settings.append(f"{name}={_label(value, at, parts, nested) if at in nested else value}")
    return f"{option}({', '.join(settings)})" if settings else option


def _owner(path: str, nested: Sequence[str]) -> str:
    """The innermost strategy that ``path`` lies in."""
    return max((outer for outer in nested if path.startswith(f"{outer}.")), key=len, default="")


def _shortest(path: str, others: Sequence[str]) -> str:
    """The end of ``path`` that no other one has."""
    words = path.split(".")
    ends = [".".join(words[place:]) for place in reversed(range(len(words)))]
    for end in ends:
        if not any(other != path and f".{other}".endswith(f".{end}") for other in others):
            return end
    return path


def _text(value: Any) -> str:
    """A value as one would type it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _flat(node: Any, resolve: bool = True, prefix: str = "") -> dict[str, Any]:
    container = OmegaConf.to_container(node, resolve=resolve) if OmegaConf.is_config(node) else node
    if not isinstance(container, dict):
        return {prefix.removesuffix("."): container}
    return {
        path: value
        for name, child in masked(container).items()
        for path, value in _flat(child, resolve, f"{prefix}{name!s}.").items()
    }
