"""Text of others in Markdown: a name is shown as it is, and is no link, formula or HTML."""

import re

from al_bench.text.visible import in_a_line

_BACKSLASHED = r"[\\`*\[\]#]|(?<![^\W_])_|_(?![^\W_])|^[-+=]"
# Not every reader takes a backslash in front of these.
_ENTITIES = r"[<>&|$~^]|:(?=//|[\w+-]+:)|(?<=www)\."
_SIGNS = re.compile(rf"(?P<backslashed>{_BACKSLASHED})|{_ENTITIES}")


def escaped(text: object) -> str:
    """A name, or a sentence with names in it, for a line or a table's cell."""
    return _SIGNS.sub(_escape, in_a_line(text))


def _escape(match: re.Match[str]) -> str:
    return rf"\{match[0]}" if match["backslashed"] else f"&#{ord(match[0])};"
