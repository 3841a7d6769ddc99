"""A question that is answered by a number."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from flykd_console.words import grouped


class NumberScreen(ModalScreen[int | None]):
    """Asks for a whole number; None where the user goes back.

    Args:
        question: In one line.
        detail: What will happen.
        yes: What the confirming button says.
        most: The largest number that is taken; the smallest is 1.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back", show=False)]

    def __init__(self, question: str, detail: str, yes: str, most: int) -> None:
        super().__init__()
        self._question, self._detail, self._yes, self._most = question, detail, yes, most

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="confirm"):
            yield Label(self._question, id="question", markup=False)
            yield Label(self._detail, id="detail", markup=False)
            yield Input(type="integer", max_length=len(str(self._most)), id="number", compact=True)
            yield Label("", id="number-problem")
            with Horizontal(id="buttons"):
                yield Button(f"{self._yes} (enter)", variant="primary", id="yes", compact=True)
                yield Button("Back (esc)", id="no", compact=True)

    def on_input_submitted(self) -> None:
        self._answer()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "yes":
            self._answer()
        else:
            self.action_back()

    def _answer(self) -> None:
        text = self.query_one(Input).value
        number = int(text) if text.isdigit() else 0
        if 1 <= number <= self._most:
            self.dismiss(number)
            return
        self.query_one("#number-problem", Label).update(f"A whole number from 1 to {grouped(self._most)}, please.")

    def action_back(self) -> None:
        self.dismiss(None)
