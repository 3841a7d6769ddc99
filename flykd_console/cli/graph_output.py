"""Where the graph commands print: results, notes and progress."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn


def consoles() -> tuple[Console, Console]:
    """Results on standard output, progress and notes on standard error; what is printed is text, no markup."""
    from flykd_console.cli.console import PlainConsole

    # In a pipe nothing is cut to the width of a screen.
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    return PlainConsole(width=width), PlainConsole(stderr=True)


def progress_bar(console: Console, *after: ProgressColumn) -> Progress:
    """What is being done, a bar, and the given columns; gone when it is over."""
    from rich.progress import BarColumn, Progress, TextColumn

    described = TextColumn("{task.description}", markup=False)
    return Progress(described, BarColumn(), *after, console=console, transient=True)
