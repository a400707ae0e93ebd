"""What commands print: warnings as lines, tables that pipes do not fold, seeds in short."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    from al_bench.text.console import Console, Table

PIPE_WIDTH = 140  # a pipe has no width, and 80 columns would fold the numbers


def wide_console(stream: IO[str] | None = None) -> "Console":
    """A console on ``stream`` (default: stdout), as wide as its terminal."""
    from al_bench.text.console import Console

    console = Console(stream)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def print_table(console: "Console", table: "Table") -> None:
    """Print a table with its title and caption as wide as the console, not as the table."""
    title, caption = table.title, table.caption
    table.title = table.caption = None
    if title:
        # A pipe has no end of line, and a title in one line can be searched for.
        console.print(title, style="table.title", soft_wrap=not console.is_terminal)
    console.print(table)
    if caption:
        console.print(caption, style="table.caption")


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print each warning meant for the user once, in a line, and pass the others on.

    What is logged, of a file that is looked at several times perhaps, is told once, too. What
    matplotlib logs of folders for its own files is not meant for the user.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught, _logged_once():
            warnings.simplefilter("always")
            yield
    finally:
        sentences = [str(w.message) for w in caught if w.category is UserWarning]
        for sentence in dict.fromkeys(sentences):
            print(f"warning: {in_a_line(sentence)}", file=sys.stderr)
        for other in caught:
            if other.category is not UserWarning:
                warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)


@contextlib.contextmanager
def _logged_once() -> Iterator[None]:
    handlers = [*logging.getLogger().handlers, logging.lastResort]
    filters = [(handler, _Once()) for handler in handlers if handler is not None]
    for handler, once in filters:
        handler.addFilter(once)
    try:
        yield
    finally:
        for handler, once in filters:
            handler.removeFilter(once)


class _Once(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self._messages: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        is_new = message not in self._messages
        self._messages.add(message)
        return is_new


def spans(seeds: Sequence[int]) -> str:
    """Seeds in short: ``0–4, 7``."""
    if isinstance(seeds, range) and len(seeds) > 1:  # as long as one likes
        return f"{seeds[0]}–{seeds[-1]}"
    parts: list[list[int]] = []
    for seed in sorted(seeds):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ", ".join(f"{p[0]}–{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
