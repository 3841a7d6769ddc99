"""Nodes whose edges are of several relations: files, the layer against loops, what training may see, changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from flykd_console.data.attributed import UNKNOWN, AttributedGraph, directed
from flykd_console.data.authors import authors
from flykd_console.data.npz import read_attributed
from flykd_console.data.perturb import retyped
from flykd_console.errors import UserError
from flykd_console.model.encoders.layers import Relational, Rows
from flykd_console.model.neighbourhoods import Neighbourhoods
from flykd_console.profile.cohort_models import cohort_specs
from flykd_console.profile.schema import Profile
from flykd_console.tasks.classification.task import Classification
from flykd_console.tasks.node_classification.samples import NodeSamples
from tests.support.tiny_cohort import cohort_profile, cohort_task, small_citations, write_npz

CPU = torch.device("cpu")
RGCN = {"m": {"kind": "rgcn", "dim": 4, "dropout": 0.0}}


def typed_citations() -> AttributedGraph:
    graph = small_citations()
    kinds = np.arange(len(graph.edges)) % 3
    # Of every second edge the direction is the other one.
    edges = np.where((np.arange(len(graph.edges)) % 2 == 0)[:, None], graph.edges, graph.edges[:, ::-1])
    return replace(graph, typed=directed(edges, kinds))


def write_typed(path: Path, graph: AttributedGraph, **changed: Any) -> Path:
    assert graph.typed is not None
    return write_npz(path, graph, **({"edges": graph.typed[:, :2], "edge_type": graph.typed[:, 2]} | changed))


def task_of(graph: AttributedGraph, data: dict[str, Any] | None = None, **cohort: Any) -> Classification:
    profile = Profile.model_validate(
        {
            "task": {"kind": "node_classification"},
            "data": data or {},
            "cohort": {"members": RGCN, "epochs": 3} | cohort,
            "run": {"seeds": [0]},
        }
    )
    samples = NodeSamples(graph, profile.data, profile.engine, 0, CPU)
    return Classification(profile, samples, 0, CPU)


def test_the_layer_hears_every_relation_in_either_direction() -> None:
    graph = typed_citations()
    assert graph.typed is not None
    around = Neighbourhoods(graph.edges, graph.nodes, CPU, typed=graph.typed, relations=3)
    layer = Relational(5, 4, 3, torch.Generator().manual_seed(0))
    rows = torch.randn(graph.nodes, 5, generator=torch.Generator().manual_seed(1))
    own, *others = layer.weight.split(4, dim=1)
    wanted = rows @ own + layer.bias
    for relation in range(3):
        for place, (hears, heard) in enumerate(((1, 0), (0, 1))):
            matrix = others[2 * relation + place]
            for node in range(graph.nodes):
                kept = (graph.typed[:, 2] == relation) & (graph.typed[:, hears] == node)
                neighbours = graph.typed[kept][:, heard]
                if len(neighbours):
                    wanted[node] = wanted[node] + (rows[neighbours] @ matrix).mean(dim=0)
    torch.testing.assert_close(layer.hear(Rows(dense=rows), around, 0.0, None).rows, wanted)


def test_a_file_with_relations_reads_as_it_was_written(tmp_path: Path) -> None:
    graph = typed_citations()
    read = read_attributed(write_typed(tmp_path / "typed.npz", graph))
    assert read.typed is not None
    assert graph.typed is not None
    assert np.array_equal(read.typed, graph.typed)
    assert read.relations == 3
    assert np.array_equal(read.edges, graph.edges)
    plain = read_attributed(write_npz(tmp_path / "plain.npz", small_citations()))
    assert (plain.typed, plain.relations) == (None, 0)
    assert plain.fingerprint != read.fingerprint
    assert plain.fingerprint == replace(read, typed=None).fingerprint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda kinds: kinds[:-1], "edge_type has"),
        (lambda kinds: kinds - 1, "edge_type: -1 is below 0"),
        (lambda kinds: np.where(kinds == 1, 5, kinds), "no edge is of relation 1"),
        (lambda kinds: kinds.astype(np.float32), "whole numbers of 1 dimensions are wanted"),
    ],
)
def test_relations_that_do_not_fit_are_refused(tmp_path: Path, change: Any, said: str) -> None:
    graph = typed_citations()
    assert graph.typed is not None
    path = write_typed(tmp_path / "bad.npz", graph, edge_type=change(graph.typed[:, 2]))
    with pytest.raises(UserError, match=said):
        read_attributed(path)


def test_edges_of_one_relation_have_no_rgcn() -> None:
    task = cohort_task(cohort_profile(members=RGCN))
    with pytest.raises(UserError, match="all of one relation"):
        task.check(cohort_specs(task.profile.cohort))
    task = task_of(typed_citations())
    task.check(cohort_specs(task.profile.cohort))


@pytest.mark.parametrize(
    ("kind", "cohort", "said"),
    [
        ("graph_classification", {"members": RGCN}, "kind = 'rgcn' is of nodes"),
        (
            "node_classification",
            {
                "members": {"gcn": {}},
                "teacher": {"kind": "rgcn"},
                "distill": {"structure_weight": 1.0, "structure_target": "gradient"},
            },
            "'gradient' is not of an rgcn",
        ),
    ],
)
def test_settings_that_an_rgcn_has_not_are_refused(kind: str, cohort: dict[str, Any], said: str) -> None:
    data = {"split": "folds"} if kind == "graph_classification" else {}
    with pytest.raises(ValidationError, match=said):
        Profile.model_validate({"task": {"kind": kind}, "data": data, "cohort": cohort})


def test_training_by_time_sees_no_relation_to_a_later_node() -> None:
    graph = typed_citations()
    assert graph.typed is not None
    cuts = {"split": "by_time", "cuts": [1996, 2002]}
    task = task_of(graph, cuts)
    assert graph.years is not None
    early = (graph.years[graph.typed[:, :2]] <= 1996).all(axis=1)
    later = replace(graph, typed=graph.typed[early])
    # Relations that are heard in training are the same when all later ones are gone.
    step, other = (next(one.samples.steps(0)) for one in (task, task_of(later, cuts)))
    model = task.new_model(cohort_specs(task.profile.cohort)[0])
    assert torch.equal(model.see(step.sight).logits, model.see(other.sight).logits)


def test_relations_follow_edges_that_are_left_out_or_come() -> None:
    graph = typed_citations()
    assert graph.typed is not None
    rng = np.random.default_rng(0)
    fewer = retyped(graph.typed, graph.edges[::2], rng)
    assert {tuple(sorted(pair)) for pair in fewer[:, :2].tolist()} == {tuple(e) for e in graph.edges[::2].tolist()}
    missing = np.array([[0, 1], [0, 2], [1, 2]])
    new = missing[[list(pair) not in graph.edges.tolist() for pair in missing]]
    more = retyped(graph.typed, np.concatenate([graph.edges, new]), rng)
    assert len(more) == len(graph.typed) + len(new)
    assert set(more[:, 2]) <= {0, 1, 2}
    task = task_of(graph, robustness={"edges_removed": [0.5], "edges_added": [0.5], "draws": 1})
    model = task.new_model(cohort_specs(task.profile.cohort)[0])
    found = task.assess("m", [model])[0].metrics
    assert {"edges_removed@0.5", "edges_added@0.5"} <= found.keys()


def test_the_shipped_graph_tells_papers_alone_and_its_relations_differ() -> None:
    graph = authors()
    assert graph.typed is not None
    assert graph.relations == 4
    assert (graph.labels[:800] != UNKNOWN).all()
    assert (graph.labels[800:] == UNKNOWN).all()
    cites = graph.typed[graph.typed[:, 2] == 0]
    assert (graph.labels[cites[:, 0]] == graph.labels[cites[:, 1]]).mean() < 0.1
    assert graph.fingerprint == authors().fingerprint
