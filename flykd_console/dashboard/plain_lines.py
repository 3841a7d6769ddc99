"""No control character of a name reaches the screen: the last thing that is done to every line of the dashboard."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from flykd_console.plain_text import plain


class PlainLines(LineFilter):
    """Drops control characters from what is drawn; they take up no cell, so that nothing moves."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [one if one.control else Segment(plain(one.text), one.style) for one in segments]
