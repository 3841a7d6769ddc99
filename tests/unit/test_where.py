"""`graph.where` on columns whose texts are no plain numbers: read as what they say, or refused, never half-read."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest

from flykd_console.errors import UserError
from flykd_console.graph.where import kept_by
from flykd_console.profile.conditions import Condition


def kept(values: Sequence[str | None], condition: str) -> list[str | None]:
    rows = pl.LazyFrame({"relation": ["treats"] * len(values), "year": values})
    return kept_by([Condition.parse(condition)], rows, "kg.csv").collect()["year"].to_list()


def test_numbers_years_of_dates_and_the_first_of_several_are_compared() -> None:
    values = ["2009", "2010.0", "2010-06-30", "2011-01-01T10:00:00Z", "2008|2015", " 2012 ", "-3", "1e3"]
    assert kept(values, "year <= 2010") == ["2009", "2010.0", "2010-06-30", "2008|2015", "-3", "1e3"]


def test_words_for_nothing_are_missing() -> None:
    assert kept(["2009", "unknown", "", "NA", None], "year <= 2010") == ["2009"]
    assert kept(["2009", "unknown", None], "year <= 2010 or missing") == ["2009", "unknown", None]


@pytest.mark.parametrize("text", ["5/24/2014", "56.2%", "0,562", "<0.4", "high", "2010 or so", "20101231x"])
def test_other_texts_are_refused_by_name(text: str) -> None:
    with pytest.raises(UserError, match="is no number, year or ISO date") as told:
        kept(["2009", text], "year <= 2010")
    assert repr(text) in str(told.value)


def test_texts_of_other_relations_are_not_asked_and_equality_takes_any() -> None:
    rows = pl.LazyFrame({"relation": ["treats", "other"], "year": ["2009", "high"]})
    found = kept_by([Condition.parse("treats: year <= 2010")], rows, "kg.csv").collect()
    assert found.height == 2
    assert kept(["2009", "high"], "year = high") == ["high"]


def test_a_number_equals_its_other_spellings() -> None:
    values = ["2010", "2010.0", "2009|2010", "2010-06-30", "2011", "high", None]
    assert kept(values, "year = 2010") == ["2010", "2010.0", "2009|2010", "2010-06-30"]
    assert kept(values, "year != 2010") == ["2011", "high"]
    assert kept(values, "year = high") == ["high"]
