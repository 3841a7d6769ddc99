"""Where commands print: what comes from data is text, never markup, and is printed without control characters.

A command prints by `PlainConsole` or by `say`, and its own colours by styles and `Text`. Names, methods, paths and
messages can so be printed as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from flykd_console.plain_text import plain


class PlainConsole(Console):
    """A console that reads no markup and no emoji codes, and drops control characters of what it is given."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **settings})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Segments of what is printed; rich's own control codes (cursor, colours) stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


def say(text: str, err: bool = False, end: str = "\n") -> None:
    """Print text without control characters; `err`: on standard error, after what standard output was given."""
    if err:
        sys.stdout.flush()
    print(plain(text), end=end, file=sys.stderr if err else sys.stdout)
