"""A relation name that stands between several pairs of types: the pairs are shown, and a spelling picks one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flykd_console.distill.teachers.scores import read_scores
from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from flykd_console.graph.orientation import orient_targets
from flykd_console.graph.similarity import tail_profiles
from flykd_console.graph.split.make import split_graph
from flykd_console.profile.load import load_profile
from flykd_console.profile.sections import Split
from flykd_console.relation_names import is_meant, relation_of, spelling
from flykd_console.runs.directory import RunDirectory
from flykd_console.training.worker import main as train
from tests.support.small_graph import INDICATION, small_graph, write_kg_csv

TREATS = EdgeType("drug", "treats", "disease")
GENES_TREAT = EdgeType("gene/protein", "treats", "disease")
AVOID = EdgeType("drug", "avoid", "disease")


def biolink() -> KnowledgeGraph:
    """`treats` between drugs and diseases, and in one mistyped row between a gene and a disease."""
    graph = small_graph()
    edges = {TREATS if e == INDICATION else e: pairs for e, pairs in graph.edges.items()}
    edges[GENES_TREAT] = np.array([3]), np.array([5])
    return KnowledgeGraph(graph.nodes, dict(sorted(edges.items())), "biolink")


def test_a_name_between_several_pairs_is_refused_with_them_their_counts_and_a_spelling() -> None:
    with pytest.raises(UserError) as error:
        biolink().targets(["treats"])
    assert str(error.value) == (
        "graph.targets (biolink): the relation 'treats' stands between 2 pairs of node types: drug → disease "
        "(150 edges), gene/protein → disease (1 edge). Name one with its types, such as 'drug|treats|disease'."
    )


@pytest.mark.parametrize("written", ["drug|treats|disease", "disease|treats|drug"])
def test_a_spelling_with_types_picks_one(written: str) -> None:
    assert biolink().targets([written]) == (TREATS,)
    assert biolink().targets(["contraindication", written])[1] == TREATS
    assert small_graph().targets([written.replace("treats", "indication")]) == (INDICATION,)


def test_a_spelling_that_the_graph_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(UserError, match=r"'drug\|treats\|gene' is not in the graph.*drug\|treats\|disease, gene"):
        biolink().targets(["drug|treats|gene"])
    small = small_graph()
    with pytest.raises(UserError, match=r"'drug\|indication\|disease' is named twice"):
        small.targets(["indication", "drug|indication|disease"])


def test_targets_are_turned_though_their_name_is_ambiguous() -> None:
    graph = biolink()
    edges = dict(graph.edges)
    heads, tails = edges.pop(TREATS)
    edges[EdgeType("disease", "treats", "drug")] = tails, heads
    written = ["contraindication", "drug|treats|disease"]
    turned = orient_targets(KnowledgeGraph(graph.nodes, edges, "x"), written, ["disease_disease"])
    assert TREATS in turned.edges
    assert turned.targets(written)[1] == TREATS


def test_pooling_relations_may_be_spelt_with_types() -> None:
    graph = biolink()
    both = tail_profiles(graph.edges, "disease", 60, ["treats"])
    one = tail_profiles(graph.edges, "disease", 60, ["gene/protein|treats|disease"])
    assert both is not None
    assert one is not None
    assert (both.nnz, one.nnz) == (151, 1)


def test_names_and_spellings() -> None:
    assert spelling("drug", "treats", "disease") == "drug|treats|disease"
    assert relation_of("drug|treats|disease") == "treats"
    assert relation_of("treats") == "treats"
    assert relation_of("a|b") == "a|b"
    assert relation_of("drug|a|b|disease") == "a|b"
    assert not is_meant("drug|treats|gene", "drug", "treats", "disease")


def test_pairs_of_a_split_and_scores_may_spell_a_target_with_its_types(tmp_path: Path) -> None:
    graph = biolink()
    written = ["contraindication", "drug|treats|disease"]
    targets = graph.targets(written)
    split = split_graph(graph, targets, Split(), 45)
    paths = {}
    for part in ("train", "validation", "test"):
        rows = ["relation,head_id,tail_id"]
        for target, name in zip(
            targets, ("contraindication", "drug|treats|disease" if part == "test" else "treats"), strict=True
        ):
            rows += [f"{name},DR{h:04d},DI{t:04d}" for h, t in zip(*split.part(part)[target], strict=True)]
        paths[part] = str(tmp_path / f"{part}.csv")
        Path(paths[part]).write_text("\n".join(rows) + "\n")
    again = split_graph(graph, targets, Split(kind="files", **paths), 45)
    for part in ("train", "validation", "test"):
        for target in targets:
            assert sorted(zip(*again.part(part)[target], strict=True)) == sorted(
                zip(*split.part(part)[target], strict=True)
            )
    scores = tmp_path / "scores.csv"
    scores.write_text(
        "relation,x_id,y_id,score\ndrug|treats|disease,DR0001,DI0002,1\ncontraindication,DR0001,DI0002,2\n"
    )
    read = read_scores(scores, targets, graph.ids)
    assert read["relation"].to_list() == ["treats", "contraindication"]
    scores.write_text(scores.read_text().replace("relation,x_id,y_id", "predicate,Drug ID,disease"))
    assert read_scores(scores, targets, graph.ids).equals(read)
    for path in paths.values():
        Path(path).write_text(Path(path).read_text().replace("relation,head_id,tail_id", "predicate,drug,disease_id"))
    renamed = split_graph(graph, targets, Split(kind="files", **paths), 45)
    assert renamed.fingerprint == again.fingerprint


def test_a_run_learns_a_target_that_is_spelt_with_its_types(tmp_path: Path) -> None:
    graph = biolink()
    path = write_kg_csv(graph, tmp_path / "kg.csv")
    directory = RunDirectory(tmp_path / "run")
    directory.path.mkdir()
    directory.profile.write_text(
        f"""
        [run]
        seeds = [45]
        models = ["baseline"]
        [graph]
        source = "{path}"
        targets = ["contraindication", "drug|treats|disease"]
        [student]
        dim = 8
        [pretrain]
        epochs = 0
        [finetune]
        epochs = 3
        validate_every = 3
        """
    )
    assert load_profile(directory.profile).graph.targets[1] == "drug|treats|disease"
    assert train([str(directory.path)]) == 0
    results = json.loads(directory.results.read_text())
    assert sorted(results["seeds"]["45"]["baseline"]["test"]["relations"]) == ["contraindication", "treats"]
    assert pl.read_parquet(directory.labels(45))["relation"].unique().sort().to_list() == ["contraindication", "treats"]
