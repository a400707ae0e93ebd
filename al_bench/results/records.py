"""Records in JSON as runs write them: read within bounds, and checked before anyone uses them.

Folders of results come from others too, and a record may be damaged or older than what reads it.
What does not fit is left out by whoever reads it, so that everyone else may rely on the rest.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from al_bench.results import inside

MOST_BYTES = 64 * 2**20  # a job of a million seeds takes 14 MB
MOST_DEPTH = 64
MOST_NAME = 1000  # characters
MOST = 2**63 - 1  # of whole numbers

Check = Callable[[Any], bool]


class Unfit(ValueError):
    """This is no such record; the message says why, as in "it is nested more than 64 deep"."""


def read(path: Path) -> dict[str, Any]:
    """The record in a file.

    Raises:
        OSError: As of ``inside.read``.
        Unfit: It is no JSON object of a depth and size that records have.
    """
    if inside.size(path) > MOST_BYTES:
        raise Unfit(f"it is larger than {MOST_BYTES // 2**20} MiB")
    return parse(inside.read(path))


def parse(data: bytes | str) -> dict[str, Any]:
    """The record in these bytes; Unfit where they are none."""
    try:
        content = json.loads(data)
    except RecursionError:
        raise Unfit(_TOO_DEEP) from None
    except ValueError:
        raise Unfit("it is not JSON") from None
    if not isinstance(content, dict):
        raise Unfit("it is no JSON object")
    brackets = (b"{", b"[") if isinstance(data, bytes) else ("{", "[")
    if sum(map(data.count, brackets)) > MOST_DEPTH and _is_deep(content):  # type: ignore[arg-type]
        raise Unfit(_TOO_DEEP)
    return content


def require(
    content: Mapping[str, Any], needed: Mapping[str, Check], more: Mapping[str, Check]
) -> None:
    """Raise Unfit unless a record holds what it must and what others read from it.

    Args:
        content: The record.
        needed: What each key must hold that every such record has.
        more: The same of keys that may be missing.
    """
    for key in needed:
        if key not in content:
            raise Unfit(f"it has no {key}")
    for key, check in (*needed.items(), *more.items()):
        if key in content and not check(content[key]):
            raise Unfit(f"{key} is not what a run writes there")


def is_text(value: Any) -> bool:
    """Whether this is text."""
    return isinstance(value, str)


def is_name(value: Any) -> bool:
    """Whether this is text of a length that names have."""
    return isinstance(value, str) and len(value) <= MOST_NAME


def is_whole(value: Any) -> bool:
    """Whether this is a whole number from 0 to ``MOST``."""
    return type(value) is int and 0 <= value <= MOST


def is_plain(value: Any) -> bool:
    """Whether this is null, true, false, text, or a number that can be computed with."""
    if isinstance(value, int):
        return -MOST <= value <= MOST
    return value is None or isinstance(value, float | str)


def is_null(value: Any) -> bool:
    """Whether this is null."""
    return value is None


def one_of(*valid: Any) -> Check:
    """Whether this is one of these."""
    return lambda value: value in valid


def either(*checks: Check) -> Check:
    """Whether one of these holds."""
    return lambda value: any(check(value) for check in checks)


def list_of(check: Check) -> Check:
    """Whether this is a list of such values."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def mapping_of(check: Check, **special: Check) -> Check:
    """Whether this is an object of such values, but for some keys that have checks of their own."""
    return lambda value: (
        isinstance(value, dict) and all(special.get(key, check)(one) for key, one in value.items())
    )


def holding(**needed: Check) -> Check:
    """Whether this is an object that has these keys, each with such a value."""
    return lambda value: (
        isinstance(value, dict)
        and all(key in value and check(value[key]) for key, check in needed.items())
    )


_TOO_DEEP = f"it is nested more than {MOST_DEPTH} deep"


def _is_deep(content: Any) -> bool:
    level = [content]
    for _ in range(MOST_DEPTH):
        inner = [value.values() if isinstance(value, dict) else value for value in level]
        level = [one for values in inner for one in values if isinstance(one, dict | list)]
        if not level:
            return False
    return True
