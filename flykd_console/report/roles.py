"""What the models of a comparison are there for, as the results of their runs list them."""

from __future__ import annotations

from flykd_console.compare.models import Contender
from flykd_console.runs.models import ModelEntry


def entry_of(one: Contender) -> ModelEntry:
    """A model as its first run lists it."""
    return next(entry for entry in one.runs[0].results.models if entry.name == one.model)


def distilled(one: Contender) -> bool:
    """Whether it learns from other models."""
    return entry_of(one).distilled
