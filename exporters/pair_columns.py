"""Long lists of pairs, read at once: columns of text where a list is plain, and nothing where it is not.

A list is plain that has no quotes, as many cells in every line, and both ends in all of them. Any other is for
`flykd_console.pair_lists`, which takes it line by line and names the lines that are wrong: this only ever says less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flykd_console.pair_lists import columns_of, delimiter_of


@dataclass(frozen=True)
class PairColumns:
    """Ends of every row, and the relation where a column names it, [n] each."""

    heads: list[str]
    tails: list[str]
    relations: list[str] | None


def plain_columns(text: str, head_type: str, tail_type: str, where: str) -> PairColumns | None:
    """The columns of a plain list; None where it is none.

    Args:
        text: The whole of it, with `\\n` alone between its lines.

    Raises:
        UserError: A side has no column, or two that say the same.
    """
    header, _, body = text.partition("\n")
    if '"' in text or not body:
        return None
    delimiter = delimiter_of(text)
    names = header.split(delimiter)
    columns = columns_of(names, head_type, tail_type, where)
    body = body.removesuffix("\n")
    width = len(names)
    if not _is_even(body, delimiter, width):
        return None
    cells = body.replace("\n", delimiter).split(delimiter)
    relations = None if columns.relation is None else _stripped(cells[columns.relation :: width])
    heads, tails = (_stripped(cells[places[0] :: width]) for places in (columns.head, columns.tail))
    if not all(heads) or not all(tails):
        return None
    return PairColumns(heads, tails, relations)


def _is_even(body: str, delimiter: str, width: int) -> bool:
    """Whether every line has as many cells as the header."""
    data = np.frombuffer(body.encode(), np.uint8)
    breaks = data == ord("\n")
    marks = data[np.flatnonzero(breaks | (data == ord(delimiter)))] == ord("\n")
    ends = marks[width - 1 :: width]
    return (len(marks) + 1) % width == 0 and bool(ends.all()) and np.count_nonzero(marks) == len(ends)


def _stripped(cells: list[str]) -> list[str]:
    return list(map(str.strip, cells))
