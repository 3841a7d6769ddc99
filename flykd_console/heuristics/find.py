"""A heuristic by the name of its file."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flykd_console.heuristics.base import Heuristic, TrainingEdges


def heuristic(name: str, training: TrainingEdges) -> Heuristic:
    """The heuristic of a file of this room, over some training edges."""
    found: Heuristic = importlib.import_module(f"{__package__}.{name}").HEURISTIC(training)
    return found
