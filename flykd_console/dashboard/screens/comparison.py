"""The tables of `flykd-console compare` for one run or several, worked out in the background."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual import work
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from flykd_console.dashboard.palette import Look, look
from flykd_console.dashboard.screen_keys import COMPARISON_ACTIONS, screen_bindings
from flykd_console.dashboard.screens.full import FullScreen, Part
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory

if TYPE_CHECKING:
    from rich.table import Table

    from flykd_console.compare.figures import Comparison
    from flykd_console.compare.grid import Grid
    from flykd_console.compare.samples import ClassComparison


class ComparisonScreen(FullScreen[None]):
    """Gains, intervals and the paper's figures.

    Args:
        runs: At least one; those that cannot be compared stand in tables of their own.
    """

    ACTIONS = COMPARISON_ACTIONS
    BINDINGS: ClassVar[list[BindingType]] = [*screen_bindings(COMPARISON_ACTIONS)]
    AUTO_FOCUS = "#comparison"

    class Compared(Message):
        """The figures are there, or there is a reason why not."""

        def __init__(
            self, comparison: Comparison | None, problem: str = "", classes: ClassComparison | None = None
        ) -> None:
            super().__init__()
            self.comparison, self.problem, self.of_classes = comparison, problem, classes

    def __init__(self, runs: Sequence[RunDirectory]) -> None:
        super().__init__()
        self._runs = list(runs)
        self.comparison: Comparison | None = None
        self.of_classes: ClassComparison | None = None
        self.problem = ""

    def body(self) -> Iterable[Widget]:
        with VerticalScroll(id="comparison"):
            yield Static(id="comparison-tables")

    def on_mount(self) -> None:
        super().on_mount()
        self.compare()

    @work(thread=True, exclusive=True, group="comparison")
    def compare(self) -> None:
        """Read the runs' scores and resample them; some seconds for several runs."""
        from flykd_console.compare.compare import compare
        from flykd_console.compare.joined import joined
        from flykd_console.compare.loading import load_runs
        from flykd_console.compare.samples import compare_classes, tells_classes

        try:
            if tells_classes(self._runs):
                self.post_message(self.Compared(None, classes=compare_classes(self._runs)))
                return
            message = self.Compared(compare(joined(load_runs(self._runs)), anyway=True))
        except UserError as error:
            message = self.Compared(None, str(error))
        self.post_message(message)

    def on_comparison_screen_compared(self, message: Compared) -> None:
        self.comparison, self.problem, self.of_classes = message.comparison, message.problem, message.of_classes
        self.fit()

    def lay_out(self, width: int, height: int) -> None:
        colours = look(self.app.current_theme.dark)
        tables = self.query_one("#comparison-tables", Static)
        if self.comparison is not None:
            tables.update(comparison_tables(self.comparison, colours, width - 4))
        elif self.of_classes is not None:
            tables.update(class_tables(self.of_classes, colours, width - 4))
        elif self.problem:
            tables.update(Text(f"✘ {self.problem}", style=colours.curve(5)))
        else:
            tables.update(Text("Reading scores and resampling them…", style=colours.muted))

    def title_parts(self) -> list[Part]:
        names = ", ".join(run.name for run in self._runs[:3]) + (" …" if len(self._runs) > 3 else "")
        parts = [("comparison", "bold $primary"), (names, "bold $foreground")]
        if self.comparison is None and self.of_classes is None and not self.problem:
            parts.insert(1, ("working…", "$warning"))
        return parts


def class_tables(comparison: ClassComparison, colours: Look, width: int) -> RenderableType:
    """The tables of runs that tell classes."""
    from flykd_console.compare.class_grids import class_grids

    return Group(*_grids(class_grids(comparison), colours, width))


def comparison_tables(comparison: Comparison, colours: Look, width: int) -> RenderableType:
    """Every table of every block, with what a reader must know before them."""
    from flykd_console.compare.forest import forests
    from flykd_console.compare.grids import block_heading, grids
    from flykd_console.dashboard.forest_text import forest_text

    parts: list[RenderableType] = []
    for index, block in enumerate(comparison.blocks):
        if len(comparison.blocks) > 1:
            words = f"Block {index + 1} of {len(comparison.blocks)}: not comparable with the others"
            parts.append(Text(words, style=f"bold {colours.curve(1)}"))
        parts.append(Text(block_heading(comparison, index), style=f"bold {colours.foreground}"))
        parts += [Text(f"· {note}", style=colours.muted) for note in block.notes]
        parts += [part for forest in forests(block) for part in (Text(""), forest_text(forest, colours, width))]
        parts += [*_grids(grids(block), colours, width), Text("")]
    return Group(*parts)


def _grids(grids: Iterable[Grid], colours: Look, width: int) -> list[RenderableType]:
    from flykd_console.compare.grid import pieces

    parts: list[RenderableType] = []
    for grid in (piece for whole in grids for piece in pieces(whole, width)):
        parts += [Text(""), Text(grid.title, style=f"bold {colours.accent}"), _table(grid, colours, width)]
        if grid.caption:
            parts.append(Text(grid.caption, style=colours.muted))
    return parts


def _table(grid: Grid, colours: Look, width: int) -> Table:
    from rich import box
    from rich.table import Table

    from flykd_console.compare.grid import WIDE_GAP, widths_in

    widths, gap = widths_in(grid, width)
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, expand=False, border_style=colours.faint,
        header_style=colours.muted, padding=(0, 1) if gap == WIDE_GAP else (0, 0),
    )  # fmt: skip
    for column, (heading, cells) in enumerate(zip(grid.headings, widths, strict=True)):
        strong = column == 0 or column in grid.emphasised
        table.add_column(
            Text(heading, style=colours.muted), justify="left" if column == 0 or grid.words else "right",
            style=f"bold {colours.foreground}" if strong else colours.foreground, overflow="fold", width=cells,
        )  # fmt: skip
    for row in grid.rows:
        table.add_row(*map(Text, row))
    return table
