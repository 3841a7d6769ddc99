"""One look-up of ids: every spelling that files and people use leads to the node, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from exporters.lookup import NodeIndex
from flykd_console.compare.loading import read_ids
from flykd_console.errors import UserError
from flykd_console.explore.fuzzy import NameSearch
from flykd_console.graph.node_lookup import NodeLookup, rows_of
from flykd_console.node_ids import IdLookup, plain_id

IDS = ["1035", "11786_5324_24332", "DB00001", "MONDO:0990001", "GO_0042697", "Disease::MESH:D001351"]
NAMES = ["asthma", "rhinitis", "lepirudin", "quill fever", "response", "autism"]
SPELLINGS = [
    ("1035", 0), ("1035.0", 0), (" 1035 ", 0), ("MONDO:0001035", 0), ("mondo:1035", 0), ("MONDO_0001035", 0),
    ("MONDO:0001035.0", 0), ("01035", 0),
    ("5324", 1), ("5324.0", 1), ("MONDO:0024332", 1), ("24332_5324_11786", 1), ("5324_11786", 1),
    ("db00001", 2), ("drugbank:DB00001", 2), ("DRUGBANK:DB00001 ", 2),
    ("990001", 3), ("mondo:0990001", 3), ("MONDO_0990001", 3),
    ("GO:0042697", 4), ("go:42697", 4),
    ("MESH:D001351", 5), ("d001351", 5), ("obo:GO_0042697", 4), ("x:MONDO_0001035", 0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "row"), SPELLINGS)
def test_every_place_that_looks_ids_up_knows_every_spelling(text: str, row: int) -> None:
    assert IdLookup(IDS).row(text) == row
    assert NodeLookup(pl.DataFrame({"id": IDS, "name": NAMES})).find(text) == [row]
    assert NodeIndex("disease", IDS, NAMES).find(text) == row
    match = NameSearch(IDS, NAMES).search(text)[0]
    assert (match.row, match.how) == (row, "id")
    assert rows_of(pl.Series([text, "nobody"]), IDS).to_list() == [row, None]


@pytest.mark.parametrize(
    "text", ["999", "DOID:0990001", "MONDO", "1035_5324", "type: 1035", "", ".0", "_", ":", "1035."]
)
def test_what_is_no_spelling_of_an_id_is_not_found(text: str) -> None:
    assert IdLookup(IDS).rows(text) == []


def test_exact_id_wins_over_other_spellings() -> None:
    lookup = IdLookup(["1035", "1035.0", "MONDO:0001035"])
    assert [lookup.row(text) for text in ("1035", "1035.0", "MONDO:0001035")] == [0, 1, 2]


def test_an_exact_name_wins_over_a_spelling_of_another_id() -> None:
    ids, names = ["il2", "9"], ["nine", "IL2"]
    assert NodeIndex("gene", ids, names).find("IL2") == 1
    assert NodeLookup(pl.DataFrame({"id": ids, "name": names})).find("IL2") == [1]


def test_an_id_that_could_be_several_names_them() -> None:
    ids = ["MONDO:7", "DOID:7"]
    assert IdLookup(ids).rows("7") == [0, 1]
    assert IdLookup(ids).row("7") is None
    with pytest.raises(UserError, match=r"'7' could be several ids of type disease\. Give one: MONDO:7; DOID:7"):
        NodeIndex("disease", ids, ["a", "b"]).find("7")
    lookup = NodeLookup(pl.DataFrame({"id": ids, "name": ["a", "b"]}))
    assert lookup.find_all(["7"]) == ([], ["7"])
    assert lookup.near("7") == ids


def test_rows_of_keeps_the_order_and_repetitions_of_a_column() -> None:
    column = pl.Series(["DB00001", "1035.0", "DB00001", "nobody", "1035"])
    assert rows_of(column, IDS).to_list() == [2, 0, 2, None, 0]


@pytest.mark.parametrize(
    ("ids", "twins"),
    [
        (["1035", "1035.0", "7"], [[0, 1]]),
        (["1035", "MONDO:0001035"], [[0, 1]]),
        (["1035", "1035.0", "MONDO_1035", "mondo:0001035"], [[0, 1, 2, 3]]),
        (["DB1", "db1", "DB1 "], [[0, 1, 2]]),
        (["5324", "11786_5324", "8"], [[0, 1]]),
        (["MONDO:7", "DOID:7"], []),
        (["7", "MONDO:7", "DOID:7"], []),
        (["1", "10", "1_2", "A_B", "B"], [[0, 2]]),
    ],
)
def test_twins_are_ids_that_look_like_one(ids: list[str], twins: list[list[int]]) -> None:
    assert IdLookup(ids).twins() == twins


def test_plain_ids_differ_where_ids_do() -> None:
    assert len({plain_id(text) for text in ("1035", "10350", "MONDO:1035", "DOID:1035", "1.5", "1", "1_5")}) == 7


def test_ids_of_a_list_keep_their_spelling_when_read(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text("disease_id\n1035.0\n")
    assert read_ids(path) == {"1035.0"}
