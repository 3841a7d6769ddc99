"""A question that is answered by yes or no."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label


class ConfirmScreen(ModalScreen[bool]):
    """Asks before something that cannot be taken back.

    Args:
        question: In one line.
        detail: What will happen.
        yes: What the confirming button says.
        careful: The other button has the focus, so that a key pressed twice confirms nothing.
        no: What the other button says.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n,escape,q", "answer(False)", "No", show=False),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, detail: str, yes: str, careful: bool = False, no: str = "Go on training") -> None:
        super().__init__()
        if careful:
            self.AUTO_FOCUS = "#no"  # type: ignore[misc]
        self._question, self._detail, self._yes, self._careful = question, detail, yes, careful
        self._no = no

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="confirm"):
            yield Label(self._question, id="question")
            yield Label(self._detail, id="detail")
            with Horizontal(id="buttons"):
                yield Button(
                    f"{self._yes} (y)", variant="default" if self._careful else "primary", id="yes", compact=True
                )
                yield Button(f"{self._no} (n)", id="no", compact=True)

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
