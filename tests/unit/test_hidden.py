"""Matching of hidden layers against its definition, and its maps' life in a checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.distill.matching.hidden_layers import HiddenMatching, Nodes, matched_nodes
from flykd_console.distill.matching.layer_rows import LayerRows
from flykd_console.graph.knowledge_graph import EdgeType, Targets
from flykd_console.model.message_graph import MessageGraph

TREATS = EdgeType("drug", "treats", "disease")
SCORED = ["disease", "drug"]


def _graph() -> MessageGraph:
    """Drug 3 and protein 2 have no edge; a repeated edge; phenotypes touch no scored node."""
    edges = {
        TREATS: (np.array([0, 1, 1, 1]), np.array([0, 0, 2, 2])),
        EdgeType("protein", "causes", "disease"): (np.array([0, 1, 1]), np.array([1, 1, 2])),
        EdgeType("phenotype", "of", "protein"): (np.array([0, 1]), np.array([0, 1])),
        EdgeType("drug", "like", "drug"): (np.array([0]), np.array([2])),
    }
    return MessageGraph.of(edges, {"drug": 4, "disease": 3, "protein": 3, "phenotype": 2})


def _rows(nodes: Nodes, dim: int, seed: int) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {t: torch.randn(len(n), dim, generator=rng) for t, n in nodes.items()}


def _matching(nodes: list[Nodes], teachers: list[list[dict[str, Tensor]]], dim: int, **settings: Any) -> HiddenMatching:
    generator = torch.Generator().manual_seed(0)
    return HiddenMatching(_graph(), nodes, SCORED, teachers, dim, generator, **settings)


def test_the_nodes_compared_are_those_that_messages_reach() -> None:
    inner = matched_nodes(_graph(), Targets([TREATS]), last=False)
    assert {t: n.tolist() for t, n in inner.items()} == {"disease": [0, 1, 2], "drug": [0, 1, 2], "protein": [0, 1]}
    assert sorted(matched_nodes(_graph(), Targets([TREATS]), last=True)) == ["disease", "drug"]


@pytest.mark.parametrize("loss", ["mse", "cosine"])
@pytest.mark.parametrize("attention", ["none", "degree"])
def test_the_loss_is_a_weighted_mean_per_type(loss: str, attention: str) -> None:
    nodes = matched_nodes(_graph(), Targets([TREATS]), last=False)
    teacher, student = _rows(nodes, 5, 1), _rows(nodes, 3, 2)
    matching = _matching([nodes], [[teacher]], 3, kind=loss, attention=attention)
    # Training edges of the diseases, the drugs (0, 1, 2) and the proteins (0, 1).
    degrees = {"disease": [2.0, 2.0, 3.0], "drug": [2.0, 3.0, 1.0], "protein": [2.0, 3.0]}
    each = []
    for number, node_type in enumerate(nodes):
        weights = torch.tensor(degrees[node_type]) if attention == "degree" else torch.ones(len(nodes[node_type]))
        mapped, target = student[node_type] @ matching.parameters[number], teacher[node_type]
        if loss == "mse":
            misses, size = (mapped - target).square().sum(1), target.square().sum(1)
            each.append((weights * misses).sum() / (weights * size).sum())
        else:
            misses = 1.0 - functional.cosine_similarity(mapped, target, dim=1)
            each.append((weights * misses).sum() / weights.sum())
    assert matching([student]).item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-5)


def test_types_may_share_one_map_and_one_mean() -> None:
    nodes = matched_nodes(_graph(), Targets([TREATS]), last=False)
    teacher, student = _rows(nodes, 5, 1), _rows(nodes, 3, 2)
    matching = _matching([nodes], [[teacher]], 3, per_type=False)
    assert len(matching.parameters) == 1
    h, g = torch.cat(list(student.values())), torch.cat(list(teacher.values()))
    expected = (h @ matching.parameters[0] - g).square().sum() / g.square().sum()
    assert matching([student]).item() == pytest.approx(expected.item(), rel=1e-5)


def test_neighbourhoods_are_matched_as_means_over_the_neighbours_of_scored_nodes() -> None:
    nodes = matched_nodes(_graph(), Targets([TREATS]), last=True)
    teacher, student = _rows(nodes, 5, 1), _rows(nodes, 3, 2)
    matching = _matching([nodes], [[teacher]], 3, attention="neighbourhood")
    # Of the diseases 0 and 2, and of the drugs 0, 1, 2: their distinct disease and drug neighbours.
    neighbours = {"disease": [[0], [0, 2]], "drug": [[0, 1], [1], [2], [0]]}
    each = []
    for number, node_type in enumerate(["disease", "drug"]):
        h, g = (
            torch.stack([table[node_type][around].mean(0) for around in neighbours[node_type]])
            for table in (student, teacher)
        )
        each.append((h @ matching.parameters[number] - g).square().sum() / g.square().sum())
    assert matching([student]).item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-5)


def test_the_loss_is_a_mean_over_layer_pairs_and_teachers_with_maps_of_their_own() -> None:
    nodes = [matched_nodes(_graph(), Targets([TREATS]), last) for last in (False, True)]
    teachers = [[_rows(n, dim, dim + i) for i, n in enumerate(nodes)] for dim in (5, 4)]
    student = [_rows(n, 3, 20 + i) for i, n in enumerate(nodes)]
    whole = _matching(nodes, teachers, 3)
    assert len(whole.parameters) == 2 * (3 + 2)
    total = count = 0.0
    maps = iter(whole.parameters)
    for pair, chosen in enumerate(nodes):
        for teacher in teachers:
            for node_type in chosen:
                g = teacher[pair][node_type]
                total += ((student[pair][node_type] @ next(maps) - g).square().sum() / g.square().sum()).item()
                count += 1
    assert whole(student).item() == pytest.approx(total / count, rel=1e-5)


def test_a_map_that_fits_leaves_no_loss_and_is_found_by_descent() -> None:
    nodes = matched_nodes(_graph(), Targets([TREATS]), last=True)
    student = _rows(nodes, 3, 2)
    teacher = {t: rows @ torch.randn(3, 6) for t, rows in student.items()}
    matching = _matching([nodes], [[teacher]], 3)
    optimizer = torch.optim.Adam(matching.parameters, lr=0.05)
    first = matching([student]).item()
    for _ in range(500):
        optimizer.zero_grad()
        loss = matching([student])
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-4 * first


@pytest.mark.parametrize("loss", ["mse", "cosine"])
@pytest.mark.parametrize("attention", ["degree", "neighbourhood"])
def test_gradients_agree_with_differences(loss: str, attention: str) -> None:
    nodes = matched_nodes(_graph(), Targets([TREATS]), last=True)
    matching = _matching([nodes], [[_rows(nodes, 4, 1)]], 3, kind=loss, attention=attention)
    rows = _rows(nodes, 3, 2)
    leaves = [x.requires_grad_() for x in rows.values()] + matching.parameters
    gradients = torch.autograd.grad(matching([rows]), leaves)
    rng = torch.Generator().manual_seed(3)
    steps = [torch.randn(x.shape, generator=rng) for x in leaves]
    with torch.no_grad():
        values = []
        for sign in (1.0, -1.0):
            for x, step in zip(leaves, steps, strict=True):
                x.add_(step, alpha=sign * 1e-2)
            values.append(matching([rows]).item())
            for x, step in zip(leaves, steps, strict=True):
                x.sub_(step, alpha=sign * 1e-2)
    expected = (values[0] - values[1]) / 2e-2
    slope = sum((g * s).sum().item() for g, s in zip(gradients, steps, strict=True))
    assert slope == pytest.approx(expected, rel=2e-2, abs=1e-4)


def test_maps_come_back_from_a_checkpoint() -> None:
    nodes = matched_nodes(_graph(), Targets([TREATS]), last=True)
    teacher, student = _rows(nodes, 4, 1), _rows(nodes, 3, 2)
    trained, fresh = (_matching([nodes], [[teacher]], 3) for _ in range(2))
    with torch.no_grad():
        for parameter in trained.parameters:
            parameter.add_(1.0)
    assert not torch.equal(trained([student]), fresh([student]))
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(trained([student]), fresh([student]))


def test_requests_for_a_layer_are_joined_and_each_reads_its_own_rows() -> None:
    rows = LayerRows(2)
    assert rows.hidden() is None
    first = rows.ask(2, {"a": np.array([1, 5]), "b": np.array([0])})
    second = rows.ask(2, {"a": np.array([3, 5])})
    asked = rows.hidden()
    assert asked is not None
    assert asked[0] == {}
    assert {t: n.tolist() for t, n in asked[1].items()} == {"a": [1, 3, 5], "b": [0]}
    layers = [{}, {t: torch.from_numpy(n).float()[:, None] for t, n in asked[1].items()}]
    assert {t: x.flatten().tolist() for t, x in first(layers).items()} == {"a": [1.0, 5.0], "b": [0.0]}
    assert second(layers)["a"].flatten().tolist() == [3.0, 5.0]
