"""A hash of what Python source says: the same on every Python, whatever is said in comments."""

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256

Place = tuple[int, int]  # line from 1, character from 0

_LAID_OUT = ("COMMENT", "NL", "ENCODING", "ENDMARKER")
_BRACKETS = ("NEWLINE", "INDENT", "DEDENT")  # their text is layout, that they are there is not
# Since Python 3.12 such a string is many tokens; before, it was one.
_IN_PIECES = {"FSTRING_START": 1, "FSTRING_END": -1, "TSTRING_START": 1, "TSTRING_END": -1}


@lru_cache(maxsize=1024)
def source_hash(source: bytes) -> str:
    """Sixteen hexadecimal digits that stand for the tokens of a Python file.

    Comments, blank lines, layout, line endings, the encoding, docstrings and other strings that
    stand by themselves do not count. What is no Python is hashed byte by byte.
    """
    try:
        content = "\0".join(_tokens(decoded(source))).encode("utf-8", "surrogatepass")
    except (SyntaxError, UnicodeDecodeError, ValueError, LookupError, RecursionError):
        content = source
    return sha256(content).hexdigest()[:16]


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The names of modules that have other hashes in the one than in the other, or in one alone."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def decoded(source: bytes) -> str:
    """The text of a Python file, decoded as Python does it, every line ending a line feed.

    Raises:
        SyntaxError: Its encoding is unknown.
        UnicodeDecodeError: It is not in its encoding.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    text = source.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else f"{text}\n"


def parsed(text: str) -> ast.Module:
    """The syntax tree of a Python file; its escapes that are none were warned of on import.

    Raises:
        SyntaxError: It is no Python, or not of this version.
    """
    with warnings.catch_warnings(action="ignore"):
        return ast.parse(text)


def _tokens(text: str) -> Iterator[str]:
    lines = text.split("\n")
    alone = _strings_alone(text, lines)
    depth, begin = 0, (0, 0)
    skipping_end = False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind in _LAID_OUT:
            continue
        if any(first <= token.start < last for first, last in alone):
            skipping_end = True
            continue
        if skipping_end and (kind == "NEWLINE" or token.string == ";"):
            skipping_end = False
            continue
        skipping_end = False
        step = _IN_PIECES.get(kind, 0)
        if step > 0 and depth == 0:
            begin = token.start
        depth += step
        if depth:
            continue
        if step:
            yield f"STRING {_between(lines, begin, token.end)}"
        elif kind in _BRACKETS:
            yield kind
        else:
            yield f"{kind} {token.string}"


def _between(lines: list[str], first: Place, last: Place) -> str:
    part = lines[first[0] - 1 : last[0]]
    part[-1] = part[-1][: last[1]]
    part[0] = part[0][first[1] :]
    return "\n".join(part)


def _strings_alone(text: str, lines: list[str]) -> list[tuple[Place, Place]]:
    """Where a statement is nothing but a string: docstrings, and those of attributes."""
    return [
        (
            _place(lines, node.lineno, node.col_offset),
            _place(lines, node.end_lineno or node.lineno, node.end_col_offset or 0),
        )
        for node in ast.walk(parsed(text))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]


def _place(lines: list[str], line: int, offset: int) -> Place:
    """A place whose offset counts bytes, in characters."""
    return line, len(lines[line - 1].encode()[:offset].decode())
