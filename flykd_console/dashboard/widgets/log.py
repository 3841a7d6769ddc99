"""The log pane: the run's log lines, wrapped, coloured and marked by level, searched by `/`."""

from __future__ import annotations

import time
from textwrap import wrap

from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input

from flykd_console.dashboard.palette import look
from flykd_console.runs.state.run import LOG_LINES, LogLine, RunState

_TIME = 9
_PREFIX = {"warning": "warning: ", "error": "error: ", "debug": "debug: "}
LEVELS = ("all", "warning", "error")
_LOUD = {"all": ("debug", "info", "warning", "error"), "warning": ("warning", "error"), "error": ("error",)}


def loud_enough(line: LogLine, level: str) -> bool:
    """Whether a line is of a level or a worse one."""
    return line.level in _LOUD[level]


def matches(line: LogLine, wanted: str) -> bool:
    """Whether a line holds every word of the filter; `!warning` and `!error` ask for a level."""
    text = f"{_PREFIX.get(line.level, '')}{line.message}".lower()
    for word in wanted.lower().split():
        if word.startswith("!"):
            if not line.level.startswith(word[1:]):
                return False
        elif word not in text:
            return False
    return True


class LogView(ScrollView, can_focus=True):
    """The lines themselves; stays at the end as long as the reader is there."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__(id="log-view")
        self._state: RunState | None = None
        self._wanted = ""
        self._level = "all"
        self._seen = 0
        self._lines: list[tuple[str, str, str]] = []
        self._width = 0
        self._follow = True
        self.matched = 0

    def show(self, state: RunState) -> None:
        """Add what is new."""
        if state is not self._state:
            self._state, self._seen = state, 0
            self._lines.clear()
            self.matched = 0
        self._catch_up()

    def search(self, wanted: str) -> None:
        """Show only lines that match."""
        self._wanted = wanted
        self._rebuild()

    def show_level(self, level: str) -> None:
        """Show only lines of a level or a worse one."""
        self._level = level
        self._rebuild()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._follow = new_value >= self.max_scroll_y - 1

    def on_resize(self) -> None:
        if self.scrollable_content_region.width != self._width:
            self._rebuild()

    def _rebuild(self) -> None:
        self._seen, self.matched = 0, 0
        self._lines.clear()
        self._catch_up(to_end=True)

    def _catch_up(self, to_end: bool = False) -> None:
        state = self._state
        width = self.scrollable_content_region.width
        if width != self._width:
            self._width, self._seen, self.matched = width, 0, 0
            self._lines.clear()
        if state is None or self._width < 20:
            return
        fresh = min(state.log_total - self._seen, len(state.log))
        if len(self._lines) > 4 * LOG_LINES:
            self._lines, fresh, self.matched = [], len(state.log), 0
        for i in range(len(state.log) - fresh, len(state.log)):
            line = state.log[i]
            if loud_enough(line, self._level) and (not self._wanted or matches(line, self._wanted)):
                self.matched += 1
                self._wrap(line)
        self._seen = state.log_total
        self.virtual_size = Size(self._width, len(self._lines))
        if to_end:
            self._follow = True
        if self._follow and fresh:
            # Only after the layout is the end where it belongs.
            self.call_after_refresh(self.scroll_end, animate=False, immediate=True)
        if fresh or to_end:
            self.refresh()

    def _wrap(self, line: LogLine) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(line.t))
        prefix = _PREFIX.get(line.level, "")
        for piece in wrap(prefix + line.message, max(10, self._width - _TIME)) or [""]:
            self._lines.append((clock, line.level, piece))
            clock = ""

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if index >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        clock, level, text = self._lines[index]
        colours = look(self.app.current_theme.dark)
        colour = {"warning": colours.curves[1], "error": colours.curves[5], "debug": colours.muted}.get(
            level, colours.foreground
        )
        bold = level == "error" or None
        segments = [
            Segment(f"{clock:<{_TIME}}", Style(color=colours.muted)),
            Segment(text, Style(color=colour, bold=bold)),
        ]
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)


class LogPanel(Vertical):
    """The log in a frame, with a filter line that appears on `/`."""

    def __init__(self) -> None:
        super().__init__(id="log", classes="panel")
        self.border_title = "LOG"
        self._state: RunState | None = None
        self.level = LEVELS[0]

    def compose(self) -> ComposeResult:
        yield LogView()
        yield Input(placeholder="words that a line must hold; !warning, !error", id="log-filter", compact=True)

    def on_mount(self) -> None:
        self.query_one(Input).display = False

    def show(self, state: RunState) -> None:
        """Add what is new."""
        self._state = state
        self.query_one(LogView).show(state)
        self._title()

    def _title(self) -> None:
        state, wanted = self._state, self.query_one(Input).value.strip()
        if state is None:
            return
        remarks = {"all": [], "warning": ["warnings and errors only"], "error": ["errors only"]}[self.level].copy()
        if wanted:
            count = self.query_one(LogView).matched
            remarks.append(f"filter “{wanted}”: {count} of {len(state.log)}")
        for count, word in ((state.warnings, "warning"), (state.errors, "error")):
            if count:
                remarks.append(f"{count} {word}{'s' if count != 1 else ''}")
        self.border_title = "LOG" + (f" [not bold]· {' · '.join(remarks)}[/]" if remarks else "").replace("[“", "“")

    def next_level(self) -> None:
        """All lines, warnings and errors, errors alone."""
        self.level = LEVELS[(LEVELS.index(self.level) + 1) % len(LEVELS)]
        self.query_one(LogView).show_level(self.level)
        self._title()

    def open_filter(self) -> None:
        """Show the filter line and type there."""
        field = self.query_one(Input)
        field.display = True
        field.focus()

    def close_filter(self, clear: bool) -> None:
        """Hide the filter line; `clear` shows all lines again."""
        field = self.query_one(Input)
        if clear:
            field.value = ""
        field.display = bool(field.value)
        self.query_one(LogView).focus()

    @property
    def filtering(self) -> bool:
        """Whether the filter line is there."""
        return bool(self.query_one(Input).display)

    @on(Input.Changed, "#log-filter")
    def _changed(self, event: Input.Changed) -> None:
        self.query_one(LogView).search(event.value.strip())
        self._title()

    @on(Input.Submitted, "#log-filter")
    def _submitted(self) -> None:
        self.close_filter(clear=False)
