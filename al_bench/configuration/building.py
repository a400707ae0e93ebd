"""From a configuration node to the object it describes; wrong parameters are told by their keys."""

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from al_bench.configuration.choices import KINDS
from al_bench.configuration.making import SPECIAL, Failed, make
from al_bench.configuration.schema import CHOOSERS
from al_bench.configuration.targets import described, locate
from al_bench.errors import AlBenchError, ConfigError, choose, error_line, give_key, within

_KINDS: dict[Any, str] = {
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    str: "text",
    type(None): "null",
}
_EXAMPLES = {float: "0.5,1", int: "1,2", bool: "true,false", str: "a,b"}


def build(node: Any, group: str) -> Any:
    """The object that a configuration node describes; ConfigError when it cannot be made."""
    if not (OmegaConf.is_config(node) and "_target_" in node):
        raise ConfigError(f"{group} has no _target_.", f"Choose one: al-bench run {group}=…")
    for path, inner in described(node, group):
        locate(str(inner["_target_"]), f"{path}._target_")
        check_keys(path, inner)
        _check_parts(path, inner)
    try:
        with within(f"The class of {group}"):
            built = make(node, group)
    except Failed as error:
        raise _explain(error, node, group) from error
    _give_keys(built, node, group)
    return built


def build_with(node: Any, group: str, methods: Sequence[str], described_in: str) -> Any:
    """The same, of a kind of object that has these methods.

    Args:
        node: The configuration of the object.
        group: Its key.
        methods: What al-bench calls.
        described_in: The module that says what such objects have.

    Raises:
        ConfigError: It cannot be made, or it lacks one of them.
    """
    built = build(node, group)
    for method in methods:
        if not callable(getattr(built, method, None)):
            raise ConfigError(
                f"{group}: {type(built).__name__} has no method {method}.",
                f"{described_in} says what such a class has.",
            )
    return built


def _give_keys(built: Any, node: Any, path: str) -> None:
    """Let what was built, and the objects that it keeps by the names of its parameters, know keys.

    What fails later then names what can be typed, however deep it lies.
    """
    if OmegaConf.is_dict(node):
        if "_target_" in node:
            give_key(built, path)
        inside = built.keywords if isinstance(built, functools.partial) else built
        for name, child in node.items():
            if OmegaConf.is_config(child):
                part = inside.get(name) if isinstance(inside, dict) else getattr(inside, name, None)
                _give_keys(part, child, f"{path}.{name}")
    elif OmegaConf.is_list(node) and isinstance(built, (list, tuple)):
        for number, (part, child) in enumerate(zip(built, node, strict=False)):
            _give_keys(part, child, f"{path}[{number}]")


def parameters_of(node: Any) -> dict[str, inspect.Parameter] | None:
    """What the class or function of ``node`` takes; None where that cannot be told."""
    try:
        parameters = dict(inspect.signature(locate(str(node["_target_"]))).parameters)
    except Exception:  # whatever importing the user's module raises is told when it is built
        return None
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return parameters if all(p.kind in by_name for p in parameters.values()) else None


def check_keys(path: str, node: Any) -> None:
    """Raise ConfigError where ``node``, at ``path``, lacks a parameter of its class or has more."""
    parameters = parameters_of(node)
    if parameters is None or "_args_" in node:
        return
    keys = [str(key) for key in node if key not in SPECIAL]
    required = [name for name, p in parameters.items() if p.default is p.empty]
    later = required if node.get("_partial_") else []  # al-bench fills them in
    for key in keys:
        if key not in parameters:
            valid = [name for name in parameters if name not in later]
            raise ConfigError(f"{path} has no parameter {key!r}.", choose(key, valid, f"{path}."))
    for name in required:
        if name not in keys and name not in later:
            raise ConfigError(f"{path}.{name} is missing.", f"Add +{path}.{name}=…")


def _check_parts(path: str, node: Any) -> None:
    """Raise ConfigError where a plain value stands for an object, as in ``strategy.rule=power``."""
    hints = _hints(node)
    for key, value in node.items():
        kinds = [kind for kind in _alternatives(hints.get(str(key))) if kind is not type(None)]
        if isinstance(value, str | int | float) and kinds and all(map(_is_part, kinds)):
            group = f"{path}.{key}".replace(".", "/")
            chosen = path.partition(".")[0] in CHOOSERS or group in KINDS.values()
            raise ConfigError(
                f"{path}.{key} must be an object with a _target_, got {value!r}.",
                f"Choose one with {group}=…" if chosen else "",
            )


def _is_part(kind: Any) -> bool:
    """Whether an annotation asks for an object of al-bench's kinds, or one that can be called."""
    is_ours = str(getattr(kind, "__module__", "")).startswith("al_bench.")
    return typing.get_origin(kind) is Callable or (is_ours and getattr(kind, "_is_protocol", False))


def _hints(node: Any) -> Mapping[str, Any]:
    """Annotations of the parameters of the class or function of ``node``, where these are told."""
    try:
        target: Any = locate(str(node["_target_"]))
        return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except Exception:  # annotations may name what is imported for type checkers only
        return {}


def _explain(error: Failed, node: Any, group: str) -> AlBenchError:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
        if isinstance(cause, AlBenchError):
            cause.locate(error.key)
            return cause
    mistyped = None
    if isinstance(cause, (ValueError, TypeError)):
        mistyped = next(_mistyped(node, group), None)
    return ConfigError(mistyped or f"{group}: {error_line(cause)}.")


def _mistyped(node: Any, group: str) -> Iterator[str]:
    """Sentences on values that are not what a plain annotation says (a number, text, …)."""
    for path, inner in described(node, group):
        hints = _hints(inner)
        for key, value in inner.items():
            kinds = _alternatives(hints.get(str(key)))
            is_plain = all(kind in _KINDS or _items(kind) for kind in kinds)
            if is_plain and not any(_is(value, kind) for kind in kinds):
                yield f"{path}.{key} must be {' or '.join(map(_in_words, kinds))}, got {value!r}."


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """``float`` and ``None`` of ``float | None``."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if union else (hint,)


def _items(kind: Any) -> Any:
    """``float`` of ``Sequence[float]``; None of what is no list of plain values."""
    items = typing.get_args(kind)
    a_list = typing.get_origin(kind) in (Sequence, list, tuple)
    return items[0] if a_list and items and items[0] in _KINDS else None


def _is(value: Any, kind: Any) -> bool:
    if item := _items(kind):
        return OmegaConf.is_list(value) and all(_is(entry, item) for entry in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _in_words(kind: Any) -> str:
    item = _items(kind)
    return f"a list such as [{_EXAMPLES[item]}]" if item else _KINDS[kind]
