"""rich, for text of others: a name is shown as it is, whatever signs it has.

The only place that makes consoles and tables, so that none takes ``[red]`` or ``:smile:`` for an
order. What is to have a color is a ``rich.text.Text``.
"""

import sys
from collections.abc import Iterable
from typing import IO, Any

import rich.table
from rich.cells import cell_len
from rich.console import Console as _Console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from al_bench.text.visible import in_a_line, visible

_SHORT = 12  # columns of a cell that is not broken at all


class Console(_Console):
    """A console without markup, emoji and highlights, on which no text steers the terminal.

    Args:
        stream: Default: standard output.
        width: ``None`` is the terminal's.
        settings: rich's.
    """

    def __init__(
        self, stream: IO[str] | None = None, width: int | None = None, **settings: Any
    ) -> None:
        # Its own colors are written beside the stream's cleaning.
        file = getattr(sys.stdout if stream is None else stream, "drawn", stream)
        super().__init__(
            file=file, width=width, markup=False, emoji=False, highlight=False, **settings
        )

    def render_str(self, text: str, **settings: Any) -> Text:
        """A string as text; not as markup, whatever is asked."""
        settings |= {"markup": False, "emoji": False}
        return super().render_str(visible(text), **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What is drawn; a text that would steer the terminal loses its colors."""
        if isinstance(renderable, Text) and (text := visible(renderable.plain)) != renderable.plain:
            renderable = Text(text, justify=renderable.justify, overflow=renderable.overflow)
        return super().render(renderable, options)


class Table(rich.table.Table):
    """A table whose names and cells are text, a line each.

    Args:
        title: Its lines.
        caption: Below it.
    """

    def __init__(self, *title: str, caption: str = "") -> None:
        super().__init__(
            title="\n".join(map(in_a_line, title)) or None,
            caption=in_a_line(caption) or None,
            title_justify="left",
            caption_justify="left",
        )

    def add_column(self, header: RenderableType = "", *more: Any, **settings: Any) -> None:
        """Add a column of this name."""
        super().add_column(_cell(header), *more, **settings)

    def add_row(self, *cells: RenderableType | None, **settings: Any) -> None:
        """Add a row of strings, or of texts with their colors."""
        super().add_row(*map(_cell, cells), **settings)

    def keep_whole(self, *headers: str) -> None:
        """Let these columns keep their width, and the others give way, once all rows are there.

        A cell of many words, such as a long list of seeds, is broken between them where need be.
        """
        for column in self.columns:
            if column.header in headers:
                cells = [str(cell) for cell in (column.header, *column.cells)]
                column.no_wrap = max(map(cell_len, cells)) <= _SHORT
                column.min_width = max(cell_len(word) for cell in cells for word in cell.split())


def _cell(content: Any) -> Any:
    return in_a_line(content) if isinstance(content, str) else content
