"""Tables as the terminal prints them: rules without a frame, a title and a caption that may be wider than the table."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from flykd_console.cli.console import PlainConsole

# Longer lines of text are hard to follow.
_CAPTION_WIDTH = 100
# Of a pipe, which has no width of its own.
_PIPE_WIDTH = 100


def table_console() -> Console:
    """Where tables are printed: as wide as the terminal, in a pipe as wide as a page or as COLUMNS says."""
    console = PlainConsole()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    return console


def plain_table(padding: tuple[int, int] = (0, 1)) -> Table:
    """A table with a rule below its head, without a frame."""
    return Table(padding=padding, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)


@dataclass(frozen=True)
class Titled:
    """A table between its title and its caption, which break at the width of the screen and not of the table."""

    table: Table
    title: str = ""
    caption: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(self.title, style="table.title")
        yield self.table
        if self.caption:
            narrow = options.update(width=min(options.max_width, _CAPTION_WIDTH))
            yield from console.render(Text(self.caption, style="table.caption"), narrow)
