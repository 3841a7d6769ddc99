"""What tables of text are made of: the grid itself, and how its cells say figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flykd_console.compare.figures import Interval
from flykd_console.runs.results import Spread
from flykd_console.words import DASH, signed

_SEEDS_A_TABLE = 5
# What is never broken over two lines: an interval in its brackets, a mean with its deviation, a word.
_WHOLE = re.compile(r"\[[^\]]*\]|\S+ ± \S+|\S+")
# But words of labels longer than this are.
_LONG_WORD = 24
# Cells between columns, and as few as are left where a table would not fit otherwise.
WIDE_GAP, NARROW_GAP = 3, 1


@dataclass(frozen=True)
class Grid:
    """A table. The first column is text and goes left, the others are numbers and go right; a cell may have more lines.

    Attributes:
        emphasised: Numbers of the columns that carry the result.
        words: All columns are text.
    """

    title: str
    headings: list[str]
    rows: list[list[str]]
    caption: str = ""
    emphasised: tuple[int, ...] = ()
    words: bool = False


def widths_in(grid: Grid, width: int) -> tuple[list[int], int]:
    """The columns' widths in cells in a table of `width` cells at most, and the gap between them.

    Lines are whole where there is room; else they go on below, between words, and columns on the left have most room.
    """
    whole = [max(len(line) for text in texts for line in text.split("\n")) for texts in _columns(grid)]
    gaps = len(whole) - 1
    if sum(whole) + WIDE_GAP * gaps <= width:
        return whole, WIDE_GAP
    widths = _least_widths(grid)
    spare = width - sum(widths) - NARROW_GAP * gaps
    for place, (least, wanted) in enumerate(zip(widths, whole, strict=True)):
        more = max(0, min(spare, wanted - least))
        widths[place] += more
        spare -= more
    return [min(one, width) for one in widths], NARROW_GAP


def _least_widths(grid: Grid) -> list[int]:
    """Of each column the width in cells below which a figure, an interval or a heading's word would break."""
    widths = [max(len(whole) for text in texts for whole in _WHOLE.findall(text) or [""]) for texts in _columns(grid)]
    return [min(widths[0], _LONG_WORD), *widths[1:]]


def pieces(grid: Grid, width: int) -> list[Grid]:
    """The grid as tables that fit into a width in cells: columns for which there is no room go below, labels again."""
    least = _least_widths(grid)
    groups: list[list[int]] = [[]]
    for column in range(1, len(least)):
        taken = least[0] + sum(least[other] + NARROW_GAP for other in (*groups[-1], column))
        if groups[-1] and taken > width:
            groups.append([])
        groups[-1].append(column)
    return [_piece(grid, group, first=group is groups[0], last=group is groups[-1]) for group in groups]


def _piece(grid: Grid, columns: list[int], first: bool, last: bool) -> Grid:
    if first and last:
        return grid
    taken = [0, *columns]
    return replace(
        grid,
        title=grid.title if first else f"{grid.title} (continued)",
        headings=[grid.headings[column] for column in taken],
        rows=[[row[column] for column in taken] for row in grid.rows],
        caption=grid.caption if last else "",
        emphasised=tuple(taken.index(column) for column in grid.emphasised if column in taken),
    )


def _columns(grid: Grid) -> list[list[str]]:
    """Of each column its heading and its cells."""
    return [[heading, *(row[place] for row in grid.rows)] for place, heading in enumerate(grid.headings)]


def spread_words(spread: Spread | None, scale: float = 1.0, sign: bool = False) -> str:
    """Mean ± deviation, two decimals; the mean alone for one seed."""
    if spread is None:
        return DASH
    mean = signed(scale * spread.mean) if sign else f"{scale * spread.mean:.2f}"
    return mean if spread.std is None else f"{mean} ± {scale * spread.std:.2f}"


def interval_words(interval: Interval | None, digits: int = 2) -> str:
    """[−0.75, +0.31]."""
    return DASH if interval is None else f"[{signed(interval.low, digits)}, {signed(interval.high, digits)}]"


def p_words(p: float | None) -> str:
    """0.063."""
    return DASH if p is None else f"{p:.3f}"


def won_words(points: Sequence[float]) -> str:
    """In how many seeds a gain is above zero: 3 of 5."""
    return f"{sum(one > 0 for one in points)} of {len(points)}"


def seed_chunks(seeds: list[int]) -> list[list[int]]:
    """Seeds in as many tables as they need side by side."""
    return [seeds[i : i + _SEEDS_A_TABLE] for i in range(0, len(seeds), _SEEDS_A_TABLE)]


def name_of_seeds(seeds: list[int]) -> str:
    """What the title of a table of some seeds adds."""
    return f" (seeds {joined_seeds(seeds)})"


def joined_seeds(seeds: Sequence[int]) -> str:
    """45–49, or 45, 47."""
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}–{seeds[-1]}"
    return ", ".join(map(str, seeds))
