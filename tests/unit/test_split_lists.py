"""Test sets of the field: a list with outcomes, a list of uses beyond the label, and a later release of the graph."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from flykd_console.graph.orientation import orient_targets
from flykd_console.graph.split.edge_split import EdgeSplit
from flykd_console.graph.split.make import split_graph
from flykd_console.graph.split.negatives import evaluation_pairs
from flykd_console.profile.sections import Split
from flykd_console.runs.directory import RunDirectory
from flykd_console.training.worker import main as train
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph, write_kg_csv

TARGETS = ["contraindication", "indication"]
OFF_LABEL = EdgeType("drug", "off-label use", "disease")


def keys(pairs: tuple[np.ndarray, np.ndarray]) -> set[tuple[int, int]]:
    return set(zip(pairs[0].tolist(), pairs[1].tolist(), strict=True))


def graph_and_strangers() -> tuple[KnowledgeGraph, list[tuple[int, int]]]:
    """The small graph, and pairs that no relation between drugs and diseases has."""
    graph = small_graph()
    known = keys(graph.edges[INDICATION]) | keys(graph.edges[CONTRAINDICATION])
    return graph, [(head, tail) for head in range(40) for tail in range(60) if (head, tail) not in known]


def split_of(graph: KnowledgeGraph, targets: list[str] = TARGETS, **settings: object) -> EdgeSplit:
    graph = orient_targets(graph, targets, ["disease_disease"])
    return split_graph(graph, graph.targets(targets), Split.model_validate({"kind": "files", **settings}), 45)


def write(path: Path, rows: list[str]) -> str:
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def test_a_list_with_outcomes_is_the_test_and_its_pairs_leave_training(tmp_path: Path) -> None:
    graph, strangers = graph_and_strangers()
    known = sorted(keys(graph.edges[INDICATION]))
    rows = ["drug_id\tdisease_id\toutcome\trelation"]
    rows += [f"DR{h:04d}\tDI{t:04d}\tapproved\tindication" for h, t in known[::5]]
    rows += [f"dr{h:04d}\tdisease {t}\tapproved\tdrug|indication|disease" for h, t in strangers[:9]]
    rows += [f"DR{h:04d}\tDI{t:04d}\tfailed\tindication" for h, t in strangers[100:130]]
    rows += [f"DR{h:04d}\tDI{t:04d}\tfailed\tindication" for h, t in known[1:3]]
    rows += [f"DR{h:04d}\tDI{t:04d}\tin trial\tindication" for h, t in strangers[200:204]]
    rows += ["DR9999\tDI0001\tapproved\tindication"]
    split = split_of(graph, test=write(tmp_path / "trials.tsv", rows))
    tested = set(known[::5]) | set(strangers[:9])
    assert keys(split.test[INDICATION]) == tested
    assert keys(split.negatives["test"][INDICATION]) == set(strangers[100:130])
    assert not keys(split.test[CONTRAINDICATION])
    for edge_type in (INDICATION, CONTRAINDICATION):
        left = keys(split.train[edge_type]) | keys(split.validation[edge_type])
        assert left == keys(graph.edges[edge_type]) - tested
        assert len(split.validation[edge_type][0]) == round(0.05 * len(left))
    for edge_type in set(graph.edges) - {INDICATION, CONTRAINDICATION}:
        assert keys(split.train[edge_type]) == keys(graph.edges[edge_type])
    notes = " ".join(split.notes)
    assert "1 row of trials.tsv name no single node, first 'DR9999'" in notes
    assert "4 rows of trials.tsv of open outcome (in trial) are not tested" in notes
    assert "2 negative pairs of trials.tsv left out that the graph has as true ones" in notes
    (_, of_indication) = evaluation_pairs(graph, split, "test", 45)
    assert (of_indication.positives, len(of_indication.labels)) == (len(tested), len(tested) + 30)


def test_off_label_pairs_leave_every_relation_between_the_two_types(tmp_path: Path) -> None:
    graph, _ = graph_and_strangers()
    pairs = sorted(keys(graph.edges[CONTRAINDICATION]))[::4]
    heads, tails = np.array(pairs).T
    edges = {**graph.edges, OFF_LABEL: (heads, tails)}
    graph = KnowledgeGraph(graph.nodes, dict(sorted(edges.items())), "small")
    rows = ["drug,disease", *(f"DR{h:04d},DI{t:04d}" for h, t in pairs)]
    split = split_of(graph, ["indication"], test=write(tmp_path / "off-label.csv", rows))
    assert keys(split.test[INDICATION]) == set(pairs)
    for edge_type in (INDICATION, CONTRAINDICATION, OFF_LABEL):
        assert not keys(split.train[edge_type]) & set(pairs)
    assert len(split.train[OFF_LABEL][0]) == 0
    assert not split.negatives


def test_a_later_releases_new_pairs_are_the_test(tmp_path: Path) -> None:
    graph, strangers = graph_and_strangers()
    new = strangers[::40]
    heads, tails = graph.edges[INDICATION]
    added = np.array(new).T
    nodes = {**graph.nodes, "disease": graph.nodes["disease"].vstack(pl.DataFrame({"id": ["DI9999"], "name": ["new"]}))}
    edges = {**graph.edges, INDICATION: (np.append(heads, [*added[0], 3]), np.append(tails, [*added[1], 60]))}
    later = write_kg_csv(KnowledgeGraph(nodes, edges, "later"), tmp_path / "kg-2027.csv")
    split = split_of(graph, later=str(later))
    assert keys(split.test[INDICATION]) == set(new)
    assert not keys(split.test[CONTRAINDICATION])
    assert keys(split.train[INDICATION]) | keys(split.validation[INDICATION]) == keys(graph.edges[INDICATION])
    assert split.notes == (
        f"kg-2027.csv has {len(new)} target pairs that small lacks: the test",
        "1 target edge of kg-2027.csv left out with an end that the graph lacks",
    )


@pytest.mark.parametrize(
    ("rows", "targets", "says"),
    [
        (["drug,disease", "DR0001,DI0001"], TARGETS, "line 2 names no relation, and there are 2 targets"),
        (["drug,disease,relation", "DR0001,DI0001,cures"], TARGETS, "'cures', which is no target. Targets: contra"),
        (["drug,disease", "X,DI0001"], ["indication"], "no pair of it can be tested (1 row of list.csv name no single"),
        (["drug,disease,outcome", "DR0001,DI0001,0"], ["indication"], "no pair of it can be tested"),
        (["drug,disease,outcome", "DR0001,DI0001,1", "DR0001,DI0001,0"], ["indication"], "line 3 gives DR0001 with"),
        (["drug,disease,outcome", "DR0001,DI0001,maybe"], ["indication"], "line 2 has the outcome 'maybe'"),
    ],
)
def test_lists_that_cannot_be_tested_are_refused(
    tmp_path: Path, rows: list[str], targets: list[str], says: str
) -> None:
    with pytest.raises(UserError) as error:
        split_of(small_graph(), targets, test=write(tmp_path / "list.csv", rows))
    assert says in str(error.value)


def test_the_graph_itself_is_no_later_release(tmp_path: Path) -> None:
    graph = small_graph()
    with pytest.raises(UserError, match="no pair of it can be tested"):
        split_of(graph, later=str(write_kg_csv(graph, tmp_path / "kg.csv")))


@pytest.mark.parametrize(
    "settings",
    [{}, {"train": "a.csv"}, {"validation": "a.csv", "test": "b.csv"}, {"later": "a.csv", "test": "b.csv"},
     {"kind": "random", "later": "a.csv"}],
)  # fmt: skip
def test_keys_that_do_not_go_together_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"split\.|needs"):
        Split.model_validate({"kind": "files", **settings})


def test_a_run_is_tested_on_a_list(tmp_path: Path) -> None:
    graph, strangers = graph_and_strangers()
    source = write_kg_csv(graph, tmp_path / "kg.csv")
    rows = ["drug_id,disease_id,outcome"]
    for number, (h, t) in enumerate(strangers[::30]):
        rows.append(f"DR{h:04d},DI{t:04d},{'failed' if number % 2 else 'approved'}")
    write(tmp_path / "trials.csv", rows)
    directory = RunDirectory(tmp_path / "run")
    directory.path.mkdir()
    directory.profile.write_text(
        f"""
        [run]
        seeds = [45]
        models = ["baseline"]
        [graph]
        source = "{source}"
        targets = ["indication"]
        [split]
        kind = "files"
        test = "{tmp_path / "trials.csv"}"
        [student]
        dim = 8
        [pretrain]
        epochs = 0
        [finetune]
        epochs = 2
        validate_every = 2
        """
    )
    assert train([str(directory.path)]) == 0
    relations = json.loads(directory.results.read_text())["seeds"]["45"]["baseline"]["test"]["relations"]
    count = (len(strangers[::30]) + 1) // 2
    assert (relations["indication"]["positives"], relations["indication"]["negatives"]) == (
        count,
        len(strangers[::30]) - count,
    )
