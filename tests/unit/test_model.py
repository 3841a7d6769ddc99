"""Parameters, decoder and pooling against what the papers define."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from flykd_console.graph.knowledge_graph import EdgeType, Targets
from flykd_console.graph.similarity import profile_relations, tail_profiles
from flykd_console.heuristics.base import TrainingEdges
from flykd_console.heuristics.neighbours import Neighbours
from flykd_console.model.disease_pooling import pooling_maps
from flykd_console.model.distmult import all_logits, pair_logits
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.model.sparse import FixedSparse
from flykd_console.profile import sections
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

FIFTY = [EdgeType("drug", f"r{i}", "disease") for i in range(50)]


@pytest.mark.parametrize(("dim", "expected"), [(130, 1_709_500), (80, 652_000)])
def test_parameter_counts_are_those_of_the_published_weights(dim: int, expected: int) -> None:
    model = HeteroRGCN({"drug": 3, "disease": 2}, FIFTY, dim, torch.Generator().manual_seed(0))
    assert model.parameter_count == expected


def test_inputs_are_xavier_uniform_and_not_trained() -> None:
    model = HeteroRGCN({"drug": 4000, "disease": 2}, FIFTY, 80, torch.Generator().manual_seed(0))
    bound = (6 / (4000 + 80)) ** 0.5
    assert 0.99 * bound < model.inputs["drug"].abs().max().item() <= bound
    assert not any("inputs" in name for name, _ in model.named_parameters())


def test_loading_tensors_of_another_shape_is_refused() -> None:
    small = HeteroRGCN({"drug": 3, "disease": 2}, FIFTY, 4, torch.Generator().manual_seed(0))
    large = HeteroRGCN({"drug": 3, "disease": 2}, FIFTY, 5, torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="expected shape"):
        small.load_tensors(large.tensors())
    with pytest.raises(ValueError, match="missing"):
        small.load_tensors({})


def test_all_logits_and_pair_logits_are_the_trilinear_product() -> None:
    rng = torch.Generator().manual_seed(0)
    heads, relation, tails = (torch.randn(*shape, generator=rng) for shape in ((3, 5), (5,), (4, 5)))
    expected = torch.tensor([[sum(h[i] * relation[i] * t[i] for i in range(5)) for t in tails] for h in heads])
    assert torch.allclose(all_logits(heads, relation, tails), expected, atol=1e-6)
    assert torch.allclose(pair_logits(heads, relation, tails[:3]), expected.diagonal()[:3], atol=1e-6)


def test_fixed_sparse_multiplies_and_differentiates_like_the_dense_matrix() -> None:
    import scipy.sparse as sp

    matrix = sp.random_array((6, 9), density=0.3, rng=np.random.default_rng(0), dtype=np.float32, format="csr")
    dense = torch.from_numpy(matrix.toarray())
    x = torch.randn(9, 3, requires_grad=True)
    weight = torch.randn(6, 3)
    (expected,) = torch.autograd.grad((dense @ x * weight).sum(), x)
    (found,) = torch.autograd.grad(((FixedSparse(matrix) @ x) * weight).sum(), x)
    assert torch.allclose(FixedSparse(matrix) @ x, dense @ x, atol=1e-6)
    assert torch.allclose(found, expected, atol=1e-6)


def _pooled_by_hand(relation: EdgeType, settings: sections.Pooling) -> np.ndarray:
    """The pooling as its paper states it, disease by disease."""
    graph = small_graph()
    count = graph.count("disease")
    profiles: list[set[tuple[str, int]]] = [set() for _ in range(count)]
    for head, tail in zip(*graph.edges[EdgeType("disease", "disease_disease", "disease")], strict=True):
        profiles[head].add(("disease", int(tail)))
        profiles[tail].add(("disease", int(head)))
    for protein, disease in zip(*graph.edges[EdgeType("gene/protein", "disease_protein", "disease")], strict=True):
        profiles[disease].add(("protein", int(protein)))
    degree = np.bincount(graph.edges[relation][1], minlength=count)
    matrix = np.zeros((count, count))
    for i in range(count):
        gate = settings.decay * np.exp(-settings.decay * degree[i]) + settings.floor
        matrix[i, i] = 1 - gate
        similar = []
        for j in np.flatnonzero(degree):
            shared = len(profiles[i] & profiles[j])
            if j != i and shared:
                similar.append((-shared / np.sqrt(len(profiles[i]) * len(profiles[j])), j))
        best = sorted(similar)[: settings.neighbours]
        for value, j in best:
            matrix[i, j] += gate * value / sum(v for v, _ in best)
    return matrix


@pytest.mark.parametrize("relation", [INDICATION, CONTRAINDICATION])
def test_disease_pooling_is_the_papers_formula(relation: EdgeType) -> None:
    graph, settings = small_graph(), sections.Pooling()
    maps = pooling_maps(graph.edges, Targets([relation]), graph.count("disease"), settings)
    assert maps is not None
    np.testing.assert_allclose(maps[relation.relation].toarray(), _pooled_by_hand(relation, settings), atol=1e-6)
    assert np.diff(maps[relation.relation].indptr).max() <= settings.neighbours + 1


def test_disease_pooling_is_off_without_profile_relations() -> None:
    graph = small_graph()
    settings = sections.Pooling(relations=["no_such_relation"])
    assert pooling_maps(graph.edges, Targets([INDICATION]), graph.count("disease"), settings) is None
    assert (
        pooling_maps(graph.edges, Targets([INDICATION]), graph.count("disease"), sections.Pooling(enabled=False))
        is None
    )


def test_the_published_code_gives_a_tail_another_nodes_profile_where_the_relation_leaves_the_tails() -> None:
    leaving = EdgeType("disease", "disease_protein", "gene/protein")
    leading = EdgeType("gene/protein", "disease_protein", "disease")
    diseases, genes = np.array([0, 0, 2]), np.array([1, 2, 5])

    def dense(
        edges: dict[EdgeType, tuple[np.ndarray, np.ndarray]], direction: Literal["either", "published"]
    ) -> list[list[int]]:
        profiles = tail_profiles(edges, "disease", 3, ["disease_protein"], direction)
        return [] if profiles is None else (profiles.toarray() > 0).astype(int).tolist()

    right = [[0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]]
    assert dense({leading: (genes, diseases)}, "either") == right
    assert dense({leading: (genes, diseases)}, "published") == right
    assert dense({leaving: (diseases, genes)}, "either") == right
    # Genes 1 and 2 belong to disease 0; gene 5 has no disease of its number, and disease 0 no gene.
    assert dense({leaving: (diseases, genes)}, "published") == [[0], [1], [1]]
    assert dense({leaving: (diseases[2:], genes[2:])}, "published") == []


def test_profiles_of_all_relations_weighed_by_rarity_are_those_of_the_heuristic_neighbours() -> None:
    graph = small_graph()
    targets, count = Targets([CONTRAINDICATION, INDICATION]), graph.count("disease")
    settings = sections.Pooling(all_relations=True, weights="rarity", neighbours=20)
    relations = profile_relations(graph.edges, targets, settings)
    touching = {e.relation for e in graph.edges if "disease" in (e.head, e.tail)}
    assert set(relations) == (touching | set(settings.relations)) - {"contraindication", "indication"}
    found = tail_profiles(graph.edges, "disease", count, relations, weights="rarity")
    assert found is not None
    counts = {node_type: graph.count(node_type) for node_type in graph.nodes}
    expected = Neighbours(TrainingEdges(graph.edges, targets, counts, 45)).profiles
    np.testing.assert_allclose((found @ found.T).toarray(), (expected @ expected.T).toarray(), atol=1e-6)

    maps = pooling_maps(graph.edges, targets, count, settings)
    plain = pooling_maps(graph.edges, targets, count, sections.Pooling())
    assert maps is not None
    assert plain is not None
    similar = (found @ found.T).toarray()
    np.fill_diagonal(similar, -1.0)
    degree = np.bincount(graph.edges[INDICATION][1], minlength=count)
    similar[:, degree == 0] = -1.0
    borrowed = maps["indication"].toarray()
    np.fill_diagonal(borrowed, 0.0)
    for row in range(count):
        best = np.sort(similar[row])[::-1][:20]
        assert np.count_nonzero(borrowed[row]) == np.count_nonzero(best > 0.0)
        assert set(np.flatnonzero(borrowed[row])) <= set(np.flatnonzero(similar[row] >= best[-1] - 1e-6))
    assert np.diff(maps["indication"].indptr).max() > np.diff(plain["indication"].indptr).max()
