"""Dates as numbers that compare, and parts by them."""

from __future__ import annotations

import numpy as np
import pytest

from flykd_console.dates import UNDATED, earliest_of, in_words, number_of, parts_by_date


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2015", 20151231), (" 2015 ", 20151231), ("2015.0", 20151231), ("2015-02", 20150228), ("2016-2", 20160229),
        ("2015-06-30", 20150630), ("2015/6/3", 20150603), ("2015-06-30T12:00:00Z", 20150630),
        ("2015-06-30 00:00:00", 20150630), ("20150630", 20150630),
    ],
)  # fmt: skip
def test_what_a_date_does_not_say_counts_as_late_as_it_can_be(text: str, number: int) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "n.d.",
        "15",
        "2015-13",
        "2015-00",
        "2015-02-30",
        "2015-06-00",
        "0000",
        "0999",
        "20151301",
        "2015.5",
        "PMID:1",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        number_of(text)


def test_of_several_dates_the_earliest_counts_and_of_none_none() -> None:
    assert earliest_of("2015|2013-05|NA") == 20130531
    assert earliest_of("") == earliest_of("nan|null| ") == UNDATED
    with pytest.raises(ValueError, match="'soon' is no date"):
        earliest_of("2015|soon")


def test_a_date_is_written_as_short_as_it_was() -> None:
    assert [in_words(number_of(text)) for text in ("2015", "2015-06-30")] == ["2015", "2015-06-30"]


def test_parts_hold_their_last_date() -> None:
    years = np.array([1999, 2000, 2001, 2005, 2006])
    assert parts_by_date(years, (2000, 2005)).tolist() == [0, 0, 1, 1, 2]
