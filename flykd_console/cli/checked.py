"""How the export of any bundle is told: a line a check, and where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from exporters.parity import Check


def shown_path(path: Path) -> str:
    """A path from the current folder where it lies below it, else in full."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def tell_check(console: Console, check: Check) -> None:
    """A check that has passed, and what it found."""
    from rich.text import Text

    console.print(Text.assemble("  ", ("✓", "green"), f" {check.name:<14} {check.detail}"))
