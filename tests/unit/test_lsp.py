"""Local structure preservation against its definition: by hand, by plain loops, and its gradients by differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

from flykd_console.distill.matching.local_structure import (
    EdgeList,
    LocalStructure,
    Neighbourhood,
    divergence,
    log_softmax,
    similarities,
)
from flykd_console.graph.knowledge_graph import EdgeType, Pairs

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
CPU = torch.device("cpu")
KERNELS = ["rbf", "cosine", "l2", "polynomial"]
SAME = EdgeType("disease", "disease_disease", "disease")
PROTEIN = EdgeType("gene/protein", "disease_protein", "disease")
PHENOTYPE = EdgeType("disease", "disease_phenotype", "phenotype")


def _plain(kernel: str, sigma: float) -> Callable[[Tensor, Tensor], Tensor]:
    return {
        "rbf": lambda v, u: torch.exp(-(v - u).square().sum() / (2 * sigma**2)),
        "cosine": lambda v, u: torch.nn.functional.cosine_similarity(v, u, dim=0),
        "l2": lambda v, u: -(v - u).norm(),
        "polynomial": lambda v, u: (v @ u + 2.0) ** 2,
    }[kernel]


def _edges() -> dict[EdgeType, Pairs]:
    """Repeated edges, a self loop, a disease without neighbours (4), one with a single neighbour (3)."""
    return {
        SAME: (np.array([0, 1, 1, 2, 2]), np.array([1, 0, 2, 2, 0])),
        PROTEIN: (np.array([5, 7, 5, 5, 9]), np.array([0, 0, 2, 2, 3])),
        PHENOTYPE: (np.array([0, 2]), np.array([1, 4])),
        EdgeType("drug", "drug_protein", "gene/protein"): (np.array([0]), np.array([5])),
    }


def _random_table(rows: int, dim: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(rows, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_neighbours_are_distinct_symmetric_and_never_the_node_itself() -> None:
    partial = Neighbourhood(_edges(), "disease", ["disease_disease", "disease_protein"])
    assert list(partial.nodes) == ["disease", "gene/protein"]
    assert partial.nodes["disease"].tolist() == [0, 1, 2, 3]
    assert partial.nodes["gene/protein"].tolist() == [5, 7, 9]
    # Columns: diseases 0 to 3, then proteins 5, 7, 9.
    assert partial.matrix.toarray().tolist() == [
        [0, 1, 1, 0, 1, 1, 0],
        [1, 0, 1, 0, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1],
    ]
    full = Neighbourhood(_edges(), "disease")
    assert list(full.nodes) == ["disease", "gene/protein", "phenotype"]
    assert full.matrix.toarray()[:, 7:].tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]


@pytest.mark.parametrize("kernel", KERNELS)
def test_similarities_equal_their_definition(kernel: str) -> None:
    matrix = Neighbourhood(_edges(), "disease").matrix
    table = _random_table(matrix.shape[1])
    found = similarities(table, EdgeList(matrix, CPU), kernel, 0.7)
    coordinates = matrix.tocoo()
    define = _plain(kernel, 0.7)
    expected = [define(table[v], table[u]) for v, u in zip(coordinates.row, coordinates.col, strict=True)]
    assert torch.allclose(found, torch.stack(expected), atol=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
def test_gradients_agree_with_differences(kernel: str) -> None:
    edges = EdgeList(Neighbourhood(_edges(), "disease").matrix, CPU)
    teacher = log_softmax(similarities(_random_table(edges.shape[1], 5, 1), edges, kernel), edges)
    table = _random_table(edges.shape[1]).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: similarities(x, edges, kernel, 0.7), (table,))
    assert torch.autograd.gradcheck(lambda x: divergence(similarities(x, edges, kernel, 0.7), teacher, edges), (table,))


def test_the_divergence_of_two_tails_is_what_a_pencil_gives() -> None:
    # Tail 0 has two neighbours, tail 1 one, whose softmax is 1 whatever the scores.
    edges = EdgeList(sp.csr_array(np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])), CPU)
    teacher = torch.log(torch.tensor([0.75, 0.25, 1.0]))
    scores = torch.tensor([0.3, 0.3, 5.0])
    by_hand = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert divergence(scores, teacher, edges).item() == pytest.approx(by_hand / 2 / 2, rel=1e-6)
    assert torch.allclose(
        log_softmax(torch.tensor([0.0, math.log(3.0), -4.0]), edges).exp(), torch.tensor([0.25, 0.75, 1.0])
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_loss_equals_loops_over_tails_layers_and_neighbours(kernel: str) -> None:
    neighbourhood = Neighbourhood(_edges(), "disease", ["disease_disease", "disease_protein"])
    sizes = {t: len(nodes) for t, nodes in neighbourhood.nodes.items()}
    sigmas = [0.5, 2.0]

    def layers(dim: int, seed: int) -> list[dict[str, Tensor]]:
        return [
            {t: _random_table(n, dim, seed + i) for i, (t, n) in enumerate(sizes.items())} for seed in (seed, -seed)
        ]

    teacher, student = layers(5, 10), layers(3, 20)
    found = LocalStructure(neighbourhood, [teacher], CPU, kernel, sigmas)(student)
    total = []
    for of_teacher, of_student, sigma in zip(teacher, student, sigmas, strict=True):
        define = _plain(kernel, sigma)
        tables = [torch.cat(list(layer.values())) for layer in (of_teacher, of_student)]
        for tail, row in enumerate(neighbourhood.matrix.toarray()):
            neighbours = np.flatnonzero(row)
            p, q = (torch.softmax(torch.stack([define(x[tail], x[u]) for u in neighbours]), 0) for x in tables)
            total.append((p * (p / q).log()).sum() / len(neighbours))
    assert found.item() == pytest.approx(torch.stack(total).mean().item(), rel=1e-9)


def test_a_student_with_the_teachers_rows_has_no_loss_and_no_gradient() -> None:
    neighbourhood = Neighbourhood(_edges(), "disease")
    rows = {t: torch.randn(len(nodes), 4) for t, nodes in neighbourhood.nodes.items()}
    loss = LocalStructure(neighbourhood, [[rows]], CPU, "rbf", [3.0])
    student = {t: x.clone().requires_grad_() for t, x in rows.items()}
    value = loss([student])
    gradients = torch.autograd.grad(value, list(student.values()))
    assert value.item() == 0.0
    assert all(torch.equal(g, torch.zeros_like(g)) for g in gradients)


def test_the_targets_of_several_teachers_are_the_mean_of_their_softmaxes() -> None:
    neighbourhood = Neighbourhood(_edges(), "disease")
    edges = EdgeList(neighbourhood.matrix, CPU)
    draws = torch.Generator().manual_seed(0)
    rows = [
        {t: torch.randn(len(nodes), 4, generator=draws) for t, nodes in neighbourhood.nodes.items()} for _ in range(3)
    ]
    first, second, student = rows
    tables = [torch.cat(list(r.values())) for r in rows]
    mean = sum(log_softmax(similarities(x, edges, "rbf", 3.0), edges).exp() for x in tables[:2]) / 2
    found = LocalStructure(neighbourhood, [[first], [second]], CPU, "rbf", [3.0])([student])
    expected = divergence(similarities(tables[2], edges, "rbf", 3.0), torch.as_tensor(mean).log(), edges)
    # A small rest of sums of order one, in float32.
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)
    assert expected.item() > 1e-4
