"""A stored configuration as plain values: text, numbers, lists and mappings, and nothing else.

Folders of results come from others too. What ``config.yaml`` or the footer of a curve says is read
here alone: without anchors and aliases, tags, merge keys and keys given twice, in a size and depth
that a configuration may have, and without ``${…}``, which something else might resolve. al-bench
writes nothing of that.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from al_bench.results import inside

MOST_BYTES = 4 * 2**20
MOST_DEPTH = 64
MOST_BITS = 1024  # of a whole number: more is beyond every floating-point number too

_MANY_DIGITS = re.compile(rb"[0-9a-fA-F_:]{200}")

_Loader: Any = type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
# Dates are text, and 1e-3 is a number: so OmegaConf reads YAML, which writes and reads the rest.
_Loader.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for sign, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+"),
    list("-+0123456789"),
)


class Unfit(ValueError):
    """This is no stored configuration; the message says why, without a full stop."""


def read(path: Path) -> dict[str, Any]:
    """The configuration in ``config.yaml``.

    Raises:
        OSError: As of ``inside.read``.
        Unfit: It is none.
    """
    return from_yaml(content(path))


def content(path: Path) -> bytes:
    """The bytes of ``config.yaml``; Unfit where these are more than a configuration has."""
    if inside.size(path) > MOST_BYTES:
        raise Unfit(_TOO_LARGE)
    return inside.read(path)


def from_yaml(data: bytes) -> dict[str, Any]:
    """The configuration that these bytes are in YAML; Unfit where they are none."""
    if len(data) > MOST_BYTES:
        raise Unfit(_TOO_LARGE)
    try:
        value = _built(yaml.parse(data.decode(), _Loader))
    except UnicodeDecodeError:
        raise Unfit("it is not UTF-8") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, Unfit):
            raise
        raise Unfit(f"it is not YAML: {_line(error)}") from None
    return _whole(value, data)


def from_json(data: bytes) -> dict[str, Any]:
    """The configuration that these bytes are in JSON; Unfit where they are none."""
    if len(data) > MOST_BYTES:
        raise Unfit(_TOO_LARGE)
    try:
        value = json.loads(data.decode())
    except RecursionError:
        raise Unfit(_TOO_DEEP) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Unfit(f"it is not JSON: {_line(error)}") from None
    except ValueError:  # of a number that Python does not read
        raise Unfit(_TOO_LONG) from None
    return _whole(value, data)


_TOO_LARGE = f"it is larger than the {MOST_BYTES // 2**20} MiB that a configuration may have"
_TOO_LONG = "it holds a number of more digits than any that is computed with"
_TOO_DEEP = f"it is nested more than {MOST_DEPTH} deep"


def _whole(content: Any, data: bytes) -> dict[str, Any]:
    """``content``, which was read from ``data``, if it is a configuration."""
    if not isinstance(content, dict):
        raise Unfit("it is no mapping of keys to values")
    if not _may_be_odd(data):
        return content
    stack: list[tuple[Any, str, int]] = [(content, "", 1)]
    while stack:
        value, key, depth = stack.pop()
        if depth > MOST_DEPTH:
            raise Unfit(_TOO_DEEP)
        if isinstance(value, dict):
            inner = [(one, f"{key}.{name}".lstrip("."), name) for name, one in value.items()]
            for _, below, name in inner:
                _require_resolved(name, below)
            stack += [(one, below, depth + 1) for one, below, _ in inner]
        elif isinstance(value, list):
            stack += [(one, f"{key}[{place}]", depth + 1) for place, one in enumerate(value)]
        elif isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise Unfit(_TOO_LONG)
        else:
            _require_resolved(value, key)
    return content


def _require_resolved(value: Any, key: str) -> None:
    if isinstance(value, str) and "${" in value:
        raise Unfit(f"{_short(key)} holds ${{, and nothing there is resolved")


def _may_be_odd(data: bytes) -> bool:
    """Whether text may be more than plain values; most of it is seen at a glance not to be."""
    is_deep = data.count(b"{") + data.count(b"[") + data.count(b"- ") > MOST_DEPTH
    return is_deep or b"${" in data or b"\\" in data or _MANY_DIGITS.search(data) is not None


def _built(events: Iterator[Any]) -> Any:
    """What YAML's events say, without recursion and before anything is expanded."""
    root: list[Any] = []
    filled: list[tuple[Any, Any]] = [(root, None)]  # what is being filled, and its next key
    for event in events:
        kind = type(event)
        if kind is yaml.AliasEvent or getattr(event, "anchor", None) is not None:
            raise Unfit("it has anchors or aliases (& or *)")
        if kind is yaml.ScalarEvent:
            _add(filled, _scalar(event))
        elif kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
            if event.tag is not None:
                raise Unfit(f"it has a tag, {_short(event.tag)}")
            inner: Any = {} if kind is yaml.MappingStartEvent else []
            _add(filled, inner)
            filled.append((inner, _NO_KEY))
            if len(filled) > MOST_DEPTH + 1:
                raise Unfit(_TOO_DEEP)
        elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            filled.pop()
        elif kind is yaml.DocumentStartEvent and root:
            raise Unfit("it is more than one document")
    return root[0] if root else None


_NO_KEY = object()


def _add(filled: list[tuple[Any, Any]], value: Any) -> None:
    """Put a value where the innermost list or mapping goes on; a mapping's key comes before."""
    inside, key = filled[-1]
    if isinstance(inside, list):
        inside.append(value)
    elif key is not _NO_KEY:
        inside[key] = value
        filled[-1] = (inside, _NO_KEY)
    else:
        if not isinstance(value, str | int | float):
            raise Unfit("a key is neither text nor a number")
        if value in inside:
            raise Unfit(f"the key {_short(value)} is given twice")
        filled[-1] = (inside, value)


_resolver = yaml.resolver.Resolver()
_resolver.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
_constructor: Any = yaml.constructor.SafeConstructor()
_VALUES = {
    "tag:yaml.org,2002:str": _constructor.construct_yaml_str,
    "tag:yaml.org,2002:int": _constructor.construct_yaml_int,
    "tag:yaml.org,2002:float": _constructor.construct_yaml_float,
    "tag:yaml.org,2002:bool": _constructor.construct_yaml_bool,
    "tag:yaml.org,2002:null": _constructor.construct_yaml_null,
}


def _scalar(event: Any) -> Any:
    if event.tag is not None:
        raise Unfit(f"it has a tag, {_short(event.tag)}")
    if not event.implicit[0]:  # in quotes
        return event.value
    tag = _resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
    if tag not in _VALUES:
        raise Unfit(f"it has {_short(event.value)}, which YAML reads as more than a value")
    try:
        return _VALUES[tag](yaml.ScalarNode(tag, event.value))
    except ValueError:
        raise Unfit(
            _TOO_LONG if len(event.value) > 99 else f"{_short(event.value)} is no number"
        ) from None


def _short(text: object) -> str:
    quoted = repr(text)
    return quoted if len(quoted) <= 60 else f"{quoted[:57]}..."


def _line(error: Exception) -> str:
    return " ".join(str(getattr(error, "problem", None) or error).split())[:120]
