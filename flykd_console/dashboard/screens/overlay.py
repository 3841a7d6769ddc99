"""Runs over each other: validation and losses, a curve a run, and what each measured on test below."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.text import Text
from textual import on, work
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import DataTable
from textual.worker import get_current_worker

from flykd_console.dashboard.overlay import OverlaidRun, Overlay, OverlayRow, labels_of, rows, style_of
from flykd_console.dashboard.palette import Look, look
from flykd_console.dashboard.screen_keys import OVERLAY_ACTIONS, screen_bindings
from flykd_console.dashboard.screens.full import FullScreen, Part
from flykd_console.dashboard.widgets.chart import ChartPanel
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.state.run import RunState
from flykd_console.words import clipped

if TYPE_CHECKING:
    from flykd_console.dashboard.chart_spec import ChartSpec
    from flykd_console.dashboard.charts import View

REFRESH_SECONDS = 2.0
READ_SECONDS = 0.03
DRAW_SECONDS = 0.4
_SIDE_BY_SIDE_FROM = 100
_TABLE_ROWS = 8


_LEAST_NAME, _MOST_NAME = 20, 48
_SCORE = 13


class _Head(NamedTuple):
    """A column besides the run's name: a model's score, or the fact of that name."""

    name: str
    width: int
    model: bool = False

    @property
    def key(self) -> str:
        return f"model {self.name}" if self.model else self.name

    def text(self, row: OverlayRow) -> str:
        """What a run has there."""
        if self.model:
            return row.scores.get(self.name, "")
        facts = {"method": row.method, "seeds": row.seeds, "gain": row.gain, "state": row.state}
        return clipped(facts[self.name], self.width) if self.name == "method" else facts[self.name]


def _heads(overlay: Overlay, width: int) -> list[_Head]:
    """The table's columns for a width, besides the run's name."""
    method, seeds = _Head("method", 12), _Head("seeds", 5)
    models = [_Head(name, _SCORE, model=True) for name in overlay.models]
    heads = [method, seeds, *models, _Head("gain", _SCORE), _Head("state", 16)]
    # Where there is no room the method goes first, the model that the runs are about never.
    at = overlay.models.index(overlay.about) if overlay.about in overlay.models else 0
    for least in (method, *reversed(models[at + 1 :]), *models[:at], seeds):
        if width - 4 - sum(head.width + 2 for head in heads) < _LEAST_NAME:
            heads.remove(least)
    return heads


class OverlayChart(ChartPanel):
    """A chart of all the runs; `what` is a method of `Overlay`."""

    def __init__(self, what: str, title: str, overlay: Overlay, *, log_y: bool = False, smoothing: float = 0.0) -> None:
        self._overlay = overlay
        super().__init__(f"overlay-{what}", what, title, log_y=log_y, smoothing=smoothing)
        # Runs are held against each other by their means; a band each is asked for.
        self.band = False

    def make(self, state: RunState, view: View, colours: Look) -> ChartSpec:
        self._overlay.dark = self.app.current_theme.dark
        if self.recipe == "validation":
            return self._overlay.validation(view, colours)
        return self._overlay.losses(view, colours)

    @property
    def metric(self) -> str:
        return self._overlay.metric

    def _title(self) -> str:
        remarks = [self._overlay.model, "mean over seeds"]
        remarks += ["log"] if self.log_y else []
        remarks += [f"smooth {self.smoothing:g}"] if self.smoothing else []
        remarks += ["± std"] if self.band else []
        remarks += ["zoomed"] if self.zoom else []
        return self.fitted_title(remarks)


class OverlayScreen(FullScreen[None]):
    """Several runs over each other.

    Args:
        runs: At least one.
        follow: Go on reading what running ones write.
        first: The program was started for it, so that leaving it by `q` leaves the program.
    """

    ACTIONS = OVERLAY_ACTIONS
    BINDINGS: ClassVar[list[BindingType]] = [*screen_bindings(OVERLAY_ACTIONS)]
    AUTO_FOCUS = "#overlay-validation"

    class Advanced(Message):
        """More of the logs was read."""

    def __init__(self, runs: Sequence[RunDirectory], follow: bool = True, first: bool = False) -> None:
        super().__init__()
        self._first = first
        directories = list(runs)
        self.overlay = Overlay([OverlaidRun(d, n) for d, n in zip(directories, labels_of(directories), strict=True)])
        self._follow = follow
        self._shape: tuple[object, ...] = ()

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="overlay-charts"):
            yield OverlayChart("validation", "VALIDATION METRIC", self.overlay)
            yield OverlayChart("losses", "TOTAL LOSS", self.overlay, log_y=True, smoothing=0.9)
        yield DataTable(id="overlay-table", cursor_type="row", show_cursor=False)

    def on_mount(self) -> None:
        super().on_mount()
        self.advance()
        if self._follow:
            self.set_interval(REFRESH_SECONDS, self.advance)

    # Reading.

    @work(thread=True, exclusive=True, group="overlay")
    def advance(self) -> None:
        """Read on in every log, a little of each at a time, so that all grow together."""
        worker = get_current_worker()
        going = list(self.overlay.runs)
        drawn = 0.0
        while going and not worker.is_cancelled:
            going = [run for run in going if run.read(READ_SECONDS)]
            now = time.monotonic()
            if not going or now - drawn > DRAW_SECONDS:
                drawn = now
                self.post_message(self.Advanced())

    def on_overlay_screen_advanced(self) -> None:
        self.show_runs()

    # Drawing.

    @property
    def charts(self) -> list[OverlayChart]:
        return list(self.query(OverlayChart))

    @property
    def chart(self) -> OverlayChart:
        """The focused chart, or the first."""
        focused = self.focused
        return focused if isinstance(focused, OverlayChart) else self.charts[0]

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one(DataTable)

    def lay_out(self, width: int, height: int) -> None:
        self.query_one("#overlay-charts").set_class(width < _SIDE_BY_SIDE_FROM, "stacked")
        self.table.styles.height = min(_TABLE_ROWS, len(self.overlay.runs)) + 2
        self.show_runs()

    def show_runs(self) -> None:
        """Draw charts and table."""
        self.overlay.focus = self.table.cursor_row if self.table.has_focus else None
        for chart in self.charts:
            chart.show(_NOTHING)
            chart.border_title = chart._title()
        self._show_table()
        self.write_bars()

    def _show_table(self) -> None:
        width, dark = self.app.size.width, self.app.current_theme.dark
        colours = look(dark)
        heads = _heads(self.overlay, width)
        room = max(12, min(_MOST_NAME, width - 4 - sum(head.width + 2 for head in heads)))
        cells = []
        for index, row in enumerate(rows(self.overlay)):
            style = style_of(index, dark)
            name = Text.assemble((f"{style.sign} ", f"bold {style.colour}"), clipped(row.label, room - 2))
            cells.append([name, *(Text(head.text(row), style=colours.foreground) for head in heads)])
        shape = (tuple(heads), len(cells), width, dark)
        table = self.table
        if shape != self._shape:
            self._shape = shape
            at = table.cursor_row
            table.clear(columns=True)
            table.add_column(Text("run", style=colours.muted), width=room, key="run")
            for head in heads:
                words = Text(clipped(head.name, head.width), style=colours.muted)
                table.add_column(words, width=head.width, key=head.key)
            for row_cells in cells:
                table.add_row(*row_cells)
            table.move_cursor(row=at)
            return
        for y, row_cells in enumerate(cells):
            for x, cell in enumerate(row_cells):
                if table.get_cell_at((y, x)) != cell:  # type: ignore[arg-type]
                    table.update_cell_at((y, x), cell)  # type: ignore[arg-type]

    def title_parts(self) -> list[Part]:
        overlay = self.overlay
        parts = [("overlay", "bold $primary"), (f"{len(overlay.runs)} runs", "bold $foreground")]
        if overlay.loading:
            parts.append((f"reading {overlay.loading}…", "$warning"))
        problems = [f"{run.label}: {run.problem}" for run in overlay.runs if run.problem]
        parts += [(problem, "bold $error") for problem in problems]
        return [*parts, (f"{overlay.model}, mean over seeds", "$foreground")]

    # What keys do.

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        if self.table.has_focus:
            self.show_runs()

    def on_descendant_focus(self) -> None:
        self.table.show_cursor = self.table.has_focus
        self.show_runs()

    def action_leave(self) -> None:
        if self._first:
            self.app.exit()
        else:
            self.dismiss()

    def action_next(self) -> None:
        self.focus_next()

    def action_model(self) -> None:
        self.overlay.next_model()
        for chart in self.charts:
            chart.reset()
        self.show_runs()

    def _both(self, change: str) -> None:
        getattr(self.chart, change)()
        self.show_runs()

    def action_log_y(self) -> None:
        self._both("toggle_log")

    def action_smooth(self) -> None:
        self._both("next_smoothing")

    def action_zoom(self) -> None:
        self.chart.zoom_by(0.5)
        self.show_runs()

    def action_reset(self) -> None:
        self._both("reset")

    def action_inspect(self) -> None:
        self._both("toggle_cursor")

    def action_left(self) -> None:
        self.chart.move(-1)

    def action_right(self) -> None:
        self.chart.move(1)

    def action_band(self) -> None:
        for chart in self.charts:
            chart.band = not chart.band
        self.show_runs()

    def action_difference(self) -> None:
        if len(self.overlay.runs) > 1:
            from flykd_console.dashboard.screens.difference import DifferenceScreen

            self.app.push_screen(DifferenceScreen([run.directory for run in self.overlay.runs]))

    def action_compare(self) -> None:
        from flykd_console.dashboard.screens.comparison import ComparisonScreen

        self.app.push_screen(ComparisonScreen([run.directory for run in self.overlay.runs]))


# The charts take their runs from the overlay; what a panel is shown is a state, of which nothing is read.
_NOTHING = RunState()
