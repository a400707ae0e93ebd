"""Overrides in which the text of a path is protected from Hydra's grammar."""

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import OverrideParseException

from al_bench.paths import is_path, opened

_IN_QUOTES = re.compile(r"""'([^'\\]|\\.)*'|"([^"\\]|\\.)*\"""", re.DOTALL)
# Hydra's own, such as choice(a,b) and glob(*).
_FUNCTIONS = re.compile(
    r"(choice|range|interval|glob|shuffle|sort|tag|extend_list|str|json_str)\(.*\)", re.DOTALL
)


def quoted(words: Sequence[str]) -> list[str]:
    """Overrides in which the text of a path is protected from Hydra's grammar.

    ``results=~/x`` could not be read and ``results=1e3`` would be a number. Left alone are
    what reads as typed, ``null``, lists, ``${…}``, sweeps (their values are protected one by one)
    and what has quotes already.
    """
    return [_quoted(word) for word in words]


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
    try:
        (override,) = OverridesParser.create().parse_overrides([f"key={value}"])
        if not override.is_sweep_override() and override.value() == value:
            return value
    except OverrideParseException:
        pass
    return QuotedString(value, Quote.single).with_quotes()
