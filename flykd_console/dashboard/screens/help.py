"""The help: every action with its key, from the one list."""

from __future__ import annotations

from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from flykd_console.dashboard.keymap import ACTIONS, CHARTS, PANELS, PROGRAM, TRAINING, Action
from flykd_console.dashboard.user_keys import UserKeys

_WORDS = (
    "The dashboard only reads the run's folder: closing it never stops training, and flykd-console watch opens it "
    "again. Orders lie in the folder until the trainer takes them, between two epochs; the screen says “paused” or "
    "“stopping” only once the trainer has said so. The mouse works: click a key or a tab, point at a curve to read it, "
    "scroll to zoom."
)

TWO_COLUMNS_FROM = 118
_KEYS = 8


class HelpScreen(ModalScreen[None]):
    """What every key does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "dismiss", "Close", show=False)]

    def __init__(self, keys: UserKeys | None = None) -> None:
        super().__init__()
        self._keys = keys or UserKeys()

    def compose(self) -> ComposeResult:
        actions = self._keys.actions()
        two = self.app.size.width >= TWO_COLUMNS_FROM
        # The frame, its padding and the scroll bar go off.
        inner = (122 if two else min(84, 96 * self.app.size.width // 100)) - 8
        width = inner // 2 - 1 if two else inner
        with VerticalScroll(id="help", classes="dialog two" if two else "dialog"):
            if two:
                with Horizontal():
                    yield Static(help_text(TRAINING, CHARTS, actions=actions, width=width), classes="half")
                    yield Static(help_text(PANELS, PROGRAM, actions=actions, width=width), classes="half")
            else:
                yield Static(help_text(TRAINING, CHARTS, PANELS, PROGRAM, actions=actions, width=width))
            yield Static(Content.assemble((_WORDS, "$muted")))
            if self._keys.found and self._keys.path is not None:
                yield Static(Content.assemble(("\nYour own keys: ", "$muted"), (str(self._keys.path), "$foreground")))
            for problem in self._keys.problems:
                yield Static(Content.assemble(("  ! ", "bold $warning"), (problem, "$foreground")))

    def on_mount(self) -> None:
        self.query_one("#help").border_title = "KEYS"
        self.query_one("#help").border_subtitle = "esc closes"


def help_text(*groups: str, actions: tuple[Action, ...] = ACTIONS, width: int = 200) -> Content:
    """The actions of some groups, each with its key; words wrap beside the keys, in `width` cells."""
    beside = "\n" + " " * (_KEYS + 2)

    def words(text: str) -> str:
        return beside.join(wrap(text, max(20, width - _KEYS - 2))) + "\n"

    parts: list[tuple[str, str] | str] = []
    for group in groups:
        parts.append((f"{group}\n", "bold $primary"))
        for action in actions:
            if action.group == group:
                parts += [(f"  {action.shown or '–':<{_KEYS}}", "bold $key"), (words(action.help), "$foreground")]
        if group == PROGRAM:
            palette = words("All of these by name, in the command palette")
            parts += [(f"  {'Ctrl-P':<{_KEYS}}", "bold $key"), (palette, "$foreground")]
        parts.append("\n")
    return Content.assemble(*parts)
