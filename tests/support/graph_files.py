"""Small kg.csv files for the tests of reading."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable
from pathlib import Path

HEADER = [
    "relation",
    "display_relation",
    "x_index",
    "x_id",
    "x_type",
    "x_name",
    "x_source",
    "y_index",
    "y_id",
    "y_type",
    "y_name",
    "y_source",
]

Row = tuple[str, str, str, str, str]
"""relation, x_type, x_id, y_type, y_id; names are made from the ids."""


def full_row(row: Row) -> list[str]:
    """The twelve columns of a row."""
    relation, x_type, x_id, y_type, y_id = row
    return [relation, relation, "0", x_id, x_type, f"name of {x_id}", "A", "1", y_id, y_type, f"name of {y_id}", "B"]


def both_ways(rows: Iterable[Row]) -> list[Row]:
    """Every row and then its mirror image, as PrimeKG has them."""
    rows = list(rows)
    return rows + [(relation, y_type, y_id, x_type, x_id) for relation, x_type, x_id, y_type, y_id in rows]


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    """Write rows in PrimeKG's form; the ending chooses comma or tab, and gzip."""
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if ".tsv" in path.name else ",", lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(map(full_row, rows))
    return path
