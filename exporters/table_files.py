"""Scores as a file: CSV that a spreadsheet opens safely, or Parquet, put in place once it is whole.

A CSV cell of text that begins with = + - @, a tab or a line break would be a formula to a spreadsheet: it is written
with an apostrophe before it. Parquet holds every text as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flykd_console.errors import UserError
from flykd_console.plain_text import spreadsheet_cell

SUFFIXES = (".csv", ".parquet")


def safe_cell(value: Any) -> Any:
    """A cell of a CSV: no control characters, and an apostrophe before what a spreadsheet would take for a formula."""
    return spreadsheet_cell(value)


class Words:
    """A column of text as codes: rows into a list of words.

    Args:
        words: What the codes stand for.
        codes: int [n].
    """

    def __init__(self, words: Sequence[str], codes: NDArray[Any]) -> None:
        self.words, self.codes = words, codes


class TableFile:
    """A table that grows block by block; made by `table_file`."""

    def __init__(self, path: Path, sink: Path) -> None:
        self._csv = path.suffix == ".csv"
        self._sink = sink
        self._writer: Any = None
        self._known: dict[str, tuple[Sequence[str], Any]] = {}
        self.rows = 0

    def write(self, columns: Mapping[str, Words | NDArray[Any]], nulls: Mapping[str, NDArray[np.bool_]]) -> None:
        """Append rows.

        Args:
            columns: Of equal length and the same types each time.
            nulls: By column where nothing stands, bool [n].
        """
        import pyarrow as pa

        arrays = {name: self._array(name, values, nulls.get(name)) for name, values in columns.items()}
        table = pa.table(arrays)
        if self._writer is None:
            self._writer = self._open(table.schema)
        self._writer.write_table(table)
        self.rows += table.num_rows

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()

    def _array(self, name: str, values: Words | NDArray[Any], nulls: NDArray[np.bool_] | None) -> Any:
        import pyarrow as pa

        if not isinstance(values, Words):
            return pa.array(values, mask=nulls)
        if name not in self._known or self._known[name][0] is not values.words:
            words = [safe_cell(word) for word in values.words] if self._csv else list(values.words)
            self._known[name] = values.words, pa.array(words, pa.string())
        words = self._known[name][1]
        codes = pa.array(values.codes.astype(np.int32), mask=nulls)
        return words.take(codes) if self._csv else pa.DictionaryArray.from_arrays(codes, words)

    def _open(self, schema: Any) -> Any:
        if self._csv:
            from pyarrow import csv

            return csv.CSVWriter(self._sink, schema)
        import pyarrow as pa
        from pyarrow import parquet

        text = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        whole = [field.name for field in schema if pa.types.is_integer(field.type)]
        # The least and the greatest word of every page take two thirds of the time, and nobody asks for them; in
        # columns of numbers nothing repeats that a dictionary would save, and ranks follow each other.
        return parquet.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=text,
            write_statistics=[name for name in schema.names if name not in text],
            column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
        )


def check_target(path: Path) -> None:
    """Refuse a file of an unknown form, or one in a folder that there is not.

    Raises:
        UserError: Either.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(
            f"{path.name!r} is of no form that can be written", "--to", f"End it in {' or '.join(SUFFIXES)}."
        )
    if not path.parent.is_dir():
        raise UserError("there is no such folder", str(path.parent), "Make it, or choose another place with --to.")
    if path.is_dir():
        raise UserError("is a folder", str(path), "Name a file with --to.")


@contextmanager
def table_file(path: Path) -> Iterator[TableFile]:
    """A table that is written beside `path` and put there when the block ends well; else nothing is left of it.

    Raises:
        UserError: The file cannot be written.
    """
    check_target(path)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    table = TableFile(path, partial)
    try:
        yield table
        table.close()
        os.replace(partial, path)
    except OSError as error:
        table_error = error.strerror or str(error)
        raise UserError(
            f"the file cannot be written ({table_error})", str(path), "Make room, or choose another place with --to."
        ) from None
    finally:
        partial.unlink(missing_ok=True)
