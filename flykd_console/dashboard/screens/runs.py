"""The list of runs: filtered as one types, sorted by any column, marked to be laid over each other or compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static
from textual.worker import get_current_worker

from flykd_console.dashboard.health import near
from flykd_console.dashboard.palette import Look, look
from flykd_console.dashboard.run_table import RunColumn, columns, ordered, state_tone
from flykd_console.dashboard.screen_keys import RUN_ACTIONS, screen_bindings
from flykd_console.dashboard.screens.full import FullScreen, Part
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.find import list_runs
from flykd_console.runs.overview import RunList, RunOverview

REFRESH_SECONDS = 3.0


class RunsScreen(FullScreen[RunDirectory | None]):
    """Dismissed with the run to be shown, or with None.

    Args:
        root: The folder of runs.
        shown: The run that the dashboard shows; the cursor begins there.
        follow: Look again every few seconds.
        marked: Runs that are marked from the beginning.
    """

    ACTIONS = RUN_ACTIONS
    BINDINGS: ClassVar[list[BindingType]] = [*screen_bindings(RUN_ACTIONS)]
    AUTO_FOCUS = "#runs-table"

    class Read(Message):
        """Some lines were read, or all of them (`complete`)."""

        def __init__(self, lines: list[RunOverview], complete: bool) -> None:
            super().__init__()
            self.lines, self.complete = lines, complete

    def __init__(
        self,
        root: Path,
        shown: RunDirectory | None = None,
        follow: bool = True,
        marked: Sequence[RunDirectory] = (),
    ) -> None:
        super().__init__()
        self.root = root
        self.marked: list[Path] = [run.path for run in marked]
        self._list = RunList(root)
        self._shown, self._follow = shown, follow
        self._runs: dict[Path, RunOverview] = {}
        self._incoming: dict[Path, RunOverview] = {}
        self._complete = False
        self._sort: str | None = None
        self._turned = False
        self._columns: list[RunColumn] = []
        self._rows: list[Path] = []
        self._cells: dict[Path, list[Text]] = {}
        self._shape: tuple[object, ...] = ()

    def body(self) -> Iterable[Widget]:
        yield Input(placeholder="/ filter by name, method, state, graph or device", id="runs-filter", compact=True)
        yield DataTable(id="runs-table", cursor_type="row", cell_padding=1)
        yield Static(id="runs-detail")

    def on_mount(self) -> None:
        super().on_mount()
        self.reload()
        if self._follow:
            self.set_interval(REFRESH_SECONDS, self.reload)

    # Reading.

    @work(thread=True, exclusive=True, group="runs")
    def reload(self) -> None:
        """Read what has changed, a batch at a time."""
        worker = get_current_worker()
        runs = list_runs(self.root)
        self._list.forget_all_but(runs)
        for lines in self._list.read(runs):
            if worker.is_cancelled:
                return
            self.post_message(self.Read(lines, False))
        self.post_message(self.Read([], True))

    def on_runs_screen_read(self, message: Read) -> None:
        self._incoming.update((line.directory.path, line) for line in message.lines)
        if message.complete:
            # Only a whole look knows which runs have gone, and in which order they come.
            self._runs, self._incoming, self._complete = self._incoming, {}, True
            self.marked = [path for path in self.marked if path in self._runs]
        elif not self._complete:
            self._runs = dict(self._incoming)
        else:
            return
        self.show_runs()

    # Drawing.

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one("#runs-table", DataTable)

    @property
    def current(self) -> RunOverview | None:
        """The run under the cursor."""
        row = self.table.cursor_row
        return self._runs.get(self._rows[row]) if 0 <= row < len(self._rows) else None

    @property
    def chosen(self) -> list[RunOverview]:
        """The marked runs in the order in which they were marked; without marks the one under the cursor."""
        if self.marked:
            return [self._runs[path] for path in self.marked if path in self._runs]
        return [self.current] if self.current is not None else []

    def lay_out(self, width: int, height: int) -> None:
        self.show_runs()

    def visible_runs(self) -> list[RunOverview]:
        """Those that the filter lets through, in order."""
        words = self.query_one(Input).value
        column = next((c for c in self._columns if c.key == self._sort), None)
        return ordered((run for run in self._runs.values() if run.matches(words)), column, self._turned)

    def show_runs(self) -> None:
        """Bring the table up to date; the cursor stays on its run."""
        colours = look(self.app.current_theme.dark)
        self._columns = columns(self.app.size.width, list(self._runs.values()))
        runs = self.visible_runs()
        rows = [run.directory.path for run in runs]
        cells = {run.directory.path: self._row(run, colours) for run in runs}
        shape = (tuple(c.key for c in self._columns), tuple(c.width for c in self._columns), self._sort, self._turned,
                 self.app.current_theme.dark)  # fmt: skip
        table = self.table
        if rows != self._rows or shape != self._shape:
            before = self.current
            wanted = before.directory.path if before is not None else self._shown.path if self._shown else None
            at = table.cursor_row
            table.clear(columns=shape != self._shape)
            if shape != self._shape:
                self._add_columns(colours)
            for path in rows:
                table.add_row(*cells[path], key=str(path))
            self._rows, self._shape = rows, shape
            table.move_cursor(row=rows.index(wanted) if wanted in rows else min(at, max(0, len(rows) - 1)))
        else:
            for row, path in enumerate(rows):
                for column, cell in enumerate(cells[path]):
                    if cell != self._cells[path][column]:
                        table.update_cell_at((row, column), cell)  # type: ignore[arg-type]
        self._cells = cells
        self._say()
        self.write_bars()

    def _add_columns(self, colours: Look) -> None:
        self.table.add_column(Text(""), width=1, key="mark")
        for column in self._columns:
            sign = (" ▴" if column.words != self._turned else " ▾") if column.key == self._sort else ""
            style = f"bold {colours.foreground}" if sign else colours.muted
            justify = "left" if column.words else "right"
            self.table.add_column(
                Text(column.head + sign, style=style, justify=justify),  # type: ignore[arg-type]
                width=column.width, key=column.key,
            )  # fmt: skip

    def _row(self, run: RunOverview, colours: Look) -> list[Text]:
        marked = run.directory.path in self.marked
        tones = {"good": colours.curve(2), "warn": colours.curve(1), "bad": colours.curve(5), "muted": colours.muted}
        cells = [Text("●" if marked else " ", style=f"bold {colours.accent}")]
        for column in self._columns:
            style = colours.foreground
            if column.key == "state":
                style = tones.get(state_tone(run), colours.foreground)
            elif column.key == "name" and self._shown is not None and run.directory.path == self._shown.path:
                style = f"bold {colours.foreground}"
            elif column.key not in ("name", "mean", "gain", "over"):
                style = colours.muted
            justify = "left" if column.words else "right"
            cells.append(Text(column.text(run), style=style, justify=justify))  # type: ignore[arg-type]
        return cells

    def _say(self) -> None:
        run = self.current
        detail = self.query_one("#runs-detail", Static)
        if run is not None:
            said = f"{run.state}: {run.error}" if run.error else near(run.directory.path)
            detail.update(Text(said, style="", overflow="ellipsis", no_wrap=True))
        elif not self._complete:
            detail.update("Reading the runs…")
        elif self._runs:
            detail.update("No run matches: esc clears the filter")
        else:
            detail.update(f"There is no run in {near(self.root)}/ yet. Train one: flykd-console run flykd")

    def title_parts(self) -> list[Part]:
        shown, total = len(self._rows), len(self._runs)
        count = f"{shown} of {total} runs" if shown != total else f"{total} run{'s' if total != 1 else ''}"
        parts = [("runs", "bold $primary"), (count + ("" if self._complete else " …"), "bold $foreground")]
        if self.marked:
            parts.append((f"{len(self.marked)} marked", "bold $accent"))
        if self._sort is not None:
            heads = {column.key: column.head for column in self._columns}
            parts.append((f"by {heads.get(self._sort, self._sort)}", "$foreground"))
        return [*parts, (near(self.root), "$muted")]

    def labels(self) -> dict[str, str]:
        labels = super().labels()
        if len(self.chosen) < 2:
            labels.pop("runs_difference", None)
        if not self.marked:
            labels.pop("runs_unmark", None)
        if self.typing:
            return {"runs_close": "clear", "runs_open": "to the list"}
        return labels

    # What keys do.

    def action_mark(self) -> None:
        run = self.current
        if run is None:
            return
        path = run.directory.path
        if path in self.marked:
            self.marked.remove(path)
        else:
            self.marked.append(path)
        self.show_runs()
        self.table.action_cursor_down()

    def action_unmark(self) -> None:
        self.marked.clear()
        self.show_runs()

    def action_open(self) -> None:
        run = self.current
        if run is not None:
            self.dismiss(run.directory)

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_open()

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self._say()

    def action_filter(self) -> None:
        self.query_one(Input).focus()
        self.write_bars()

    @on(Input.Changed)
    def _typed(self) -> None:
        self.show_runs()

    @on(Input.Submitted)
    def _typed_all(self) -> None:
        self.table.focus()
        self.write_bars()

    def key_down(self) -> None:
        if self.typing:
            self._typed_all()

    def action_close(self) -> None:
        """Out of the filter, then off the filter, then off the screen."""
        filter_input = self.query_one(Input)
        if self.typing or filter_input.value:
            filter_input.value = ""
            self.table.focus()
            self.write_bars()
        else:
            self.dismiss(None)

    def action_sort(self) -> None:
        keys = [None, *(column.key for column in self._columns)]
        self._sort = keys[(keys.index(self._sort) + 1) % len(keys)] if self._sort in keys else None
        self._turned = False
        self.show_runs()

    def action_turn(self) -> None:
        self._turned = not self._turned
        self.show_runs()

    @on(DataTable.HeaderSelected)
    def _head_clicked(self, event: DataTable.HeaderSelected) -> None:
        key = event.column_key.value
        if key == "mark":
            return
        self._turned = not self._turned if key == self._sort else False
        self._sort = key
        self.show_runs()

    def action_overlay(self) -> None:
        chosen = [run.directory for run in self.chosen]
        if chosen:
            from flykd_console.dashboard.screens.overlay import OverlayScreen

            self.app.push_screen(OverlayScreen(chosen, follow=self._follow))

    def action_difference(self) -> None:
        if len(self.chosen) < 2:
            self.notify("Mark two runs or more (space) to see where their settings differ", timeout=4)
            return
        from flykd_console.dashboard.screens.difference import DifferenceScreen

        self.app.push_screen(DifferenceScreen([run.directory for run in self.chosen]))

    def action_compare(self) -> None:
        chosen = [run.directory for run in self.chosen]
        if chosen:
            from flykd_console.dashboard.screens.comparison import ComparisonScreen

            self.app.push_screen(ComparisonScreen(chosen))
