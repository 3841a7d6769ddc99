"""What a person types finds the node that is meant, likeliest first."""

from __future__ import annotations

import pytest

from flykd_console.explore.fuzzy import NameSearch

NAMES = [
    "asthma",
    "allergic asthma",
    "Crohn's colitis",
    "type 2 diabetes mellitus",
    "diabetes mellitus, transient neonatal, type 2",
    "elastoma",
    "plasma cell disease",
    "",
]
IDS = ["4979", "4784", "5011", "5148", "51480", "13245", "11786_5324", "D-7"]
SEARCH = NameSearch(IDS, NAMES)


def found(text: str, limit: int = 20) -> list[str]:
    return [NAMES[match.row] for match in SEARCH.search(text, limit)]


def test_whole_name_comes_before_names_that_hold_it() -> None:
    assert found("Asthma")[:2] == ["asthma", "allergic asthma"]


def test_id_comes_before_ids_that_begin_with_it() -> None:
    matches = SEARCH.search("5148")
    assert [(IDS[m.row], m.how) for m in matches[:2]] == [("5148", "id"), ("51480", "beginning")]


def test_grouped_id_is_found_with_its_underscore() -> None:
    assert found("11786_5324")[0] == "plasma cell disease"


@pytest.mark.parametrize("text", ["crohns colitis", "CROHN'S", "crohn colitis"])
def test_punctuation_and_case_do_not_matter(text: str) -> None:
    assert found(text)[0] == "Crohn's colitis"


def test_words_are_found_in_any_order_beginning_of_a_name_first() -> None:
    assert found("diabetes type 2")[:2] == ["type 2 diabetes mellitus", "diabetes mellitus, transient neonatal, type 2"]
    assert found("diabetes mellitus")[0] == "diabetes mellitus, transient neonatal, type 2"


@pytest.mark.parametrize(("text", "meant"), [("astma", "asthma"), ("type 2 diabetis melitus", NAMES[3])])
def test_misspelling_finds_the_name(text: str, meant: str) -> None:
    assert found(text)[0] == meant
    assert SEARCH.search(text)[0].how == "alike"


def test_limit_holds_and_no_node_comes_twice() -> None:
    rows = [match.row for match in SEARCH.search("a", 3)]
    assert len(rows) == len(set(rows)) == 3
    rows = [match.row for match in SEARCH.search("diabetes mellitus", 50)]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("text", ["", "   ", "?!", "zzzzzzzzqqq"])
def test_nothing_that_means_nothing(text: str) -> None:
    assert found(text) == []
