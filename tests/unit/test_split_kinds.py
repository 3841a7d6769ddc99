"""Splits that hold out chosen diseases, and the one that holds out nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from flykd_console.errors import UserError
from flykd_console.graph.formats.kg import read_kg
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Targets
from flykd_console.graph.node_lookup import NodeLookup
from flykd_console.graph.split.edge_split import PARTS, EdgeSplit
from flykd_console.graph.split.make import _check_parts, split_graph
from flykd_console.graph.split.negatives import (
    EvaluationPairs,
    TrueNegatives,
    evaluation_pairs,
    has_negatives,
    true_negatives,
)
from flykd_console.graph.split.ontology import ontology_area
from flykd_console.profile import sections
from tests.support.graph_files import HEADER, both_ways, write_rows
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])
OFF_LABEL = EdgeType("disease", "off-label use", "drug")
PROTEINS = EdgeType("gene/protein", "protein_protein", "gene/protein")
PARALLEL = EdgeType("gene/protein", "protein_binding", "gene/protein")


def graph_with_more() -> KnowledgeGraph:
    """The small graph with an off-label relation written the other way round and two parallel protein relations."""
    graph = small_graph()
    more = {OFF_LABEL: graph.edges[INDICATION][::-1], PARALLEL: graph.edges[PROTEINS]}
    return KnowledgeGraph(graph.nodes, dict(graph.edges) | more, "small")


def split_of(graph: KnowledgeGraph, seed: int = 45, **settings: object) -> EdgeSplit:
    return split_graph(graph, TARGETS, sections.Split.model_validate(settings), seed)


def write_list(path: Path, ids: list[str], column: str = "node_id") -> Path:
    pl.DataFrame({"": range(len(ids)), column: ids, "node_type": ["disease"] * len(ids)}).write_csv(path)
    return path


def area_file(tmp_path: Path, count: int = 8) -> tuple[Path, set[int]]:
    """A list of the diseases with most indications, and their indices."""
    graph = small_graph()
    rows = np.argsort(-np.bincount(graph.edges[INDICATION][1], minlength=60), kind="stable")[:count]
    ids = graph.nodes["disease"]["id"].gather(rows).to_list()
    return write_list(tmp_path / "area.csv", ids), set(rows.tolist())


def test_every_kind_puts_every_edge_into_exactly_one_part(tmp_path: Path) -> None:
    graph = graph_with_more()
    path, _ = area_file(tmp_path)
    for settings in (
        {"kind": "disease_area", "area": str(path)},
        {"kind": "disease", "diseases": ["disease 3", "DI0007"]},
        {"kind": "full_graph"},
        {"kind": "random", "validation_seed": 1},
    ):
        split = split_of(graph, **settings)
        for edge_type, pairs in graph.edges.items():
            together = [pair for name in PARTS for pair in zip(*split.part(name)[edge_type], strict=True)]
            assert sorted(together) == sorted(zip(*pairs, strict=True)), (settings, edge_type)


def test_the_diseases_of_an_area_have_no_drug_edge_outside_the_test(tmp_path: Path) -> None:
    graph = graph_with_more()
    path, area = area_file(tmp_path)
    split = split_of(graph, kind="disease_area", area=str(path))
    for edge_type, side in ((INDICATION, 1), (CONTRAINDICATION, 1), (OFF_LABEL, 0)):
        assert set(split.test[edge_type][side].tolist()) <= area
        for part in ("train", "validation"):
            assert not set(split.part(part)[edge_type][side].tolist()) & area
    assert split.notes[0] == f"area of area.csv: 8 rows match 8 nodes; {len(area)} of them have pairs to test"


def test_an_area_also_tests_random_edges_of_its_neighbourhood_up_to_the_fraction(tmp_path: Path) -> None:
    graph = graph_with_more()
    path, area = area_file(tmp_path, count=1)
    split = split_of(graph, kind="disease_area", area=str(path), fractions=(0.7, 0.15, 0.15))
    total = sum(len(heads) for heads, _ in graph.edges.values())
    assert sum(len(heads) for heads, _ in split.test.values()) == round(0.15 * total)
    others = [e for e in graph.edges if {e.head, e.tail} != {"drug", "disease"}]
    assert sum(len(split.test[e][0]) for e in others) > 0

    near = {("disease", row) for row in area}
    for _ in range(2):
        touching = [
            ((e.head, int(h)), (e.tail, int(t)))
            for e, pairs in graph.edges.items()
            for h, t in zip(*pairs, strict=True)
        ]
        near |= {end for ends in touching if near & set(ends) for end in ends}
    for edge_type in others:
        for head, tail in zip(*split.test[edge_type], strict=True):
            assert {(edge_type.head, int(head)), (edge_type.tail, int(tail))} <= near
    share = len(split.validation[INDICATION][0]) / (len(graph.edges[INDICATION][0]) - len(split.test[INDICATION][0]))
    assert share == pytest.approx(0.15 / 0.85, abs=0.01)


def test_an_area_of_few_diseases_has_other_drugs_as_negatives(tmp_path: Path) -> None:
    graph = small_graph()
    for count, replaced in ((1, "head"), (8, "head"), (40, "tail")):
        path, _ = area_file(tmp_path, count)
        split = split_of(graph, kind="disease_area", area=str(path))
        assert split.replaced == replaced, count
        assert any(note.startswith("test negatives keep the disease") for note in split.notes) == (replaced == "head")
    path, _ = area_file(tmp_path, 1)
    split = split_of(graph, kind="disease_area", area=str(path))
    assert split.notes[0] == "area of area.csv: 1 row matches 1 node; 1 of them has pairs to test"
    for target, pairs in zip(TARGETS, evaluation_pairs(graph, split, "test", 45, filter_true=True), strict=True):
        assert true_negatives(graph, split, target, pairs) == TrueNegatives(0, 0, pairs.positives)


def test_stored_negatives_that_are_true_are_counted_and_those_that_are_trained_on() -> None:
    graph = small_graph()
    split = split_of(graph, kind="random")
    edges, train = (set(zip(*found[INDICATION], strict=True)) for found in (graph.edges, split.train))
    others = [pair for pair in edges if pair not in train]
    false = next((h, t) for h in range(5) for t in range(50) if (h, t) not in edges)
    stored = [*sorted(train)[:3], *sorted(others)[:2], false]
    heads, tails = np.array(stored).T
    pairs = EvaluationPairs(INDICATION.relation, heads, tails, np.zeros(len(stored), np.float32))
    assert true_negatives(graph, split, INDICATION, pairs) == TrueNegatives(5, 3, 6)


def test_a_relation_whose_test_negatives_are_all_true_pairs_is_refused() -> None:
    graph = small_graph()
    tails = np.unique(graph.edges[INDICATION][1])
    one = np.array([0]), np.array([tails[0]])
    split = split_of(graph, kind="random")
    lonely = dataclasses.replace(split, test={**split.test, INDICATION: one})
    everything = KnowledgeGraph(graph.nodes, {**graph.edges, INDICATION: one}, "small")
    assert not has_negatives(everything, lonely, INDICATION)
    assert has_negatives(everything, dataclasses.replace(lonely, replaced="head"), INDICATION)
    assert has_negatives(graph, split, INDICATION)
    with pytest.raises(UserError, match="indication cannot be tested: every pair that a test negative could be"):
        _check_parts(everything, lonely, 45)


def test_parallel_relations_of_one_pair_are_drawn_apart(tmp_path: Path) -> None:
    path, _ = area_file(tmp_path)
    split = split_of(graph_with_more(), kind="disease_area", area=str(path), fractions=(0.4, 0.2, 0.4))
    one, other = (set(zip(*split.test[e], strict=True)) for e in (PROTEINS, PARALLEL))
    assert one
    assert one != other


def test_ids_of_a_list_match_groups_and_may_look_like_fractions(tmp_path: Path) -> None:
    table = pl.DataFrame({"id": ["11786_5324_24332", "15999", "1000"], "name": ["rhinitis", "Nodular", "x"]})
    lookup = NodeLookup(table)
    assert [lookup.by_id(text) for text in ("5324", "5324.0", "15999.0", "MONDO:0015999", "MONDO_0024332")] == [
        0, 0, 1, 1, 0,
    ]  # fmt: skip
    assert lookup.by_id("999") is None
    assert lookup.find(" nodular ") == [1]
    assert lookup.find_all(["1000.0", "nothing", "X"]) == ([2], ["nothing"])


def test_named_diseases_are_tested_and_other_relations_train_whole() -> None:
    graph = graph_with_more()
    split = split_of(graph, kind="disease", diseases=["Disease 3", "DI0007"])
    assert split.notes == ("test: disease 3, disease 7",)
    for target in TARGETS:
        heads, tails = graph.edges[target]
        assert len(split.test[target][0]) == np.isin(tails, [3, 7]).sum()
        assert not np.isin(split.train[target][1], [3, 7]).any()
        assert len(split.validation[target][0]) == round(0.05 * (len(heads) - len(split.test[target][0])))
    for edge_type in (PROTEINS, PARALLEL):
        assert np.array_equal(split.train[edge_type], graph.edges[edge_type])


def test_negatives_of_a_named_disease_are_other_drugs_for_it() -> None:
    graph = small_graph()
    split = split_of(graph, kind="disease", diseases=["disease 3"])
    pairs = next(p for p in evaluation_pairs(graph, split, "test", 45, filter_true=True) if len(p.heads))
    assert set(pairs.tails.tolist()) == {3}
    true = set(zip(*graph.edges[EdgeType("drug", pairs.relation, "disease")], strict=True))
    false = list(zip(pairs.heads[pairs.positives :], pairs.tails[pairs.positives :], strict=True))
    assert len(false) == pairs.positives
    assert not true & set(false)


def test_a_full_graph_split_has_no_test_part() -> None:
    graph = small_graph()
    split = split_of(graph, kind="full_graph")
    assert all(len(heads) == 0 for heads, _ in split.test.values())
    assert [len(split.part(name)[CONTRAINDICATION][0]) for name in PARTS] == [247, 13, 0]
    assert [len(pairs.heads) for pairs in evaluation_pairs(graph, split, "test", 45)] == [0, 0]
    contraindication, indication = "247 train, 13 validation, 0 test", "142 train, 8 validation, 0 test"
    assert split.in_words == f"split full_graph: contraindication {contraindication}; indication {indication}"


def test_the_validation_seed_cuts_train_from_validation_where_nothing_is_scored() -> None:
    graph = small_graph()
    first, second = (split_of(graph, seed, validation_seed=1) for seed in (45, 45))
    assert first.fingerprint == second.fingerprint
    plain = split_of(graph, 45)
    for edge_type in graph.edges:
        assert np.array_equal(first.test[edge_type], plain.test[edge_type])
        same = np.array_equal(first.validation[edge_type], plain.validation[edge_type])
        assert same == (edge_type in TARGETS)
        assert len(first.validation[edge_type][0]) == len(plain.validation[edge_type][0])


def test_fractions_are_refused_where_the_kind_has_its_own() -> None:
    with pytest.raises(ValidationError, match=r"split.fractions does not apply: kind = 'full_graph' trains on 95 %"):
        sections.Split(kind="full_graph", fractions=(0.8, 0.1, 0.1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("node_id\n99999\n88888.0\n", r"none of its 2 rows matches a node of type 'disease', first '99999'"),
        ("code\n1\n", r"has none of the columns node_id, disease_id, id.*Found code"),
        ("node_id\n", r"holds no row with a node_id"),
        ("node_id\nDI0001\nDI0002,3\n", r"cannot be read"),
    ],
)
def test_a_list_that_fits_nothing_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "area.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        split_of(small_graph(), kind="disease_area", area=str(path))


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        split_of(small_graph(), kind="disease_area", area=str(tmp_path / "no.csv"))


def test_rows_of_a_list_that_match_nothing_are_counted_in_the_note(tmp_path: Path) -> None:
    path, _ = area_file(tmp_path)
    path.write_text(path.read_text() + "8,gone,disease\n9,lost,disease\n")
    note = split_of(small_graph(), kind="disease_area", area=str(path)).notes[0]
    assert note.startswith("area of area.csv: 10 rows match 8 nodes (2 match none, first 'gone')")


def test_unknown_diseases_are_counted_and_the_first_is_named() -> None:
    with pytest.raises(UserError, match=r"'disease 33x' is not in the graph. Did you mean disease 3"):
        split_of(small_graph(), kind="disease", diseases=["disease 33x"])
    with pytest.raises(UserError, match=r"2 of 3 are not in the graph, first 'measles'"):
        split_of(small_graph(), kind="disease", diseases=["measles", "disease 3", "mumps"])


def test_diseases_without_a_target_edge_are_refused() -> None:
    graph = small_graph()
    nodes = dict(graph.nodes)
    lonely = pl.DataFrame({"id": ["DI9999"], "name": ["lonely disease"]})
    nodes["disease"] = pl.concat([nodes["disease"], lonely])
    with pytest.raises(UserError, match=r"the test would be empty: of 1 matching nodes .* none has an edge of"):
        split_of(KnowledgeGraph(nodes, graph.edges, "g"), kind="disease", diseases=["lonely disease"])


# An ontology: 4995 (cardiovascular disease) over 20 and 30_31, 20 over 40, 30_31 over 40 and 50; 60 is no descendant.
PARENT_CHILD = [("4995", "20"), ("4995", "30_31"), ("20", "7"), ("30_31", "7"), ("30_31", "50"), ("60", "50")]


def ontology_graph(path: Path, pairs: list[tuple[str, str]], word: str = "parent-child") -> KnowledgeGraph:
    rows = both_ways([("disease_disease", "disease", parent, "disease", child) for parent, child in pairs])
    write_rows(path, rows)
    place = HEADER.index("display_relation")
    header, *lines = (line.split(",") for line in path.read_text().splitlines())
    marked = [header, *([*line[:place], word, *line[place + 1 :]] for line in lines)]
    path.write_text("".join(",".join(line) + "\n" for line in marked))
    return read_kg(path)


@pytest.mark.parametrize("area", ["cardiovascular", "Cardiovascular", "4995", "name of 4995"])
def test_an_area_is_its_root_and_all_descendants(tmp_path: Path, area: str) -> None:
    graph = ontology_graph(tmp_path / "kg.csv", PARENT_CHILD)
    rows, root = ontology_area(graph, "disease", area)
    assert set(graph.nodes["disease"]["id"].gather(rows).to_list()) == {"4995", "20", "30_31", "7", "50"}
    assert root == "name of 4995"


@pytest.mark.parametrize(
    ("pairs", "word", "area", "message"),
    [
        (PARENT_CHILD, "related", "cardiovascular", r"none of its rows .* is marked 'parent-child'.*Give the path"),
        ([("4995", "2"), ("2", "7"), ("7", "4995")], "parent-child", "cardiovascular", "its rows run in circles"),
        (PARENT_CHILD, "parent-child", "anemia", r"the graph lacks its root term, MONDO:0002280.*Areas: adrenal_gland"),
        (PARENT_CHILD, "parent-child", "space travel", r"'space travel': no area or node"),
    ],
)
def test_an_ontology_that_tells_no_parents_is_refused(
    tmp_path: Path, pairs: list[tuple[str, str]], word: str, area: str, message: str
) -> None:
    graph = ontology_graph(tmp_path / "kg.csv", pairs, word)
    with pytest.raises(UserError, match=message):
        ontology_area(graph, "disease", area)


@pytest.mark.parametrize("column", ["x_id", "y_name"])
def test_a_sorted_table_is_refused_since_it_tells_no_parents(tmp_path: Path, column: str) -> None:
    path = tmp_path / "kg.csv"
    ontology_graph(path, PARENT_CHILD)
    pl.read_csv(path, infer_schema=False).sort(column).write_csv(path)
    with pytest.raises(UserError, match="its rows are sorted, so that mirror images stand among the others"):
        ontology_area(read_kg(path), "disease", "cardiovascular")


def test_an_area_by_name_needs_a_graph_that_was_read_from_a_table() -> None:
    with pytest.raises(UserError, match=r"not read from a table.*Give the path of a CSV"):
        split_of(small_graph(), kind="disease_area", area="disease 3")
