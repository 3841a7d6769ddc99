"""Whom gains are over, in words: in the titles of tables, and below each model where they have several rivals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flykd_console.compare.figures import Gain, Row, TailGain


def rival_words(rivals: Iterable[str]) -> str:
    """Rivals in the words of a title: `baseline` for baselines of any name, else what they are called."""
    return " or ".join(dict.fromkeys(map(_kind, rivals)))


def over_rivals(gains: Iterable[Gain | TailGain]) -> str:
    """`over the same seed's baseline`."""
    return f"over the same seed's {rival_words(gain.over for gain in gains)}"


def several_rivals(gains: Iterable[Gain | TailGain]) -> bool:
    """Whether gains are over rivals of several kinds, so that they cannot be held against each other."""
    return len({_kind(gain.over) for gain in gains}) > 1


def gain_labels(gaining: Sequence[tuple[Row, Gain | TailGain]]) -> list[str]:
    """Each model as a table of gains names it: where they have several rivals, its own stands in a second line."""
    if not several_rivals(gain for _, gain in gaining):
        return [row.label for row, _ in gaining]
    return [f"{row.label}\nover {gain.over}" for row, gain in gaining]


def _kind(rival: str) -> str:
    return "baseline" if rival.startswith("baseline") else rival
