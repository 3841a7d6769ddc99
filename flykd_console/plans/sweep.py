"""`--set student.dim=16,32,80`: several values of a key, and every combination of them where several keys have several.

A value is taken apart at commas that stand outside quotes and brackets. So a list, and text with a comma in quotes,
stay one value.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flykd_console.errors import UserError

_MOST_COMBINATIONS = 1000
_OPENING, _CLOSING, _QUOTES = "[{", "]}", "\"'"


@dataclass(frozen=True)
class Combination:
    """One point of a sweep.

    Attributes:
        settings: `key=value` of every `--set`, in order, each with one value.
        values: The swept keys alone, with their value as it was typed.
    """

    settings: tuple[str, ...]
    values: Mapping[str, str]


def combinations_of(settings: Sequence[str]) -> list[Combination]:
    """Every combination of the values that `--set` options give, in the order typed; one where none gives several.

    Raises:
        UserError: A value is missing or comes twice, a swept key comes twice, or there are too many combinations.
    """
    choices = [_choices(setting) for setting in settings]
    swept = [key for key, values in choices if len(values) > 1]
    for key in swept:
        if [other for other, _ in choices].count(key) > 1:
            raise UserError(f"{key} is given several values and is set twice", f"--set {key}", "Set it once.")
    count = 1
    for _, values in choices:
        count *= len(values)
    if count > _MOST_COMBINATIONS:
        raise UserError(f"{count} combinations are more than {_MOST_COMBINATIONS}", "--set", "Give fewer values.")
    found = []
    for chosen in itertools.product(*(values for _, values in choices)):
        pairs = [(key, value) for (key, _), value in zip(choices, chosen, strict=True)]
        texts = tuple(f"{key}={value}" if key else value for key, value in pairs)
        found.append(Combination(texts, {key: value for key, value in pairs if key in swept}))
    return found


def is_sweep(settings: Sequence[str]) -> bool:
    """Whether any option gives several values."""
    return any(len(values) > 1 for _, values in map(_choices, settings))


def _choices(setting: str) -> tuple[str, list[str]]:
    """The key and its values; a text that is no `key=value` is left to those who say what is wrong with it."""
    key, equals, raw = setting.partition("=")
    if not equals:
        return "", [setting]
    key = key.strip()
    values = [value.strip() for value in _parts(raw)]
    if len(values) == 1:
        return key, [raw.strip()]
    where = f"--set {' '.join(setting.split())}"
    if not all(values):
        raise UserError("a value is missing between commas", where, "Give each value, or the whole text in quotes.")
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} comes twice", where, "Name each value once.")
    return key, values


def _parts(raw: str) -> list[str]:
    """The text cut at commas outside quotes and brackets; uncut where those do not close."""
    parts, start, depth, quote = [], 0, 0, ""
    for place, letter in enumerate(raw):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in _QUOTES:
            quote = letter
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(raw[start:place])
            start = place + 1
    if quote or depth:
        return [raw]
    return [*parts, raw[start:]]
