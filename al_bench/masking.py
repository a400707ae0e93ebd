"""What may not leave a process: keys whose texts are secrets, and texts in which these are masked.

A key is secret by its name, so that parameters of users' own classes are known too. Values of such
keys are remembered, and masked wherever they come up, as in the message of a library.
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote

MASK = "<masked>"
SHORTEST = 6  # characters of a value that is known again in any text

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SECRET = frozenset({"token", "password", "secret", "credentials", "apikey"})
# Further words for secrets, below the key tracker alone.
_OF_TRACKER = frozenset(
    {"key", "auth", "authorization", "bearer", "cookie", "credential", "dsn", "passphrase"}
    | {"passwd", "pwd", "secrets", "tokens", "passwords", "webhook"}
)
_NO_TEXT = re.compile(r"null|true|false|[-+]?[\d_]*\.?\d+(e[-+]?\d+)?|\$\{[^},]*\}|…|\?\?\?|", re.I)
_URL = re.compile(r"(?<![\w+.-])([a-z][a-z0-9+.-]*://[^\s/?#:@]*:)([^\s/?#]+)@", re.I)
_BEARER = re.compile(r"\b(bearer|basic)(\s+)[\w.~+/=-]{6,}", re.I)
_KEY = r"(?<![\w.-])([A-Za-z_][\w.-]*)([\"']?\s*(?::\s*[\w.|\[\] ]{1,60}?(?==))?\s*[=:](?!//)\s*)"
_QUOTED = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_PAIR = re.compile(rf"{_KEY}({_QUOTED}|\$\{{[^}}]*\}}|[^\s,;&(){{}}\[\]\"'][^\s,;&)}}\]\"']*)")
_PAIR_IN_CODE = re.compile(rf"{_KEY}([rbf]?(?:{_QUOTED}))")
_secrets: set[str] = set()


def is_secret(key: str) -> bool:
    """Whether texts of a key such as ``dataset.api_key``, or of one below it, are secrets."""
    parts = key.lstrip("+~").split(".")
    if parts[-1] == "_target_":
        return False
    words = [[word.lower() for word in _WORDS.findall(part)] for part in parts]
    if any(not _SECRET.isdisjoint(one) or ("api", "key") in pairwise(one) for one in words):
        return True
    return parts[0] == "tracker" and any(not _OF_TRACKER.isdisjoint(one) for one in words[1:])


def remember(config: Any) -> None:
    """Know the secrets of a configuration (plain mappings, lists and values) again in any text."""
    _visit(config, "", lambda text: _secrets.update(_forms(text)))


def masked(config: Any) -> Any:
    """A configuration (plain mappings, lists and values) with its secrets masked."""
    return _visit(config, "", lambda text: MASK)


def masked_words(words: Sequence[str]) -> list[str]:
    """Words such as ``tracker.api_key=…`` with their secrets masked."""
    safe = []
    for word in words:
        key, sign, value = word.partition("=")
        if sign and is_secret(key) and _NO_TEXT.fullmatch(value):
            safe.append(word)
        elif sign and is_secret(key):
            _secrets.update(_forms(value.strip("'\"")))
            safe.append(f"{key}={MASK}")
        else:
            safe.append(masked_text(word))
    return safe


def masked_text(text: str) -> str:
    """Any text with its secrets masked: a message, a traceback, a file."""
    return _PAIR.sub(_hidden, _bare(text))


def masked_command(line: str) -> str:
    """A stored command line with its secrets masked."""
    try:
        return shlex.join(masked_words(shlex.split(line)))
    except ValueError:
        return masked_text(line)


def masked_code(text: str) -> str:
    """The same of source code, of which only what is in quotes can be a secret."""
    return _PAIR_IN_CODE.sub(_hidden, _bare(text))


def masked_texts(content: Any) -> Any:
    """``masked_text`` of every text in plain mappings and lists."""
    if isinstance(content, str):
        return masked_text(content)
    if isinstance(content, Mapping):
        return {key: masked_texts(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [masked_texts(value) for value in content]
    return content


def masked_keys(config: Any, before: str = "") -> list[str]:
    """The keys of a stored configuration whose values were masked, in their order."""
    if isinstance(config, Mapping):
        pairs = [(f"{before}.{key}" if before else str(key), one) for key, one in config.items()]
    elif isinstance(config, list | tuple):
        pairs = [(before, one) for one in config]
    else:
        return [before] if isinstance(config, str) and MASK in config else []
    return list(dict.fromkeys(key for name, one in pairs for key in masked_keys(one, name)))


def _visit(value: Any, key: str, hide: Callable[[str], Any]) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _visit(one, f"{key}.{name}" if key else str(name), hide)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_visit(one, key, hide) for one in value]
    if not isinstance(value, str):
        return value
    if not is_secret(key) or _NO_TEXT.fullmatch(value):
        return _bare(value)
    return hide(value)


def _forms(value: str) -> set[str]:
    """How a secret may be written in a text."""
    return {one for one in (value, quote(value, safe="")) if len(one) >= SHORTEST and one != MASK}


def _bare(text: str) -> str:
    """``text`` without the secrets that are known, passwords of addresses and of requests."""
    for value in sorted(_secrets, key=len, reverse=True):
        if value in text:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, text)
    if "://" in text:
        text = _URL.sub(rf"\1{MASK}@", text)
    return _BEARER.sub(rf"\1\2{MASK}", text) if "e" in text else text


def _hidden(match: re.Match[str]) -> str:
    key, between, value = match.groups()
    if not is_secret(key) or _NO_TEXT.fullmatch(value):
        return match[0]
    sign = value[-1] if value[-1] in "'\"" else ""
    return f"{key}{between}{sign}{MASK}{sign}"
