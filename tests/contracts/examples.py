"""What a structure loss or a kind of teacher needs besides its defaults, to be tried on the tiny graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Example = Callable[[Path], dict[str, Any]]

# By the name of its file: from a folder for files to the table's keys.
STRUCTURE: dict[str, Example] = {}
TEACHERS: dict[str, Example] = {}


def example(examples: dict[str, Example], name: str, folder: Path) -> dict[str, Any]:
    """What one of them needs; nothing where its defaults do."""
    return examples[name](folder) if name in examples else {}
