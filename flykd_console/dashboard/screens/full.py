"""A screen of its own over the main one: a title line, a body, and a footer of what its keys do.

It is modal, so that no key meant for the run below gets through; leaving and the theme work as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, TypeVar

from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from flykd_console.dashboard.arrangement import MIN_HEIGHT, MIN_WIDTH
from flykd_console.dashboard.keymap import Action
from flykd_console.dashboard.screen_keys import method_of
from flykd_console.dashboard.user_keys import UserKeys
from flykd_console.dashboard.widgets.bars import Line

Answer = TypeVar("Answer")
Part = tuple[str, str]


class FullScreen(ModalScreen[Answer]):
    """The frame. A screen gives `ACTIONS`, `body()` and `title_parts()`."""

    ACTIONS: ClassVar[tuple[Action, ...]] = ()
    BINDINGS: ClassVar[list[BindingType]] = [Binding("t", "app.theme", "Light or dark", show=False)]

    def compose(self) -> ComposeResult:
        yield Line(id="full-title")
        yield from self.body()
        yield Static(id="full-tiny")
        yield Line(id="full-footer")

    def body(self) -> Iterable[Widget]:
        """The widgets between title and footer."""
        raise NotImplementedError

    def title_parts(self) -> list[Part]:
        """The title: what must be said first; parts that do not fit are left out from the end."""
        raise NotImplementedError

    def labels(self) -> dict[str, str]:
        """What the footer says for each action that applies now."""
        return {action.id: action.label for action in self.ACTIONS if action.label}

    def on_mount(self) -> None:
        self.add_class("full")
        self.fit()

    def on_resize(self) -> None:
        self.fit()

    def fit(self) -> None:
        """Arrange for the terminal's size, and write title and footer."""
        width, height = self.app.size
        tiny = width < MIN_WIDTH or height < MIN_HEIGHT
        self.set_class(tiny, "tiny")
        self.query_one("#full-tiny", Static).update(
            f"Too small\n\n{width}x{height} here, {MIN_WIDTH}x{MIN_HEIGHT} needed.\nesc goes back"
        )
        self.lay_out(width, height)
        self.write_bars()

    def lay_out(self, width: int, height: int) -> None:
        """What else depends on the size."""

    def write_bars(self) -> None:
        """Write title and footer anew."""
        width = self.app.size.width
        self.query_one("#full-title", Line).say(_title(self.title_parts(), width))
        self.query_one("#full-footer", Line).say(_footer(self.keyed_actions, self.labels(), width))

    @property
    def keyed_actions(self) -> tuple[Action, ...]:
        """The screen's actions with the user's own keys."""
        keys = getattr(self.app, "user_keys", None)
        return keys.actions(self.ACTIONS) if isinstance(keys, UserKeys) else self.ACTIONS

    @property
    def typing(self) -> bool:
        """Whether keys go into a text."""
        return isinstance(self.focused, Input)

    def commands(self) -> Iterable[SystemCommand]:
        """The screen's entries in the command palette."""
        for action in self.keyed_actions:
            if action.palette:
                method = getattr(self, f"action_{method_of(action)}")
                key = f" ({action.shown})" if action.shown else ""
                yield SystemCommand(f"{action.help}{key}", f"{action.group} · {action.id}", method)

    def action_help(self) -> None:
        self.app.push_screen(ScreenHelp(self.keyed_actions))

    def action_close(self) -> None:
        self.dismiss()


class ScreenHelp(ModalScreen[None]):
    """What the keys of one screen do.

    Args:
        actions: The screen's.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "dismiss", "Close", show=False)]

    def __init__(self, actions: tuple[Action, ...]) -> None:
        super().__init__()
        self._actions = actions

    def compose(self) -> ComposeResult:
        parts: list[Part] = []
        for action in self._actions:
            parts += [(f"{action.shown or '–':<8}", "bold $key"), (f"{action.help}\n", "$foreground")]
        parts += [("t       ", "bold $key"), ("Light or dark\n", "$foreground")]
        parts += [("Ctrl-P  ", "bold $key"), ("All of these by name, in the command palette", "$foreground")]
        with VerticalScroll(id="help", classes="dialog"):
            yield Static(Content.assemble(*parts))

    def on_mount(self) -> None:
        box = self.query_one("#help")
        box.border_title, box.border_subtitle = f"KEYS · {self._actions[0].group.upper()}", "esc closes"


def _title(parts: list[Part], width: int) -> Content:
    while len(parts) > 1 and sum(len(text) + 3 for text, _ in parts) > width:
        parts = parts[:-1]
    pieces: list[Part] = [(" ", "")]
    for i, part in enumerate(parts):
        pieces += [(" · ", "$muted"), part] if i else [part]
    return Content.assemble(*pieces)


def _footer(actions: tuple[Action, ...], labels: dict[str, str], width: int) -> Content:
    """As many keys as fit, the most important first, in the order of the list."""
    kept: list[Action] = []
    used = 1
    for action in sorted((a for a in actions if a.rank and a.id in labels), key=lambda a: a.rank):
        need = len(action.shown) + len(labels[action.id]) + 3
        if used + need <= width:
            kept.append(action)
            used += need
    parts: list[Content | str] = [" "]
    for action in actions:
        if action in kept:
            words = Content.assemble((action.shown, "bold $key"), (f" {labels[action.id]}", "$foreground"))
            parts += [words.stylize(f"@click=screen.{method_of(action)}"), "  "]
    return Content.assemble(*parts)
