"""A bundle's example is a disease that the model knows, whatever the test asks, and however few drugs there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exporters.bundle import export_run
from exporters.scorer import Scorer
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.runs.directory import RunDirectory
from flykd_console.training.worker import main as train
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph, write_kg_csv

PROFILE = """
[run]
seeds = [45]
models = ["baseline"]
[graph]
source = "{source}"
[split]
kind = "disease"
diseases = {diseases}
[student]
dim = 8
[pretrain]
epochs = 0
[finetune]
epochs = 2
validate_every = 2
"""


def trained(tmp_path: Path, graph: KnowledgeGraph, diseases: str) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run")
    directory.path.mkdir()
    source = write_kg_csv(graph, tmp_path / "kg.csv")
    directory.profile.write_text(PROFILE.format(source=source, diseases=diseases))
    assert train([str(directory.path)]) == 0
    return directory


def without_other_edges(graph: KnowledgeGraph, disease: int) -> KnowledgeGraph:
    """The graph in which a disease is joined to drugs alone, and to more of them than any other."""
    edges = {}
    for edge_type, (heads, tails) in graph.edges.items():
        kept = np.ones(len(heads), dtype=bool)
        if edge_type.tail == "disease":
            kept &= tails != disease
        if edge_type.head == "disease":
            kept &= heads != disease
        edges[edge_type] = heads[kept], tails[kept]
    for target in (INDICATION, CONTRAINDICATION):
        heads, tails = edges[target]
        edges[target] = np.append(heads, np.arange(8)), np.append(tails, np.full(8, disease))
    return KnowledgeGraph(graph.nodes, edges, "small")


def test_the_example_is_a_disease_that_a_training_edge_leads_to(tmp_path: Path) -> None:
    graph = without_other_edges(small_graph(drugs=12, diseases=120), 7)
    run = trained(tmp_path, graph, '["DI0007", "DI0008", "DI0009"]')
    bundle = export_run(run)
    relation, name = bundle.example
    assert name in ("disease 8", "disease 9")
    with Scorer(bundle.path) as scorer:
        assert 0 < len(scorer.rank_heads(name, relation)) <= 12


def test_without_a_known_test_disease_one_of_validation_or_training_is_shown(tmp_path: Path) -> None:
    graph = without_other_edges(small_graph(drugs=12, diseases=120), 7)
    run = trained(tmp_path, graph, '["DI0007"]')
    bundle = export_run(run)
    assert bundle.example[1] != "disease 7"
    assert bundle.path.is_dir()


def test_fewer_than_twenty_drugs_with_training_edges_are_enough(tmp_path: Path) -> None:
    graph = small_graph(drugs=60, diseases=120)
    edges = {}
    for edge_type, (heads, tails) in graph.edges.items():
        kept = heads < 12 if edge_type.head == "drug" else np.ones(len(heads), dtype=bool)
        edges[edge_type] = heads[kept], tails[kept]
    # Forty more drugs stand in the graph, and all that is known of them is tested.
    heads, tails = edges[CONTRAINDICATION]
    edges[CONTRAINDICATION] = np.append(heads, np.arange(12, 52)), np.append(tails, np.full(40, 3))
    run = trained(tmp_path, KnowledgeGraph(graph.nodes, edges, "few"), '["DI0003", "DI0004", "DI0005", "DI0006"]')
    bundle = export_run(run)
    with Scorer(bundle.path) as scorer:
        assert len(scorer.heads) > 40
        assert len(scorer.rank_heads(bundle.example[1], bundle.example[0])) == 12
