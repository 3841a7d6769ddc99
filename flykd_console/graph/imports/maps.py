"""Maps: what an import calls a source's types and relations, and what it leaves out (TOML; one is shipped per source).

[types]
DRG = "drug"
[relations]
"drug|INDICATION|disease" = "indication"     # between these types; "INDICATION" alone: between any
drop = ["EXP", "drug|PARENT|drug"]           # types and relations, in either spelling
targets = ["indication"]
pooling = ["disease_disease"]
licence = "..."
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import msgspec

from flykd_console.errors import CHECK_PATH, UserError

BETWEEN = "|"


class Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A map's tables and keys; `file` is where it was read from, empty for a shipped one."""

    types: dict[str, str] = {}
    relations: dict[str, str] = {}
    drop: list[str] = []
    targets: list[str] = []
    pooling: list[str] = []
    licence: str = ""
    file: str = ""

    def drops_type(self, source: str, mapped: str) -> bool:
        """Whether nodes of a type are left out."""
        return source in self.drop or mapped in self.drop

    def drops(self, names: Iterable[str]) -> bool:
        """Whether a relation is left out, by any of its spellings."""
        return any(name in self.drop for name in names)


def shipped(name: str) -> Map:
    """The map that comes with a format; an empty one where there is none."""
    if not name:
        return Map()
    text = resources.files(__package__).joinpath(f"maps/{name}.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Map)


def read_map(path: Path) -> Map:
    """A user's map.

    Raises:
        UserError: It is not there, is no TOML, or has a key or value that a map has not.
    """
    try:
        found = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        return msgspec.structs.replace(msgspec.convert(found, Map), file=str(path))
    except FileNotFoundError as error:
        raise UserError("there is no such map", str(path), CHECK_PATH) from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", str(path), CHECK_PATH) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"is not TOML: {error}", str(path), "Mend the line.") from error
    except msgspec.ValidationError as error:
        hint = f"A map has {', '.join(n for n in Map.__struct_fields__ if n != 'file')}."
        raise UserError(f"is not a map: {error}", str(path), hint) from error


def check(names: Map, types: Iterable[str], relations: Iterable[str], kept: Iterable[str]) -> None:
    """Refuse a user's map that names what the source has not; a shipped one serves several releases.

    Args:
        names: The map.
        types: The source's types.
        relations: Every spelling of the source's relations.
        kept: The names of the relations that an import would write.

    Raises:
        UserError: Names the entry, and what it may have meant.
    """
    if not names.file:
        return
    types, relations, kept = sorted(set(types)), sorted(set(relations)), sorted(set(kept))
    mapped = set(names.types.values())
    asked = [("types", key, types) for key in names.types]
    asked += [("relations", key, relations) for key in names.relations]
    asked += [("drop", key, [*types, *mapped, *relations]) for key in names.drop]
    asked += [("targets", key, kept) for key in names.targets] + [("pooling", key, kept) for key in names.pooling]
    for table, key, known in asked:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3, cutoff=0.4) or known[:8]
            raise UserError(f"the source has no {key!r}", f"{names.file}, {table}", f"It has {', '.join(near)}.")
