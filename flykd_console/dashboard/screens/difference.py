"""Where the settings of several runs differ: the keys that are not the same in all, one column a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import DataTable, Static

from flykd_console.compare.settings import Difference, differences, flatten, read_settings
from flykd_console.dashboard.palette import look
from flykd_console.dashboard.screen_keys import COMPARISON_ACTIONS, screen_bindings
from flykd_console.dashboard.screens.full import FullScreen, Part
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.words import clipped

_MOST = 44


class DifferenceScreen(FullScreen[None]):
    """A table of differing settings.

    Args:
        runs: Two or more.
    """

    ACTIONS = COMPARISON_ACTIONS
    BINDINGS: ClassVar[list[BindingType]] = [*screen_bindings(COMPARISON_ACTIONS)]

    def __init__(self, runs: Sequence[RunDirectory]) -> None:
        super().__init__()
        self._runs = list(runs)
        self._found: list[Difference] = []
        self._problem = ""
        try:
            from flykd_console.profile.schema import Profile

            defaults = flatten(Profile().model_dump(mode="json"))
            self._found = differences([read_settings(run.profile) for run in self._runs], defaults)
        except UserError as error:
            self._problem = str(error)

    def body(self) -> Iterable[Widget]:
        yield DataTable(id="difference-table", cursor_type="row", zebra_stripes=False, fixed_columns=1)
        yield Static(id="difference-words")

    def title_parts(self) -> list[Part]:
        count = len(self._found)
        words = f"{count} setting{'s differ' if count != 1 else ' differs'}"
        return [
            ("differences", "bold $primary"),
            (words, "bold $foreground"),
            (f"{len(self._runs)} runs", "$foreground"),
        ]

    def lay_out(self, width: int, height: int) -> None:
        colours = look(self.app.current_theme.dark)
        table = self.query_one(DataTable)
        words = self.query_one("#difference-words", Static)
        table.clear(columns=True)
        table.display = bool(self._found)
        words.display = not self._found
        words.update(self._problem or "These runs have the same settings.")
        if not self._found:
            return
        key_width = max(len("setting"), *(len(one.key) for one in self._found))
        share = max(12, min(_MOST, (width - key_width - 4) // len(self._runs) - 2))
        table.add_column(Text("setting", style=colours.muted), width=key_width)
        for place, run in enumerate(self._runs):
            longest = max(len(run.name), *(len(one.values[place]) for one in self._found))
            table.add_column(
                Text(clipped(run.name, share), style=f"bold {colours.foreground}"), width=min(share, longest)
            )
        for one in self._found:
            usual = max(set(one.values), key=one.values.count)
            cells = []
            for value in one.values:
                # With three runs or more the odd one out stands out; bold too, so that colour is not needed.
                odd = len(one.values) > 2 and value != usual
                cells.append(Text(clipped(value, share), style=f"bold {colours.accent}" if odd else colours.foreground))
            table.add_row(Text(one.key, style=colours.muted), *cells)
