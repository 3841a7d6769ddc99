"""The help: every action with its key, from the one list."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from flykd_console.dashboard.keymap import ACTIONS, CHARTS, PANELS, PROGRAM, TRAINING

_WORDS = (
    "The dashboard only reads the run's folder: closing it never stops training, and flykd-console watch opens it "
    "again. Orders lie in the folder until the trainer takes them, between two epochs; the screen says “paused” or "
    "“stopping” only once the trainer has said so. The mouse works: click a key or a tab, point at a curve to read it, "
    "scroll to zoom."
)

TWO_COLUMNS_FROM = 118


class HelpScreen(ModalScreen[None]):
    """What every key does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "dismiss", "Close", show=False)]

    def compose(self) -> ComposeResult:
        two = self.app.size.width >= TWO_COLUMNS_FROM
        with VerticalScroll(id="help", classes="dialog two" if two else "dialog"):
            if two:
                with Horizontal():
                    yield Static(help_text(TRAINING, CHARTS), classes="half")
                    yield Static(help_text(PANELS, PROGRAM), classes="half")
            else:
                yield Static(help_text(TRAINING, CHARTS, PANELS, PROGRAM))
            yield Static(Content.assemble((_WORDS, "$muted")))

    def on_mount(self) -> None:
        self.query_one("#help").border_title = "KEYS"
        self.query_one("#help").border_subtitle = "esc closes"


def help_text(*groups: str) -> Content:
    """The actions of some groups, each with its key."""
    parts: list[tuple[str, str] | str] = []
    for group in groups:
        parts.append((f"{group}\n", "bold $primary"))
        for action in ACTIONS:
            if action.group == group:
                parts += [(f"  {action.shown:<8}", "bold $key"), (f"{action.help}\n", "$foreground")]
        if group == PROGRAM:
            parts += [("  Ctrl-P  ", "bold $key"), ("All of these by name, in the command palette\n", "$foreground")]
        parts.append("\n")
    return Content.assemble(*parts)
