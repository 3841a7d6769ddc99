"""What rooms above add to a profile: a file of `distill/` is a structure loss, a label source or a kind of teacher, one
of `heuristics/` a scorer without training.

They stand above the profile, so they are found by the names of their files and imported by name: the one call upwards.
Such a file imports neither torch nor anything that does before its loss is built, so that profiles are cheap to read.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib import resources
from pathlib import Path

from flykd_console.profile.section import StructureLossFile, TeacherFile

_PACKAGE = "flykd_console.distill"


@cache
def label_sources() -> tuple[str, ...]:
    """Names of the label sources: those of the paper in its order, then any others."""
    paper = ("original", "pseudo_train", "pseudo_random")
    return (*paper, *(name for name in _files("labels/sources") if name not in paper))


@cache
def structure_losses() -> dict[str, StructureLossFile]:
    """By its table under `[distill]` every structure loss, in the order in which they are summed and shown."""
    names = [name for name in _files("structure") if name != "base"]
    found: dict[str, StructureLossFile] = {}
    for name in names:
        found[name] = importlib.import_module(f"{_PACKAGE}.structure.{name}").LOSS
    return dict(sorted(found.items(), key=lambda item: (item[1].position, item[0])))


@cache
def teacher_kinds() -> dict[str, TeacherFile]:
    """By `kind` every kind of teacher."""
    names = [name for name in _files("teachers") if name != "base"]
    return {name: importlib.import_module(f"{_PACKAGE}.teachers.{name}").KIND for name in names}


@cache
def heuristics() -> tuple[str, ...]:
    """Names of the scorers without training, ascending."""
    return tuple(name for name in _modules("heuristics") if name not in ("base", "find"))


def _files(room: str) -> list[str]:
    """The modules of a room of `distill/`, ascending."""
    return _modules(f"distill/{room}")


def _modules(room: str) -> list[str]:
    folder = Path(str(resources.files("flykd_console"))) / room
    return sorted(module.name for module in pkgutil.iter_modules([str(folder)]))
