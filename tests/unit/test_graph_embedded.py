"""The embedded graph: its size, and that what is planted in it can be found on diseases without known drugs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from flykd_console.graph.formats.primekg_shape import NODE_TYPES, RELATIONS
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from flykd_console.graph.sources.embedded import SIZE, embedded_graph

LABELS = ("contraindication", "indication")


@pytest.fixture(scope="module")
def graph() -> KnowledgeGraph:
    return embedded_graph()


def _edges(graph: KnowledgeGraph, relation: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    kind = RELATIONS[relation]
    return graph.edges[EdgeType(kind.head, relation, kind.tail)]


def test_it_has_primekgs_types_and_relations_in_the_sizes_asked_for(graph: KnowledgeGraph) -> None:
    assert set(graph.nodes) == set(NODE_TYPES)
    assert {e.relation for e in graph.edges} == set(RELATIONS)
    assert {name: graph.count(name) for name in graph.nodes} == SIZE.nodes
    assert {e.relation: len(pairs[0]) for e, pairs in graph.edges.items()} == SIZE.edges
    assert 4_000 <= graph.node_count <= 5_000
    assert 50_000 <= graph.edge_count <= 70_000


def test_about_six_hundred_diseases_have_drug_edges(graph: KnowledgeGraph) -> None:
    labelled = np.unique(np.concatenate([_edges(graph, relation)[1] for relation in (*LABELS, "off-label use")]))
    assert 580 <= len(labelled) <= 640
    assert len(_edges(graph, "indication")[0]) == 2_500
    assert len(_edges(graph, "contraindication")[0]) == 6_000


def test_it_is_the_same_every_time(graph: KnowledgeGraph) -> None:
    assert embedded_graph().fingerprint == graph.fingerprint


def test_the_labels_of_unseen_diseases_follow_from_their_neighbourhood(graph: KnowledgeGraph) -> None:
    """A disease resembles those whose proteins' surroundings it shares; their drugs are its. Degrees tell less."""
    neighbourhood = _disease_neighbourhoods(graph)
    similarity = neighbourhood @ neighbourhood.T
    proteins = np.bincount(_edges(graph, "disease_protein")[1], minlength=graph.count("disease"))
    for relation in LABELS:
        by_message, by_drug, by_degree = [], [], []
        for seed in range(5):
            train, heads, tails, truth = _unseen_pairs(graph, relation, seed)
            known = sp.csr_array((np.ones(len(train[0])), train), shape=(graph.count("drug"), graph.count("disease")))
            support = known @ similarity.T
            score = support[heads, tails] / np.maximum(known.sum(axis=1)[heads], 1.0)
            drug_degree = known.sum(axis=1)[heads]
            by_message.append(average_precision_score(truth, score))
            by_drug.append(average_precision_score(truth, drug_degree))
            by_degree.append(average_precision_score(truth, drug_degree * proteins[tails]))
        assert np.mean(by_message) > 0.72, relation
        assert np.mean(by_message) > np.mean(by_drug) + 0.15, relation
        assert np.mean(by_message) > np.mean(by_degree) + 0.1, relation
        assert 0.52 < np.mean(by_degree) < 0.66, relation


def test_without_the_proteins_the_signal_is_gone(graph: KnowledgeGraph) -> None:
    """The counter-check of the test above: shuffling the diseases' neighbourhoods brings the ranking down to chance."""
    rng = np.random.default_rng(0)
    neighbourhood = _disease_neighbourhoods(graph)[rng.permutation(graph.count("disease"))]
    similarity = neighbourhood @ neighbourhood.T
    scores = []
    for seed in range(5):
        train, heads, tails, truth = _unseen_pairs(graph, "indication", seed)
        known = sp.csr_array((np.ones(len(train[0])), train), shape=(graph.count("drug"), graph.count("disease")))
        scores.append(average_precision_score(truth, (known @ similarity.T)[heads, tails]))
    assert abs(np.mean(scores) - 0.5) < 0.08


def _disease_neighbourhoods(graph: KnowledgeGraph) -> NDArray[np.float64]:
    """Per disease the mean over its proteins of what they interact with and take part in, centred and normalised."""
    parts = []
    n_proteins = graph.count("gene/protein")
    interacting, partner = _edges(graph, "protein_protein")
    parts.append(_matrix(np.r_[interacting, partner], np.r_[partner, interacting], n_proteins, n_proteins))
    for relation in ("pathway_protein", "bioprocess_protein"):
        parts.append(_matrix(*_edges(graph, relation), n_proteins, graph.count(RELATIONS[relation].tail)))
    protein, disease = _edges(graph, "disease_protein")
    carried = (_matrix(disease, protein, graph.count("disease"), n_proteins) @ sp.hstack(parts)).toarray()
    carried -= carried.mean(axis=0)
    return np.asarray(carried / np.maximum(np.linalg.norm(carried, axis=1, keepdims=True), 1e-12))


def _matrix(rows: NDArray[np.int64], columns: NDArray[np.int64], n_rows: int, n_columns: int) -> sp.csr_array:
    matrix = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(n_rows, n_columns))
    return sp.csr_array(sp.diags_array(1.0 / np.maximum(matrix.sum(axis=1), 1.0)) @ matrix)


def _unseen_pairs(
    graph: KnowledgeGraph, relation: str, seed: int
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Training pairs; those of a held-out tenth of the diseases, with a negative each: same drug, any such disease."""
    rng = np.random.default_rng(seed)
    heads, tails = _edges(graph, relation)
    diseases = np.unique(tails)
    held_out = np.isin(tails, rng.choice(diseases, len(diseases) // 10, replace=False))
    positive = heads[held_out], tails[held_out]
    negative = rng.choice(np.unique(positive[1]), len(positive[1]))
    truth = np.r_[np.ones(len(negative), np.int64), np.zeros(len(negative), np.int64)]
    return (heads[~held_out], tails[~held_out]), np.r_[positive[0], positive[0]], np.r_[positive[1], negative], truth
