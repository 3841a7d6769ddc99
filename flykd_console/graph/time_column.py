"""`graph.time_column`: the column that says since when an edge is known, to a number a row (`dates`)."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flykd_console.dates import FORMS, UNDATED, earliest_of
from flykd_console.errors import UserError
from flykd_console.graph.formats.kg_faults import line_of
from flykd_console.graph.tables.table import Table
from flykd_console.words import counted

KEY = "graph.time_column"


def dates_of(values: pl.Series, source: str, table: Table | None = None) -> NDArray[np.int32]:
    """Each row's date, the earliest where a field tells several, int32 [n]; `UNDATED` where it tells none.

    Args:
        values: The column, categories or numbers.
        source: What it stands in, for people.
        table: The file that it stands in, to name the line of a fault.

    Raises:
        UserError: A field is no date.
    """
    distinct = values.unique().drop_nulls()
    numbers = []
    for text in distinct.cast(pl.String).to_list():
        try:
            numbers.append(earliest_of(text))
        except ValueError:
            raise _no_date(values, text, source, table) from None
    known = pl.DataFrame({"text": distinct, "number": pl.Series(numbers, dtype=pl.Int32)})
    found = values.to_frame("text").join(known, on="text", how="left", maintain_order="left")
    dates: NDArray[np.int32] = found["number"].fill_null(UNDATED).to_numpy()
    return dates


def _no_date(values: pl.Series, text: str, source: str, table: Table | None) -> UserError:
    rows = int((values.cast(pl.String) == text).sum())
    place = line_of(table, values.name, text) if table is not None else ""
    begin = (
        f"{place} has the {values.name} {text!r}" if place else f"{counted(rows, 'row')} with {values.name} {text!r}"
    )
    title = f"{begin}, which is no date"
    return UserError(title, f"{KEY} ({source})", f"{FORMS} Leave a field empty where there is none.")
