"""What an import read, kept and left out, and why: kept beside the graph, and in the provenance of each run on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.imports.columns import EvidenceColumn
from flykd_console.words import grouped, per_cent

ENDING = ".import.json"


class SourceFile(msgspec.Struct, frozen=True):
    """A file that was read; `sha256` is of the file as it was given."""

    file: str
    bytes: int
    sha256: str


class Relation(msgspec.Struct, frozen=True):
    """A relation as the source and as the graph has it; `dropped`: the map leaves it out."""

    source: str
    head: str
    relation: str
    tail: str
    rows: int
    dropped: bool = False


class Report(msgspec.Struct, frozen=True):
    """Counts are of rows, each of them one edge of the source.

    Attributes:
        layout: The format's name.
        map: The map's file; `shipped` for the format's own, empty for none.
        dropped: By reason the rows that were left out; of these `by_map` were asked for.
        names_missing: Nodes of the graph that are named by their id.
        without_edge: Nodes of the source that no kept row has.
        collapsed: Nodes with several types, by `taken of all`.
        table_sha256: Of the table that was written; empty where none was.
    """

    layout: str
    map: str
    licence: str
    sources: list[SourceFile]
    read: int
    kept: int
    dropped: dict[str, int]
    by_map: int
    nodes: dict[str, int]
    relations: list[Relation]
    names_missing: int
    without_edge: int
    collapsed: dict[str, int]
    notes: list[str]
    ignored: list[str]
    evidence: list[EvidenceColumn]
    targets: list[str]
    pooling: list[str]
    table_sha256: str = ""

    @property
    def lost(self) -> int:
        """Rows that were left out without the map asking for it; duplicates are not lost."""
        return sum(self.dropped.values()) - self.by_map - self.dropped.get("duplicate", 0)

    def check(self, most: float) -> None:
        """Refuse a silent loss.

        Raises:
            UserError: More than the share `most` of the rows was lost; says why.
        """
        if self.lost > most * max(self.read, 1):
            reasons = ", ".join(f"{why}: {grouped(n)}" for why, n in self.dropped.items() if n)
            share = f"{grouped(self.lost)} of {grouped(self.read)} rows ({per_cent(self.lost / self.read)} %)"
            title = f"{share} would be lost ({reasons})"
            hint = "Look at the source, or allow it with --max-dropped."
            raise UserError(title, self.sources[0].file if self.sources else "", hint)

    def as_json(self) -> bytes:
        """Readable JSON."""
        return json.dumps(self.plain(), indent=2, ensure_ascii=False).encode() + b"\n"

    def plain(self) -> dict[str, Any]:
        """Plain data."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


@dataclass(frozen=True)
class Imported:
    """Rows in kg form, and what became of those that were read."""

    table: pl.DataFrame
    report: Report


def beside(table: Path) -> Path:
    """Where the report of a table stands: `kg.parquet` has `kg.import.json`."""
    name = table.name
    for ending in (".csv.gz", ".parquet", ".csv"):
        name = name.removesuffix(ending)
    return table.with_name(f"{name}{ENDING}")


def of_table(table: Path, sha256: Callable[[Path], str]) -> dict[str, Any] | None:
    """The report beside a table, as plain data; None where there is none, or it is of another table."""
    try:
        found = msgspec.json.decode(beside(table).read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError):
        return None
    return found.plain() if found.table_sha256 == sha256(table) else None
