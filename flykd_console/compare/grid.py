"""What tables of text are made of: the grid itself, and how its cells say figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flykd_console.compare.figures import Interval
from flykd_console.runs.results import Spread
from flykd_console.words import DASH, signed

_SEEDS_A_TABLE = 5


@dataclass(frozen=True)
class Grid:
    """A table. The first column is text and goes left, the others are numbers and go right; a cell may have more lines.

    Attributes:
        emphasised: Numbers of the columns that carry the result.
    """

    title: str
    headings: list[str]
    rows: list[list[str]]
    caption: str = ""
    emphasised: tuple[int, ...] = ()


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
