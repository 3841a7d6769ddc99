"""Nodes as samples: their splits, what training sees of later ones, and that nothing is remembered too long."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from flykd_console.data.attributed import AttributedGraph
from flykd_console.data.citations import citations
from flykd_console.data.node_splits import split_nodes
from flykd_console.errors import UserError
from flykd_console.profile.models import models_of
from flykd_console.profile.samples import Data
from flykd_console.profile.sections import Engine
from flykd_console.tasks.node_classification.samples import NodeSamples
from tests.support.tiny_cohort import cohort_profile, cohort_task, small_citations

CPU = torch.device("cpu")


def test_the_embedded_graph_is_the_same_whenever_it_is_made() -> None:
    first, second = citations(), citations()
    assert first.fingerprint == second.fingerprint
    assert (first.nodes, first.classes) == (1500, 6)
    assert {part: len(nodes) for part, nodes in first.parts.items()} == {"train": 72, "validation": 300, "test": 700}


def test_so_many_nodes_a_class_by_seed() -> None:
    graph, data = small_citations(), Data(split="per_class", per_class=(3, 4))
    parts = split_nodes(graph, data, 1)
    assert np.bincount(graph.labels[parts["train"]]).tolist() == [3, 3, 3]
    assert np.bincount(graph.labels[parts["validation"]]).tolist() == [4, 4, 4]
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(graph.nodes))
    assert parts["train"].tolist() == split_nodes(graph, data, 1)["train"].tolist()
    assert parts["train"].tolist() != split_nodes(graph, data, 2)["train"].tolist()


def _without(graph: AttributedGraph, **changed: Any) -> AttributedGraph:
    from dataclasses import replace

    return replace(graph, **changed)


@pytest.mark.parametrize(
    ("changed", "data", "said"),
    [
        ({"parts": {}}, Data(), "has no split of its own"),
        ({"years": None}, Data(split="by_time", cuts=(1991, 1995)), "knows no year"),
        ({}, Data(split="per_class", per_class=(20, 30)), "class 0 has 20 nodes"),
        ({}, Data(split="by_time", cuts=(1991, 3000)), "test part has no node"),
        ({"classes": 4}, Data(), "class 3 has no node to train on"),
    ],
)
def test_splits_that_cannot_be_made_are_refused(changed: dict[str, Any], data: Data, said: str) -> None:
    with pytest.raises(UserError, match=said):
        split_nodes(_without(small_citations(), **changed), data, 0)


def test_what_comes_later_changes_nothing_that_is_learnt() -> None:
    """Split by time, labels, words and citations of later nodes may be anything: training gives the same bits."""
    data = Data(split="by_time", cuts=(1997, 2003))
    graph = small_citations()
    early = np.flatnonzero(graph.years <= 1997)  # type: ignore[operator]
    later_edges = ~np.isin(graph.edges, early).all(axis=1)
    edges = graph.edges.copy()
    edges[later_edges] = np.sort((edges[later_edges] + 1) % graph.nodes, axis=1)
    kept = np.isin(edges, early).all(axis=1) & later_edges
    edges = edges[~kept & (edges[:, 0] != edges[:, 1])]
    features = graph.features.toarray()
    features[len(early) :] = features[len(early) :][::-1]
    import scipy.sparse as sp

    other = _without(graph, edges=edges, features=sp.csr_array(features))
    found = []
    for one in (graph, other):
        samples = NodeSamples(one, data, Engine(), 0, CPU)
        (step,) = samples.steps(0)
        network = samples.network(cohort_profile().cohort.members["gcn"], torch.Generator().manual_seed(0))
        found.append(network.see(step.sight, torch.Generator().manual_seed(1)).logits)
        assert len(found[-1]) == len(early)
        assert step.answers.labels.tolist() == one.labels[early].tolist()
    assert torch.equal(*found)
    whole = [NodeSamples(one, Data(), Engine(), 0, CPU) for one in (graph, other)]
    seen = [
        one.network(cohort_profile().cohort.members["gcn"], torch.Generator().manual_seed(0)).see(one.whole).logits
        for one in whole
    ]
    # The same test on the whole graph fails: it can tell.
    assert not torch.equal(seen[0][early], seen[1][early])


def test_answers_are_those_of_the_weights_as_they_are_now() -> None:
    """A fused optimiser changes weights without counting their version up."""
    profile = cohort_profile(members={"gcn": {"kind": "gcn", "dim": 8}})
    task = cohort_task(profile)
    spec = next(spec for spec in models_of(profile) if spec.together)
    model = task.new_model(spec)
    objective = task.taught_together([spec], {"gcn": model}, [])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=True)
    before = task.samples.answers_of(model)["test"].clone()
    for losses in objective.steps(0, {"labels": 1.0}):
        losses["total"].backward()
        optimizer.step()
    after = task.samples.answers_of(model)["test"]
    assert not torch.equal(before, after)
    assert task.samples.answers_of(model)["test"] is not before
    model.load_tensors({name: torch.zeros_like(p) for name, p in model.named_parameters()})
    assert task.samples.answers_of(model)["test"].abs().sum() == 0.0
