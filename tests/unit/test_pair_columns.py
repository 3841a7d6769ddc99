"""Long lists of pairs read at once say what the reader of lines says; whatever is not plain is left to it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.bundle import export_run
from exporters.pair_columns import plain_columns
from exporters.pairs import score_columns, score_file
from exporters.scorer import Scorer
from flykd_console.errors import UserError
from flykd_console.pair_lists import rows_of
from tests.support.finished_run import RunSpec, make_finished_run

ENDS = ("drug", "disease", "pairs.csv")
CELLS = st.text(alphabet='ab7 ,;\t\n"-', max_size=4)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    run = make_finished_run(tmp_path_factory.mktemp("runs"), RunSpec(seeds=(45,)))
    with Scorer(export_run(run).path) as scorer:
        yield scorer


@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=5),
    header=st.sampled_from(("drug,disease", "drug_id;disease_id;relation", "drug_id\tdrug\tdisease", "x,drug,disease")),
    end=st.sampled_from(("", "\n")),
)
def test_what_is_read_at_once_is_what_is_read_line_by_line(rows: list[list[str]], header: str, end: str) -> None:
    mark = next(one for one in ",;\t" if one in header)
    text = "\n".join([header, *(mark.join(row) for row in rows)]) + end
    found = plain_columns(text, *ENDS)
    if found is None:
        return
    lines = rows_of(text, *ENDS)
    assert found.heads == [line.head for line in lines]
    assert found.tails == [line.tail for line in lines]
    relations = [line.relation or "" for line in lines]
    assert relations == (found.relations or [""] * len(lines))


@pytest.mark.parametrize(
    "text",
    [
        "drug,disease\n" + "".join(f"H{row:04d},T{row:04d}\n" for row in range(30)),
        "disease_id\tdrug_id\tnote\n" + "".join(f"T{row:04d}\tH{row:04d}\tx\n" for row in range(30)),
        "drug,disease,relation\nH0001,T0002,indication\nH0003,T0004,contraindication\n",
    ],
    ids=["ids", "other columns", "relations"],
)
def test_plain_lists_are_read_at_once(text: str) -> None:
    assert plain_columns(text, *ENDS) is not None


@pytest.mark.parametrize(
    "text",
    [
        'drug,disease\n"H0001",T0002\n',
        "drug,disease\nH0001,T0002\n\nH0001,T0003\n",
        "drug,disease\nH0001\nH0001,T0003,x\n",
        "drug,disease\nH0001, \n",
        "drug,disease\n",
        "drug,disease",
    ],
    ids=["quotes", "blank line", "uneven", "empty cell", "no rows", "no line break"],
)
def test_other_lists_are_left_to_the_reader_of_lines(text: str) -> None:
    assert plain_columns(text, *ENDS) is None


LISTS = {
    "ids": ("drug_id,disease_id\nH0001,T0002\nH0003,T0004\nH0001,T0002\n", None),
    "one relation": ("drug_id,disease_id\nH0001,T0002\n", "indication"),
    "names and spellings": ("drug,disease\ndrug H0001,disease T0002\n h0003 ,T0004\n", None),
    "relations": ("head,tail,relation\nH0001,T0002,indication\nH0003,T0004,contraindication\n", None),
    "some relations": ("head,tail,relation\nH0001,T0002,indication\nH0003,T0004,\n", None),
}


@pytest.mark.parametrize("which", LISTS)
def test_columns_are_the_lines(scorer: Scorer, tmp_path: Path, which: str) -> None:
    text, relation = LISTS[which]
    path, quoted = tmp_path / "pairs.csv", tmp_path / "quoted.csv"
    path.write_text(text)
    head, *rows = text.splitlines()
    # Quotes send the same list to the reader of lines.
    mark = "\n".join([head, *(",".join(f'"{cell}"' for cell in row.split(",")) for row in rows)])
    quoted.write_text(mark + "\n")
    assert score_file(scorer, path, relation) == score_file(scorer, quoted, relation)
    packed = tmp_path / "pairs.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert score_columns(scorer, packed, relation).lines(scorer) == score_file(scorer, path, relation)


def test_unknown_rows_of_a_plain_list_are_named_or_left_out(scorer: Scorer, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("drug,disease\nH0001,T0002\nH0001,nonsense\nnobody,T0003\n")
    with pytest.raises(UserError, match=r"line 3: there is no disease 'nonsense'.*line 4: there is no drug 'nobody'"):
        score_columns(scorer, path, "indication")
    skipped: list[str] = []
    assert len(score_columns(scorer, path, "indication", skipped)) == 1
    assert [line.split(":")[0] for line in skipped] == ["line 3", "line 4"]


def test_written_columns_are_the_printed_ones(scorer: Scorer, tmp_path: Path) -> None:
    from dataclasses import asdict

    from exporters.manifest import provenance
    from flykd_console.cli.score_output import write_pairs

    path = tmp_path / "pairs.csv"
    path.write_text("drug,disease\n" + "".join(f"H{row:04d},T{row:04d}\n" for row in range(30)))
    table = score_columns(scorer, path)
    expected = [asdict(line) | provenance(scorer.manifest) for line in table.lines(scorer)]
    write_pairs(scorer, table, tmp_path / "scores.parquet")
    assert pl.read_parquet(tmp_path / "scores.parquet").to_dicts() == expected
    write_pairs(scorer, table, tmp_path / "scores.csv")
    assert pl.read_csv(tmp_path / "scores.csv").columns == list(expected[0])
    assert pl.read_csv(tmp_path / "scores.csv").height == len(expected)
