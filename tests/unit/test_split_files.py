"""Splits given as files, with and without stored negatives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs, Targets
from flykd_console.graph.split.edge_split import PARTS, EdgeSplit
from flykd_console.graph.split.make import split_graph
from flykd_console.graph.split.negatives import EvaluationPairs, evaluation_pairs
from flykd_console.profile import sections
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])
PROTEIN = EdgeType("gene/protein", "disease_protein", "disease")


def rows_of(graph: KnowledgeGraph, edge_type: EdgeType, pairs: Pairs, *, flipped: bool = False) -> pl.DataFrame:
    """Edges as rows of a graph."""
    x, y = graph.nodes[edge_type.head]["id"].gather(pairs[0]), graph.nodes[edge_type.tail]["id"].gather(pairs[1])
    frame = pl.DataFrame({"x_id": x, "y_id": y}).with_columns(
        x_type=pl.lit(edge_type.head), relation=pl.lit(edge_type.relation), y_type=pl.lit(edge_type.tail)
    )
    if flipped:
        frame = frame.rename({"x_id": "y_id", "y_id": "x_id", "x_type": "y_type", "y_type": "x_type"})
    return frame.select("x_type", "x_id", "relation", "y_type", "y_id")


def pairs_of(graph: KnowledgeGraph, pairs: EvaluationPairs) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "relation": [pairs.relation] * len(pairs.heads),
            "head_id": graph.nodes["drug"]["id"].gather(pairs.heads),
            "tail_id": graph.nodes["disease"]["id"].gather(pairs.tails),
            "label": pairs.labels.astype(int),
        }
    )


def write_parts(folder: Path, graph: KnowledgeGraph, split: EdgeSplit) -> dict[str, str]:
    """A split as three files in rows of a graph; some relations the other way round, rows shuffled."""
    paths = {}
    for name in PARTS:
        frames = [
            rows_of(graph, edge_type, pairs, flipped=edge_type == PROTEIN)
            for edge_type, pairs in split.part(name).items()
        ]
        paths[name] = str(folder / f"{name}.csv")
        pl.concat(frames).sample(fraction=1.0, shuffle=True, seed=7).write_csv(paths[name])
    return paths


def write_pairs(folder: Path, graph: KnowledgeGraph, split: EdgeSplit) -> str:
    """Validation and test with their negatives in one file."""
    frames = [
        pairs_of(graph, pairs).select(pl.lit(word).alias("part"), "relation", "head_id", "tail_id", "label")
        for word, part in (("valid", "validation"), ("test", "test"))
        for pairs in evaluation_pairs(graph, split, part, 45)
    ]
    path = str(folder / "evaluation.csv")
    pl.concat(frames).write_csv(path)
    return path


def read(graph: KnowledgeGraph, paths: dict[str, str], seed: int = 45) -> EdgeSplit:
    return split_graph(graph, TARGETS, sections.Split(kind="files", **paths), seed)


def as_set(pairs: Pairs) -> set[tuple[int, int]]:
    return {(int(h), int(t)) for h, t in zip(*pairs, strict=True)}


def unordered(edge_type: EdgeType, pairs: Pairs) -> set[tuple[int, ...]]:
    """Pairs; between equal types without their order."""
    equal = edge_type.head == edge_type.tail
    return {tuple(sorted(pair)) if equal else pair for pair in as_set(pairs)}


def test_files_give_exactly_the_split_that_they_hold(tmp_path: Path) -> None:
    graph = small_graph()
    made = split_graph(graph, TARGETS, sections.Split(), 45)
    found = read(graph, write_parts(tmp_path, graph, made))
    for name in PARTS:
        for edge_type in graph.edges:
            assert unordered(edge_type, found.part(name)[edge_type]) == unordered(edge_type, made.part(name)[edge_type])
    assert found.negatives == {}
    drawn = evaluation_pairs(graph, found, "test", 45)
    assert [p.positives * 2 for p in drawn] == [len(p.heads) for p in drawn]


def test_stored_negatives_are_used_as_they_stand(tmp_path: Path) -> None:
    graph = small_graph()
    made = split_graph(graph, TARGETS, sections.Split(), 45)
    paths = write_parts(tmp_path, graph, made)
    paths["validation"] = paths["test"] = write_pairs(tmp_path, graph, made)
    found = read(graph, paths)
    for part in ("validation", "test"):
        for given, expected in zip(
            evaluation_pairs(graph, found, part, 99), evaluation_pairs(graph, made, part, 45), strict=True
        ):
            rows = [sorted(zip(p.heads, p.tails, p.labels, strict=True)) for p in (given, expected)]
            assert rows[0] == rows[1]
    assert any("stored negatives" in note for note in found.notes)


def test_the_order_of_rows_changes_nothing_but_a_negative_does(tmp_path: Path) -> None:
    graph = small_graph()
    made = split_graph(graph, TARGETS, sections.Split(), 45)
    paths = write_parts(tmp_path, graph, made)
    paths["validation"] = paths["test"] = write_pairs(tmp_path, graph, made)
    first = read(graph, paths).fingerprint
    table = pl.read_csv(paths["test"])
    table.reverse().write_csv(paths["test"])
    assert read(graph, paths, seed=46).fingerprint == first
    table.head(table.height - 1).write_csv(paths["test"])
    assert read(graph, paths).fingerprint != first


def test_rows_of_both_directions_count_once(tmp_path: Path) -> None:
    graph = small_graph()
    made = split_graph(graph, TARGETS, sections.Split(), 45)
    paths = write_parts(tmp_path, graph, made)
    once = read(graph, paths)
    table = pl.read_csv(paths["train"])
    mirrored = table.rename({"x_id": "y_id", "y_id": "x_id", "x_type": "y_type", "y_type": "x_type"})
    pl.concat([table, mirrored.select(table.columns)]).write_csv(paths["train"])
    assert read(graph, paths).fingerprint == once.fingerprint


def test_files_of_targets_alone_take_the_other_relations_from_the_graph(tmp_path: Path) -> None:
    graph = small_graph()
    off_label = EdgeType("drug", "off-label use", "disease")
    graph = KnowledgeGraph(graph.nodes, dict(graph.edges) | {off_label: graph.edges[INDICATION]}, "small")
    made = split_graph(graph, TARGETS, sections.Split(), 45)
    paths = write_parts(tmp_path, graph, made)
    for name, path in paths.items():
        pl.concat([rows_of(graph, t, made.part(name)[t]) for t in TARGETS]).write_csv(path)
    found = read(graph, paths)
    assert np.array_equal(found.train[PROTEIN], graph.edges[PROTEIN])
    assert len(found.train[off_label][0]) == 0  # it would tell the test pairs
    assert found.notes == (
        "the files hold target relations alone; the graph's other relations train whole, except off-label use",
    )


def test_a_relation_that_the_files_leave_out_is_told(tmp_path: Path) -> None:
    graph = small_graph()
    made = split_graph(graph, TARGETS, sections.Split(), 45)
    paths = write_parts(tmp_path, graph, made)
    for path in paths.values():
        pl.read_csv(path).filter(pl.col("relation") != "disease_protein").write_csv(path)
    found = read(graph, paths)
    assert len(found.train[PROTEIN][0]) == 0
    assert found.notes == ("the files leave out disease_protein, which therefore carry no messages",)


def damaged(table: pl.DataFrame, column: str, value: str, row: int = 4) -> pl.DataFrame:
    index = pl.int_range(pl.len())
    return table.with_columns(pl.when(index == row).then(pl.lit(value)).otherwise(column).alias(column))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("relation", "cures", r"train.csv: the relation 'cures' is not in the graph: 1 rows \(row 5\). It has contra"),
        ("x_type", "pathway", r"train.csv: '.*' joins pathway to .*, but in the graph .* 1 rows \(row 5\)"),
        ("x_id", "XX1", r"1 ids of type '.*' are not in the graph, first 'XX1' \(row 5\).*graph.source"),
        ("x_id", "", r"a relation or an id is missing \(row 5\)"),
    ],
)
def test_rows_that_do_not_fit_the_graph_are_refused(tmp_path: Path, column: str, value: str, message: str) -> None:
    graph = small_graph()
    paths = write_parts(tmp_path, graph, split_graph(graph, TARGETS, sections.Split(), 45))
    damaged(pl.read_csv(paths["train"]), column, value).write_csv(paths["train"])
    with pytest.raises(UserError, match=message):
        read(graph, paths)


def test_several_unknown_ids_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    graph = small_graph()
    made = split_graph(graph, TARGETS, sections.Split(), 45)
    paths = write_parts(tmp_path, graph, made)
    path = write_pairs(tmp_path, graph, made)
    table = pl.read_csv(path).with_columns(pl.col("tail_id").str.replace("DI", "QQ"))
    table.write_csv(path)
    with pytest.raises(UserError, match=r"\d+ ids of type 'disease' are not in the graph, first 'QQ\d+'"):
        read(graph, paths | {"test": path})


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", "2", r"the label '2' is neither 1 nor 0 \(row 5\)"),
        ("part", "dev", r"the part 'dev' is none of train"),
    ],
)
def test_labels_and_parts_that_mean_nothing_are_refused(tmp_path: Path, column: str, value: str, message: str) -> None:
    graph = small_graph()
    made = split_graph(graph, TARGETS, sections.Split(), 45)
    paths = write_parts(tmp_path, graph, made)
    path = write_pairs(tmp_path, graph, made)
    damaged(pl.read_csv(path, infer_schema=False), column, value).write_csv(path)
    with pytest.raises(UserError, match=message):
        read(graph, paths | {"validation": path, "test": path})


def test_wrong_columns_missing_files_and_missing_parts_are_refused(tmp_path: Path) -> None:
    graph = small_graph()
    made = split_graph(graph, TARGETS, sections.Split(), 45)
    paths = write_parts(tmp_path, graph, made)
    odd = tmp_path / "odd.csv"
    odd.write_text("drug,disease\n1,2\n")
    with pytest.raises(UserError, match=r"has neither the columns x_type, x_id.* nor relation.* Found drug, disease"):
        read(graph, paths | {"test": str(odd)})
    with pytest.raises(UserError, match=r"split.validation = .*gone.csv: there is no such file"):
        read(graph, paths | {"validation": str(tmp_path / "gone.csv")})
    path = write_pairs(tmp_path, graph, made)
    with pytest.raises(UserError, match=r"none of its rows has the part 'train'. It is named by split.train"):
        read(graph, paths | {"train": path})
    pl.read_csv(path).drop("part").write_csv(path)
    with pytest.raises(UserError, match=r"rows are labelled 0 .* Negatives belong to"):
        read(graph, paths | {"train": path})


@pytest.mark.parametrize(("one", "other"), [("test", "train"), ("validation", "train"), ("test", "validation")])
def test_a_pair_that_stands_in_two_parts_is_refused(tmp_path: Path, one: str, other: str) -> None:
    graph = small_graph()
    made = split_graph(graph, TARGETS, sections.Split(), 45)
    paths = write_parts(tmp_path, graph, made)
    heads, tails = made.part(one)[INDICATION]
    leaked = rows_of(graph, INDICATION, (heads[:2], tails[:2]))
    pl.concat([pl.read_csv(paths[other]), leaked]).write_csv(paths[other])
    with pytest.raises(UserError, match=rf"2 indication pairs of the {one} are also in the {other} part, first DR\d+"):
        read(graph, paths)


def test_a_test_file_without_any_target_is_refused(tmp_path: Path) -> None:
    graph = small_graph()
    paths = write_parts(tmp_path, graph, split_graph(graph, TARGETS, sections.Split(), 45))
    pl.read_csv(paths["test"]).filter(pl.col("relation") == "drug_protein").write_csv(paths["test"])
    with pytest.raises(UserError, match=r"leaves the relation 'contraindication' without test edges"):
        read(graph, paths)


def test_one_target_may_lack_test_pairs(tmp_path: Path) -> None:
    graph = small_graph()
    paths = write_parts(tmp_path, graph, split_graph(graph, TARGETS, sections.Split(), 45))
    pl.read_csv(paths["test"]).filter(pl.col("relation") != "indication").write_csv(paths["test"])
    found = read(graph, paths)
    assert [len(pairs.heads) > 0 for pairs in evaluation_pairs(graph, found, "test", 45)] == [True, False]
