"""Lists of pairs under the usual headings: comma, tab, semicolon, gzip, standard input; outcomes in several words."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest

from flykd_console.errors import UserError
from flykd_console.pair_lists import STANDARD_INPUT, outcome_of, read_list


def read(tmp_path: Path, text: str | bytes, head: str = "drug", tail: str = "disease") -> list[tuple[object, ...]]:
    path = tmp_path / "pairs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [
        (row.line, row.head, row.tail, row.relation, row.outcome) for row in read_list(path, head, tail, outcomes=True)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "drug_id,disease_id\nD1,1035\n",
        "drug,disease\nD1,1035\n",
        "Drug ID\tDisease ID\nD1\t1035\n",
        "disease-id;drug-id\n1035;D1\n",
        "head_id,tail_id\nD1,1035\n",
        "head,tail\r\nD1,1035\r\n",
        "subject,predicate,object\nD1,,1035\n",
        "x_id,x_name,y_id,y_name\nD1,velorin,1035,asthma\n",
        "drug_name,drug_id,disease_name,disease\nvelorin,D1,asthma,1035\n",
        "drug_name,drug_id,disease\nD1,,1035\n",
        "drug,disease\rD1,1035\r",
        "\ufeffdrug,disease\nD1 ,  1035\n",
        gzip.compress(b"drug\tdisease\nD1\t1035\n", mtime=0),
    ],
)
def test_usual_headings_and_separators_are_known(tmp_path: Path, text: str | bytes) -> None:
    assert read(tmp_path, text) == [(2, "D1", "1035", None, None)]


def test_headings_are_those_of_the_graphs_types_where_it_has_others(tmp_path: Path) -> None:
    assert read(tmp_path, "compound_id,gene\nC1,7\n", "compound", "gene")[0][1:3] == ("C1", "7")
    assert read(tmp_path, "drug,disease\nD1,7\n", "disease", "drug")[0][1:3] == ("7", "D1")


def test_a_list_may_come_by_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"drug\tdisease\nD1\t7\n")))
    assert [(row.head, row.tail) for row in read_list(STANDARD_INPUT, "drug", "disease")] == [("D1", "7")]


@pytest.mark.parametrize(
    ("word", "outcome"),
    [("Approved", "positive"), ("1.0", "positive"), ("off-label", "positive"), ("FAILED ", "negative"),
     ("0", "negative"), ("in trial", "open"), ("Phase 2", "open"), ("perhaps", None), ("", None)],
)  # fmt: skip
def test_outcomes_are_known_by_the_words_of_several_fields(word: str, outcome: str | None) -> None:
    assert outcome_of(word) == outcome


def test_outcome_and_relation_columns_are_read(tmp_path: Path) -> None:
    rows = read(tmp_path, "drug,disease,relation,status\nD1,7,indication,approved\nD2,7,,failed\n")
    assert rows == [(2, "D1", "7", "indication", "positive"), (3, "D2", "7", None, "negative")]


def test_where_outcomes_are_not_asked_for_other_words_are_none(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("drug,disease,status\nD1,7,perhaps\n")
    assert [row.outcome for row in read_list(path, "drug", "disease")] == [None]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("drug,disease,outcome\nD1,7,perhaps\n", "line 2 has the outcome 'perhaps'. Outcomes are approved"),
        ("drug_id,head_id,disease\n1,2,3\n", "has two columns for the head"),
        ("gene,disease\n1,2\n", "lacks the column head. It has: gene, disease"),
        (gzip.compress(b"drug,disease\nD1,7\n" * 50, mtime=0)[:-20], "was not written whole"),
        (b"drug,disease\nM\xe9,7\n", "is not text in UTF-8"),
        ("", "Its first line is empty"),
        ("drug,disease\n\n", "holds no rows"),
    ],
)
def test_bad_lists_are_refused_in_one_line(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
