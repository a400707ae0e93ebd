"""Keys that are paths: what they are, how they are read, and where they lead.

One rule by name, so that parameters of users' own classes are known too: a key is a path when it is
``results``, when its last part is ``path``, ``root``, ``folder`` or ``file`` or ends with one of
these after an underscore, or when it is a strategy's ``run``. Its value is text as it was typed.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from al_bench.errors import ConfigError, choose

_NAMES = re.compile(r"(.*_)?(path|root|folder|file)")
_STRATEGY = re.compile(r"(init_)?strategy\.(.*\.)?run")
_IN_QUOTES = re.compile(r"""'([^'\\]|\\.)*'|"([^"\\]|\\.)*\"""", re.DOTALL)
# Hydra's own, such as choice(a,b) and glob(*).
_FUNCTIONS = re.compile(
    r"(choice|range|interval|glob|shuffle|sort|tag|extend_list|str|json_str)\(.*\)", re.DOTALL
)


def is_path(key: str) -> bool:
    """Whether a key such as ``dataset.root`` is that of a path."""
    group, sign, name = key.rpartition(".")
    if not sign or group.startswith("hydra"):
        return key == "results"
    return bool(_NAMES.fullmatch(name) or _STRATEGY.fullmatch(key))


def opened(typed: str | os.PathLike[str]) -> Path:
    """The place that a path leads to: ``~`` is the home folder."""
    try:
        return Path(typed).expanduser()
    except RuntimeError:  # ~name of nobody: a folder may be called so
        return Path(typed)


def quoted(words: Sequence[str]) -> list[str]:
    """Overrides in which the text of a path is protected from Hydra's grammar.

    ``results=~/x`` could not be read and ``results=1e3`` would be a number. Left alone are
    what reads as typed, ``null``, lists, ``${…}``, sweeps (their values are protected one by one)
    and what has quotes already.
    """
    return [_quoted(word) for word in words]


def check_typed(key: str, value: Any) -> None:
    """Raise ConfigError where the text of a path is empty: it would be the current folder."""
    if is_path(key) and value == "":
        raise ConfigError(f"{key} is empty.", "Name a file or a folder; . is the current one.")


def keys_in(config: Mapping[str, Any], before: str = "") -> list[str]:
    """The keys of all paths in a configuration (plain mappings and values), in their order."""
    found = []
    for name, value in config.items():
        key = f"{before}{name}"
        if isinstance(value, Mapping):
            found += keys_in(value, f"{key}.")
        elif isinstance(value, str) and "." in key and is_path(key):
            found.append(key)
    return found


def check_moved(moved: Mapping[str, str], known: Sequence[str]) -> None:
    """Raise ConfigError unless every key of ``moved`` is one of the ``known`` ones."""
    for key in moved:
        if key not in known:
            raise ConfigError(f"What is stored has no {key}.", choose(key, known))


def _quoted(word: str) -> str:
    name, sign, value = word.partition("=")
    key = name.lstrip("+").split("@")[0]
    if not sign or not is_path(key) or not value or value == "null" or "${" in value:
        return word
    if (
        _IN_QUOTES.fullmatch(value)
        or (value[0] + value[-1]) in ("[]", "{}")
        or _FUNCTIONS.fullmatch(value)
    ):
        return word
    if "," in value and not opened(value).exists():  # several values, unless there is such a path
        return f"{name}={','.join(map(_protected, value.split(',')))}"
    return f"{name}={_protected(value)}"


def _protected(value: str) -> str:
    """``value`` as Hydra reads it as that text."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Quote, QuotedString
    from hydra.errors import OverrideParseException

    try:
        (override,) = OverridesParser.create().parse_overrides([f"key={value}"])
        if not override.is_sweep_override() and override.value() == value:
            return value
    except OverrideParseException:
        pass
    return QuotedString(value, Quote.single).with_quotes()
