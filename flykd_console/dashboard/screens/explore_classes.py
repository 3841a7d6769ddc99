"""Exploring a run that tells classes: what is unsure, where members disagree, what is wrong, a node's neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on, work
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static

from flykd_console.dashboard.class_text import answers_text, neighbours_text
from flykd_console.dashboard.palette import look
from flykd_console.dashboard.screen_keys import CLASS_ACTIONS, screen_bindings
from flykd_console.dashboard.screens.full import FullScreen, Part
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.words import DASH, counted

if TYPE_CHECKING:
    from flykd_console.explore.classes import ClassExploration, Order, Sample

_SIDE_BY_SIDE_FROM = 100
_PARTS = ("test", "validation", "train", "")
_ORDER_WORDS = {
    "uncertain": "least certain first",
    "disagreement": "members furthest apart first",
    "mistakes": "told wrong, most surely so first",
    "number": "by number",
}


class ClassExploreScreen(FullScreen[None]):
    """Looks samples up in a finished seed.

    Args:
        directory: The run.
        seeds: Those that are done.
    """

    ACTIONS = CLASS_ACTIONS
    BINDINGS: ClassVar[list[BindingType]] = [*screen_bindings(CLASS_ACTIONS)]
    AUTO_FOCUS = "#explore-table"

    class Opened(Message):
        """A seed's answers are read, or there is a reason why not."""

        def __init__(self, seed: int, exploration: ClassExploration | None, problem: str = "") -> None:
            super().__init__()
            self.seed, self.exploration, self.problem = seed, exploration, problem

    def __init__(self, directory: RunDirectory, seeds: Sequence[int]) -> None:
        super().__init__()
        self._directory, self._seeds = directory, list(seeds)
        self.seed = self._seeds[0]
        self.exploration: ClassExploration | None = None
        self.problem = ""
        self.model = ""
        self.order: Order = "uncertain"
        self.part = _PARTS[0]
        self.told: int | None = None
        self.around: int | None = None
        self.shown: list[Sample] = []
        # By number the list begins here.
        self._first = 0
        self._history: list[tuple[int | None, int]] = []

    def body(self) -> Iterable[Widget]:
        yield Input(id="explore-search", compact=True)
        with Horizontal(id="explore-body"):
            with Vertical(id="explore-left"):
                yield Static(id="explore-summary")
                yield DataTable(id="explore-table", cursor_type="row")
            with VerticalScroll(id="explore-right"):
                yield Static(id="explore-paths")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(Input).display = False
        self.query_one("#explore-right").can_focus = False
        self.open_seed(self.seed)

    @work(thread=True, exclusive=True, group="open")
    def open_seed(self, seed: int) -> None:
        """Read a seed's answers."""
        from flykd_console.explore.classes import ClassExploration

        try:
            self.post_message(self.Opened(seed, ClassExploration(self._directory, seed)))
        except UserError as error:
            self.post_message(self.Opened(seed, None, str(error)))

    def on_class_explore_screen_opened(self, message: Opened) -> None:
        if message.seed != self.seed:
            return
        self.exploration, self.problem = message.exploration, message.problem
        if self.exploration is not None and self.model not in self.exploration.models:
            self.model = self.exploration.best
        self.fit()

    # Drawing.

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one(DataTable)

    def lay_out(self, width: int, height: int) -> None:
        self.query_one("#explore-body").set_class(width < _SIDE_BY_SIDE_FROM, "stacked")
        self._show_table()
        self._show_sample()

    def title_parts(self) -> list[Part]:
        parts = [("explore", "bold $primary"), (self._directory.name, "bold $foreground")]
        if self.exploration is None:
            return [*parts, (self.problem, "bold $error") if self.problem else ("reading…", "$warning")]
        parts += [(f"seed {self.seed}", "$foreground"), (f"by {self.exploration.models[self.model]}", "bold $accent")]
        return [*parts, (self.part or "all parts", "$foreground")]

    def labels(self) -> dict[str, str]:
        labels = super().labels()
        if self.typing:
            return {"classes_close": "leave the text"}
        if len(self._seeds) < 2:
            labels.pop("classes_seed")
        if self.exploration is None or self.exploration.what != "node":
            labels.pop("classes_follow")
        if not self._history:
            labels.pop("classes_back")
        return labels

    def _show_table(self) -> None:
        table, summary = self.table, self.query_one("#explore-summary", Static)
        at = table.cursor_row
        table.clear(columns=True)
        colours, exploration = look(self.app.current_theme.dark), self.exploration
        if exploration is None:
            summary.update(Text(self.problem or "Reading…", style=colours.muted))
            return
        if self.around is None:
            self.shown = exploration.listed(self.model, self.order, self.part, self.told, self._first)
        else:
            self.shown = exploration.neighbours(self.around, self.model)
        summary.update(Text(self._summary(), style=colours.muted))
        for heading in (exploration.what, "part", "class", "told", "p", "agree", "apart"):
            table.add_column(Text(heading, justify="left" if heading == "part" else "right"))
        for one in self.shown:
            style = colours.curve(5) if one.wrong else colours.foreground
            cells = [str(one.row), one.part or DASH, str(one.label) if one.label >= 0 else DASH, str(one.told)]
            cells += [f"{one.probability:.2f}", f"{one.votes}/{len(exploration.members)}", f"{one.apart:.2f}"]
            said = [Text(cell, style=style, justify="right") for cell in cells]
            said[1].justify = "left"
            table.add_row(*said)
        if self.shown:
            table.move_cursor(row=min(at, len(self.shown) - 1))

    def _summary(self) -> str:
        assert self.exploration is not None
        many = counted(len(self.shown), self.exploration.what)
        if self.around is not None:
            return f"{many} joined to node {self.around}"
        of_class = f", told as class {self.told}" if self.told is not None else ""
        return f"{many}{of_class}: {_ORDER_WORDS[self.order]}"

    def _show_sample(self) -> None:
        pane, said = self.query_one("#explore-right"), self.query_one("#explore-paths", Static)
        exploration, sample = self.exploration, self.selected
        if exploration is None or sample is None:
            pane.border_title = "ANSWERS"
            said.update("")
            return
        pane.border_title = f"{exploration.what.upper()} {sample.row}"
        colours = look(self.app.current_theme.dark)
        text = answers_text(exploration, sample, colours, max(20, pane.size.width - 4))
        if exploration.what == "node":
            text.append_text(neighbours_text(exploration, sample, self.model, colours))
        said.update(text)

    @property
    def selected(self) -> Sample | None:
        """The sample under the cursor."""
        at = self.table.cursor_row
        return self.shown[at] if 0 <= at < len(self.shown) else None

    # What keys do.

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self._show_sample()

    @on(DataTable.RowSelected)
    def _chosen(self) -> None:
        self.action_follow()

    @on(Input.Submitted)
    def _typed(self, message: Input.Submitted) -> None:
        text = message.value.strip()
        self._leave_text()
        exploration = self.exploration
        if exploration is None or not text:
            return
        if not text.isdecimal() or int(text) >= exploration.samples:
            self.notify(f"There are {exploration.what}s 0 to {exploration.samples - 1}", timeout=4)
            return
        self._remember()
        self.around, self.order, self.part, self.told = None, "number", "", None
        self._first = int(text)
        self._go_to(int(text))

    @on(events.DescendantBlur, "#explore-search")
    def _left(self) -> None:
        self.query_one(Input).display = False
        self.write_bars()

    def action_search(self) -> None:
        search = self.query_one(Input)
        search.placeholder = f"/ number of a {self.exploration.what if self.exploration else 'sample'}"
        search.value, search.display = "", True
        search.focus()
        self.write_bars()

    def action_follow(self) -> None:
        sample, exploration = self.selected, self.exploration
        if sample is None or exploration is None or exploration.what != "node":
            return
        if sample.degree == 0:
            self.notify(f"Node {sample.row} is joined to none", timeout=3)
            return
        self._remember()
        self.around = sample.row
        self.table.move_cursor(row=0)
        self.fit()

    def action_back(self) -> None:
        if not self._history:
            return
        self.around, row = self._history.pop()
        self._go_to(row)

    def action_order(self) -> None:
        from flykd_console.explore.classes import ORDERS

        self.around, self._first = None, 0
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self._from_the_top()

    def action_part(self) -> None:
        self.around = None
        self.part = _PARTS[(_PARTS.index(self.part) + 1) % len(_PARTS)]
        self._from_the_top()

    def action_class(self) -> None:
        if self.exploration is None:
            return
        self.around = None
        following = 0 if self.told is None else self.told + 1
        self.told = following if following < self.exploration.classes else None
        self._from_the_top()

    def action_model(self) -> None:
        if self.exploration is None:
            return
        names = list(self.exploration.models)
        self.model = names[(names.index(self.model) + 1) % len(names)]
        self.fit()

    def action_seed(self) -> None:
        if len(self._seeds) < 2:
            return
        self.seed = self._seeds[(self._seeds.index(self.seed) + 1) % len(self._seeds)]
        self.exploration, self.around = None, None
        self._history.clear()
        self.fit()
        self.open_seed(self.seed)

    def action_close(self) -> None:
        if self.typing:
            self._leave_text()
        elif self.around is not None:
            self.around = None
            self._history.clear()
            self.fit()
        else:
            self.dismiss()

    def _leave_text(self) -> None:
        self.query_one(Input).display = False
        self.table.focus()
        self.write_bars()

    def _remember(self) -> None:
        sample = self.selected
        self._history.append((self.around, sample.row if sample else 0))

    def _from_the_top(self) -> None:
        self.table.move_cursor(row=0)
        self.fit()
        self.table.move_cursor(row=0)

    def _go_to(self, row: int) -> None:
        """Show the list with a sample under the cursor, where it is in it."""
        self.fit()
        at = next((place for place, one in enumerate(self.shown) if one.row == row), 0)
        self.table.move_cursor(row=at)
        self._show_sample()
