"""What a structure loss or a kind of teacher needs besides its defaults, to be tried on the tiny graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Example = Callable[[Path], dict[str, Any]]


def _scores(folder: Path) -> dict[str, Any]:
    """A table of scores of the tiny graph."""
    rows = [f"indication,DR{i:04d},DI{i:04d},{i / 10}\ncontraindication,DR{i:04d},DI0003,-{i}\n" for i in range(40)]
    path = folder / "scores.csv"
    path.write_text("relation,x_id,y_id,score\n" + "".join(rows))
    return {"file": str(path)}


# By the name of its file: from a folder for files to the table's keys.
STRUCTURE: dict[str, Example] = {}
TEACHERS: dict[str, Example] = {"scores": _scores}


def example(examples: dict[str, Example], name: str, folder: Path) -> dict[str, Any]:
    """What one of them needs; nothing where its defaults do."""
    return examples[name](folder) if name in examples else {}
