"""Text of others on a terminal: what would steer it is shown as an escape instead."""

import re

# Controls but tab and newline, and signs that are not seen themselves and turn, join or split what
# is: soft hyphens, directions, zero widths, line separators, tags. Of the bytes in names of files
# that are no text those that could make up one of these.
_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udc9f\udd00-\udfff]"
)
_COLOR = re.compile(r"\x1b\[[\d;]*m")


def visible(text: str) -> str:
    """``text`` in which no sign steers a terminal, but for tabs and newlines."""
    return _STEERING.sub(_escape, text)


def in_a_line(text: object) -> str:
    """A name or a message as a part of a line: ``visible``, tabs and newlines too."""
    return visible(str(text)).replace("\t", r"\t").replace("\n", r"\n")


def without_colors(text: str) -> str:
    """A library's message as it is where there are no colors."""
    return _COLOR.sub("", text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
