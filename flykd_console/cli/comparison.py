"""A comparison for the terminal: every table, block by block, none wider than the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from flykd_console.cli.titled import Titled, plain_table
from flykd_console.compare.grid import WIDE_GAP, Grid, pieces, widths_in

if TYPE_CHECKING:
    from flykd_console.compare.figures import Comparison


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Every table of a comparison, block by block, with what a reader must know before them."""
    from flykd_console.compare.grids import block_heading, grids

    count = len(comparison.blocks)
    for index, block in enumerate(comparison.blocks):
        if count > 1:
            console.rule(f"Block {index + 1} of {count}: not comparable with the others", style="yellow")
        console.print(block_heading(comparison, index), style="bold", markup=False)
        for note in block.notes:
            console.print(f"· {note}", style="dim", markup=False)
        for grid in grids(block):
            console.print()
            console.print(GridTable(grid))
        if index + 1 < count:
            console.print()


@dataclass(frozen=True)
class GridTable:
    """A grid: numbers to the right, the columns that carry the result in bold, in as many tables as the width asks."""

    grid: Grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for place, piece in enumerate(pieces(self.grid, options.max_width)):
            if place:
                yield Text("")
            yield _table(piece, options.max_width)


def _table(grid: Grid, width: int) -> Titled:
    widths, gap = widths_in(grid, width)
    table = plain_table((0, 1) if gap == WIDE_GAP else (0, 0))
    for index, (heading, cells) in enumerate(zip(grid.headings, widths, strict=True)):
        # On a narrow terminal figures go on in the next line, between words: none is ever cut.
        table.add_column(
            Text(heading),
            justify="left" if index == 0 or grid.words else "right",
            style="bold" if index == 0 or index in grid.emphasised else "",
            overflow="fold",
            width=cells,
        )
    for row in grid.rows:
        table.add_row(*map(Text, row))
    return Titled(table, grid.title, grid.caption)
