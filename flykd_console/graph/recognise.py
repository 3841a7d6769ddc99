"""Which format some tables are in: every format is asked, and exactly one must know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flykd_console.errors import UserError
from flykd_console.graph.formats.base import Format
from flykd_console.graph.formats.find import formats
from flykd_console.graph.tables.table import Table


@dataclass(frozen=True)
class Recognised:
    """A format, its tables, and the names of the files that it has no use for."""

    format: Format
    tables: list[Table]
    ignored: tuple[str, ...]


def recognise(tables: Sequence[Table], where: str) -> Recognised:
    """The format of some tables, by their columns and schemas alone.

    Args:
        tables: As `tables.table.opened` gives them.
        where: What they were given as, for messages.

    Raises:
        UserError: No format knows them (names the columns and the nearest layout), or several do.
    """
    claims = [(one, one.sniff(tables)) for one in formats().values()]
    known = [(one, found) for one, found in claims if found]
    if not known:
        raise _unknown(tables, where)
    if len(known) > 1:
        kinds = "; ".join(f"{one.words} ({found[0].member.name})" for one, found in known)
        raise UserError(f"holds tables of several layouts: {kinds}", where, "Name the files of one of them.")
    (one, found), *_ = known
    names = {id(table) for table in found}
    return Recognised(one, found, tuple(table.member.name for table in tables if id(table) not in names))


def _unknown(tables: Sequence[Table], where: str) -> UserError:
    readable = [table for table in tables if table.kind != "other" and table.columns]
    if not readable:
        return UserError("is not a table", where, "Graphs are CSV, TSV, JSON lines or Parquet, plain or packed.")
    table = readable[0]
    seen = set(table.columns)
    layouts = [(one, columns) for one in formats().values() for columns in one.columns if columns]
    nearest, columns = max(layouts, key=lambda entry: len(seen & set(entry[1])) / len(entry[1]))
    missing = [column for column in columns if column not in seen]
    found = ", ".join(column for column in table.columns[:12] if column.isprintable())[:200] or "nothing readable"
    if not seen & set(columns):
        hint = f"Known layouts: {'; '.join(one.words for one in formats().values())}."
        return UserError(f"is in no known layout: its columns are {found}", table.where, hint)
    plural = "s" if len(missing) > 1 else ""
    title = f"lacks the column{plural} {', '.join(missing)} of {nearest.words}, the nearest layout"
    return UserError(title, table.where, f"Found {found}.")
