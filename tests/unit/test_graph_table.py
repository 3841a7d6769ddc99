"""Reading kg.csv: what is kept, in which direction and order, whatever the file's form."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flykd_console.errors import UserError
from flykd_console.graph.formats.kg import read_kg
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from flykd_console.graph.read import read_graph
from tests.support.graph_files import HEADER, Row, both_ways, full_row, write_rows
from tests.support.small_graph import small_graph

FORMATS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
INDICATION = EdgeType("drug", "indication", "disease")
ROWS: list[Row] = [
    ("indication", "drug", "DB1", "disease", "1000"),
    ("indication", "drug", "DB2", "disease", "11786_5324_24332"),
    ("protein_protein", "gene/protein", "9796", "gene/protein", "56992"),
    ("disease_protein", "gene/protein", "9796", "disease", "1000"),
]


def edges_by_id(graph: KnowledgeGraph) -> dict[EdgeType, list[tuple[str, str]]]:
    """Edges as id pairs, in the order in which they stand."""
    found = {}
    for edge_type, (heads, tails) in graph.edges.items():
        head_ids = graph.nodes[edge_type.head]["id"]
        tail_ids = graph.nodes[edge_type.tail]["id"]
        found[edge_type] = list(zip(head_ids[heads].to_list(), tail_ids[tails].to_list(), strict=True))
    return found


def test_ids_stay_text(tmp_path: Path) -> None:
    graph = read_kg(write_rows(tmp_path / "kg.csv", both_ways(ROWS)))
    assert graph.nodes["disease"]["id"].to_list() == ["1000", "11786_5324_24332"]
    assert graph.nodes["gene/protein"]["id"].to_list() == ["56992", "9796"]
    assert graph.nodes["disease"]["name"].to_list() == ["name of 1000", "name of 11786_5324_24332"]
    assert graph.nodes["drug"].schema == {"id": pl.String, "name": pl.String}


def test_ids_of_a_type_that_there_is_not_name_those_there_are() -> None:
    graph = small_graph()
    assert graph.ids("drug")[:2] == graph.nodes["drug"]["id"].to_list()[:2]
    with pytest.raises(UserError, match=r"no nodes of type 'drugs'. The types are .*disease, drug"):
        graph.ids("drugs")


def test_indices_are_int64_rows_of_the_node_tables(tmp_path: Path) -> None:
    graph = read_kg(write_rows(tmp_path / "kg.csv", both_ways(ROWS)))
    heads, tails = graph.edges[INDICATION]
    assert heads.dtype == tails.dtype == "int64"
    assert (heads.tolist(), tails.tolist()) == ([0, 1], [0, 1])


def test_the_first_row_gives_the_direction_and_mirror_images_are_dropped(tmp_path: Path) -> None:
    rows = both_ways(ROWS[3:])
    forward = read_kg(write_rows(tmp_path / "forward.csv", rows))
    backward = read_kg(write_rows(tmp_path / "backward.csv", rows[::-1]))
    assert edges_by_id(forward) == {EdgeType("gene/protein", "disease_protein", "disease"): [("9796", "1000")]}
    assert edges_by_id(backward) == {EdgeType("disease", "disease_protein", "gene/protein"): [("1000", "9796")]}


def test_an_opposite_row_without_its_mirror_image_is_flipped_and_kept(tmp_path: Path) -> None:
    rows: list[Row] = [
        ("indication", "drug", "DB1", "disease", "1"),
        ("indication", "disease", "1", "drug", "DB1"),
        ("indication", "disease", "2", "drug", "DB1"),
        ("indication", "disease", "2", "drug", "DB1"),
    ]
    graph = read_kg(write_rows(tmp_path / "kg.csv", rows))
    assert edges_by_id(graph) == {INDICATION: [("DB1", "1"), ("DB1", "2"), ("DB1", "2")]}


def test_repeated_edges_between_different_types_stay(tmp_path: Path) -> None:
    graph = read_kg(write_rows(tmp_path / "kg.csv", both_ways([ROWS[0], ROWS[0]])))
    assert edges_by_id(graph) == {INDICATION: [("DB1", "1000"), ("DB1", "1000")]}


def test_equal_types_keep_one_edge_per_unordered_pair_and_loops_once(tmp_path: Path) -> None:
    pairs = [("b", "a"), ("a", "b"), ("a", "c"), ("c", "a"), ("c", "c"), ("c", "c")]
    rows: list[Row] = [("ppi", "gene", x, "gene", y) for x, y in pairs]
    graph = read_kg(write_rows(tmp_path / "kg.csv", rows))
    assert edges_by_id(graph) == {EdgeType("gene", "ppi", "gene"): [("a", "b"), ("a", "c"), ("c", "c")]}


def test_one_relation_between_several_pairs_of_types(tmp_path: Path) -> None:
    rows: list[Row] = [
        ("linked", "drug", "1", "disease", "1"),
        ("linked", "gene", "1", "drug", "1"),
        ("linked", "disease", "1", "disease", "2"),
        ("linked", "drug", "1", "gene", "1"),
    ]
    assert edges_by_id(read_kg(write_rows(tmp_path / "kg.csv", rows))) == {
        EdgeType("disease", "linked", "disease"): [("1", "2")],
        EdgeType("drug", "linked", "disease"): [("1", "1")],
        EdgeType("gene", "linked", "drug"): [("1", "1")],
    }


def test_equal_ids_of_different_types_are_different_nodes(tmp_path: Path) -> None:
    graph = read_kg(write_rows(tmp_path / "kg.csv", [("r", "a", "1", "b", "1"), ("r", "a", "2", "b", "1")]))
    assert (graph.count("a"), graph.count("b")) == (2, 1)


def test_a_missing_name_is_replaced_by_the_id_and_of_several_the_first_is_taken(tmp_path: Path) -> None:
    rows = [full_row(("r", "a", str(i), "b", "7")) for i in range(3)]
    rows[0][5], rows[1][5] = "", "  "
    rows[0][10], rows[1][10], rows[2][10] = "zeta", "", "alpha"
    path = tmp_path / "kg.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    graph = read_kg(path)
    assert graph.nodes["a"]["name"].to_list() == ["0", "1", "name of 2"]
    assert graph.nodes["b"]["name"].to_list() == ["alpha"]


def test_row_order_does_not_matter_within_a_direction(tmp_path: Path) -> None:
    rows = [("r", "a", f"x{i % 7}", "b", f"y{i % 5}") for i in range(30)]
    shuffled = random.Random(0).sample(rows, len(rows))
    first = read_kg(write_rows(tmp_path / "first.csv", rows))
    second = read_kg(write_rows(tmp_path / "second.csv", shuffled))
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize("ending", FORMATS)
def test_brackets_and_stars_in_a_name_are_part_of_it(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "runs [old]" / f"kg*[1]?{ending}"
    path.parent.mkdir()
    write_rows(path.with_name("kg.csv"), both_ways(ROWS))
    if ending == ".parquet":
        pl.read_csv(path.with_name("kg.csv"), infer_schema=False, glob=False).write_parquet(path)
    else:
        write_rows(path, both_ways(ROWS))
    assert read_kg(path).fingerprint == read_kg(path.with_name("kg.csv")).fingerprint


@pytest.mark.parametrize("ending", [e for e in FORMATS if e != ".parquet"])
def test_every_text_form_gives_the_same_graph(tmp_path: Path, ending: str) -> None:
    reference = read_kg(write_rows(tmp_path / "reference.csv", both_ways(ROWS)))
    assert read_kg(write_rows(tmp_path / f"kg{ending}", both_ways(ROWS))).fingerprint == reference.fingerprint


@pytest.mark.parametrize("id_type", [pl.String, pl.Categorical, pl.Int64])
def test_parquet_gives_the_same_graph_with_ids_as_text_categories_or_whole_numbers(
    tmp_path: Path, id_type: type[pl.DataType]
) -> None:
    rows = both_ways([("r", "a", str(1000 + i), "b", str(5 * i)) for i in range(20)])
    reference = read_kg(write_rows(tmp_path / "kg.csv", rows))
    table = pl.read_csv(tmp_path / "kg.csv", infer_schema=False).with_columns(pl.col("x_id", "y_id").cast(id_type))
    table.write_parquet(tmp_path / "kg.parquet")
    assert read_kg(tmp_path / "kg.parquet").fingerprint == reference.fingerprint


def test_the_seven_needed_columns_are_enough_in_any_order(tmp_path: Path) -> None:
    reference = read_kg(write_rows(tmp_path / "full.csv", both_ways(ROWS)))
    table = pl.read_csv(tmp_path / "full.csv", infer_schema=False)
    table.select("y_name", "y_type", "y_id", "x_name", "x_type", "x_id", "relation").write_csv(tmp_path / "kg.csv")
    assert read_kg(tmp_path / "kg.csv").fingerprint == reference.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text + "\n\n",
    ],
    ids=["byte order mark", "windows line ends", "no last line end", "empty lines at the end"],
)
def test_harmless_variations_are_read(tmp_path: Path, change: Callable[[str], str]) -> None:
    path = write_rows(tmp_path / "kg.csv", both_ways(ROWS))
    reference = read_kg(path)
    path.write_bytes(change(path.read_text("utf-8")).encode())
    assert read_kg(path).fingerprint == reference.fingerprint


def test_quoted_commas_marks_and_line_ends_in_names(tmp_path: Path) -> None:
    row = full_row(ROWS[0])
    row[5], row[10] = 'acid, "fuming"\nand β', "plain"
    path = tmp_path / "kg.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, row])
    assert read_kg(path).nodes["drug"]["name"].to_list() == ['acid, "fuming"\nand β']


_IDS = st.sampled_from(["1", "2", "10", "x"])
_TYPES = st.sampled_from(["a", "b", "c"])
_ROWS = st.lists(st.tuples(st.sampled_from(["r", "s"]), _TYPES, _IDS, _TYPES, _IDS), min_size=1, max_size=40)


@given(_ROWS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_gives_what_the_rule_says_row_by_row(tmp_path: Path, rows: list[Row]) -> None:
    assert edges_by_id(read_kg(write_rows(tmp_path / "kg.csv", rows))) == _row_by_row(rows)


def _row_by_row(rows: list[Row]) -> dict[EdgeType, list[tuple[str, str]]]:
    """The same rule, written as a loop."""
    kept: dict[EdgeType, list[tuple[str, str]]] = {}
    for relation, x_type, _x, y_type, _y in rows:
        if EdgeType(y_type, relation, x_type) not in kept:
            kept.setdefault(EdgeType(x_type, relation, y_type), [])
    for edge_type, pairs in kept.items():
        head, relation, tail = edge_type
        forward = [(x, y) for r, s, x, t, y in rows if (r, s, t) == (relation, head, tail)]
        backward = [(y, x) for r, s, x, t, y in rows if (r, s, t) == (relation, tail, head)]
        if head == tail:
            pairs += sorted({(min(pair), max(pair)) for pair in forward})
        else:
            pairs += sorted(forward + [pair for pair in backward if pair not in forward])
    return dict(sorted(kept.items()))


def test_a_line_of_json_lines_that_is_no_object_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kg.jsonl"
    row = '{"relation": "indication", "x_id": "1", "x_type": "drug", "y_id": "2", "y_type": "disease"}\n'
    path.write_text(row * 3 + row[:30] + "\n" + row)
    with pytest.raises(UserError, match="line 4 is no JSON object"):
        read_graph(path, "kg")


def test_numbers_and_blank_lines_of_json_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "kg.jsonl"
    row = '{"relation": "indication", "x_id": 17, "x_type": "drug", "y_id": "2", "y_type": "disease"}\n'
    path.write_text(row + "\n" + row.replace("17", "18"))
    graph = read_graph(path, "kg")
    assert graph.nodes["drug"]["id"].to_list() == ["17", "18"]
