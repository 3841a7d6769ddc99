"""Dates as people write them, as numbers that compare, and which part of a split by time a date falls into.

A date is a year, a month or a day: `2015`, `2015-06`, `2015-06-30` (ISO 8601, a time of day after it is not looked at).
Its number is year · 10000 + month · 100 + day; what it does not say counts as late as it can be (2015 is 20151231), so
that nothing is taken to have been known before it is sure that it was.
"""

from __future__ import annotations

import calendar
import re
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Whole = TypeVar("Whole", bound="np.signedinteger")

# The number of what has no date: later than any, so that the earliest of several dates is the least number.
UNDATED = 2**31 - 1
FORMS = "Dates are years (2015), months (2015-06) or days (2015-06-30)."
_DATE = re.compile(r"(\d{4})(?:\.0+|[-/](\d{1,2})(?:[-/](\d{1,2})(?:[T ].*)?)?)?")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)")
_MISSING = ("", "na", "n/a", "nan", "none", "null")


def number_of(text: str) -> int:
    """The number of a date.

    Raises:
        ValueError: It is none.
    """
    found = _DATE.fullmatch(text.strip()) or _COMPACT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no date")
    year, month, day = (int(part) if part else None for part in found.groups())
    assert year is not None
    if year < 1000 or month == 0 or (month or 1) > 12:
        raise ValueError(f"{text!r} is no date")
    last = calendar.monthrange(year, month or 12)[1]
    if day == 0 or (day or 1) > last:
        raise ValueError(f"{text!r} is no date")
    return year * 10_000 + (month or 12) * 100 + (day or last)


def earliest_of(text: str) -> int:
    """The earliest of the dates that a field tells, joined by `|`; `UNDATED` where it tells none.

    Raises:
        ValueError: A part of it is no date.
    """
    told = [part for part in text.split("|") if part.strip().lower() not in _MISSING]
    return min((number_of(part) for part in told), default=UNDATED)


def parts_by_date(dates: NDArray[Whole], cuts: tuple[int, int]) -> NDArray[np.int8]:
    """The part of each date: 0 (train) up to the first cut, 1 (validation) up to the second, 2 (test) later.

    Args:
        dates: Integers [n] that compare as the cuts do: years, or numbers of dates.
        cuts: The last date of training and the last one of validation.
    """
    # Profiles are read with this file, and --help is not to wait for numpy.
    import numpy as np

    first, second = cuts
    return ((dates > first).astype(np.int8) + (dates > second)).astype(np.int8)


def in_words(number: int) -> str:
    """A number of a date as it would be written: a year alone where it ends on the year's last day."""
    year, month, day = number // 10_000, number // 100 % 100, number % 100
    return str(year) if (month, day) == (12, 31) else f"{year}-{month:02}-{day:02}"
