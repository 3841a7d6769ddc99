"""What networks can represent beyond the paper's: biases as columns, degrees among the inputs, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from flykd_console.errors import UserError
from flykd_console.model.degree_inputs import put_degrees
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.profile.load import validate
from flykd_console.profile.model_spec import ModelSpec
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import LinkPrediction
from tests.support.small_graph import small_graph

PLAIN: dict[str, Any] = {"student": {"dim": 12}, "teacher": {"dim": 14}}


def _task(**sections: dict[str, Any]) -> LinkPrediction:
    profile = Profile.model_validate(PLAIN | sections)
    graph = small_graph()
    return LinkPrediction(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))


def _baseline(task: LinkPrediction) -> HeteroRGCN:
    model = task.new_model(_spec(task))
    assert isinstance(model, HeteroRGCN)
    return model


def _spec(task: LinkPrediction, name: str = "baseline") -> ModelSpec:
    return next(spec for spec in models_of(task.profile) if spec.name == name)


@pytest.mark.parametrize(("which", "more"), [("head", 2), ("tail", 1), ("both", 3)])
def test_a_logit_is_distmult_and_the_biases_of_its_ends(which: str, more: int) -> None:
    task = _task(student={"dim": 12, "biases": which})
    model = _baseline(task)
    assert model.biases is not None
    with torch.no_grad():
        for bias in model.biases.parameters():
            bias.copy_(torch.randn(bias.shape, generator=torch.Generator().manual_seed(1)))
    encoded = task.data.encode_all(model)
    biases, model.biases = model.biases, None
    plain = task.data.encode_all(model)
    assert encoded.head.shape[1] == 12 + more
    for number, target in enumerate(task.data.targets):
        name = target.relation
        heads, tails = np.arange(30), np.arange(30)[::-1].copy()
        expected = (plain.head[heads] * plain.relation[name] * plain.tails[name][tails]).sum(dim=1)
        if biases.head is not None:
            expected = expected + biases.head[number, heads]
        if biases.tail is not None:
            expected = expected + biases.tail[number, tails]
        found = (encoded.head[heads] * encoded.relation[name] * encoded.tails[name][tails]).sum(dim=1)
        assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("engine", ["auto", "dgl"])
def test_biases_learn_what_a_plain_sum_over_pairs_would_teach_them(engine: str) -> None:
    task = _task(student={"dim": 12, "biases": "both"}, engine={"propagation": engine})
    model = _baseline(task)
    objective = task.supervised(model, "baseline")
    objective(0, {"original": 1.0})["total"].backward()
    assert model.biases is not None
    assert model.biases.head is not None
    assert model.biases.tail is not None
    # Every pair's gradient goes to one head's bias and to one tail's.
    assert model.biases.head.grad is not None
    assert model.biases.tail.grad is not None
    by_head, by_tail = model.biases.head.grad.sum(dim=1), model.biases.tail.grad.sum(dim=1)
    assert torch.allclose(by_head, by_tail, atol=1e-6)
    for number, target in enumerate(task.data.targets):
        seen = np.unique(task.data.split.train[target][0])
        assert set(model.biases.head.grad[number].nonzero().flatten().tolist()) <= set(seen.tolist())


def test_a_fresh_heads_bias_is_its_popularity_and_a_tails_is_nothing() -> None:
    task = _task(student={"dim": 12, "biases": "both", "popularity": 0.5})
    biases = _baseline(task).biases
    assert biases is not None
    assert biases.head is not None
    assert biases.tail is not None
    for number, target in enumerate(task.data.targets):
        degree = torch.from_numpy(task.data.head_degrees[target.relation]).float()
        assert degree.max() > 1
        assert torch.equal(biases.head[number], 0.5 * torch.log1p(degree))
    assert not biases.tail.any()


def test_degrees_stand_in_the_first_columns_as_large_as_the_random_ones() -> None:
    task = _task(student={"dim": 12, "degrees": True})
    inputs = _baseline(task).inputs
    random = _baseline(_task()).inputs
    messages = task.data.messages
    for node_type, table in inputs.items():
        reaching = [edge_type for edge_type in sorted(messages.edges) if edge_type.tail == node_type]
        assert torch.equal(table[:, len(reaching) :], random[node_type][:, len(reaching) :])
        for column, edge_type in enumerate(reaching):
            degrees = np.bincount(messages.edges[edge_type][1], minlength=len(table))
            found = table[:, column].double().numpy()
            assert np.corrcoef(found, np.log1p(degrees))[0, 1] > 0.999999
            size = float(random[node_type].square().mean().sqrt())
            assert np.sqrt((found**2).mean()) == pytest.approx(size, rel=1e-4)


def test_a_relation_without_edges_leaves_a_column_of_nothing() -> None:
    task = _task()
    edges = {edge_type: (np.empty(0, np.int64),) * 2 for edge_type in task.data.messages.edges}
    graph = type(task.data.messages)(edges, task.data.node_counts, sorted(edges))
    inputs = {node_type: torch.ones(count, 12) for node_type, count in task.data.node_counts.items()}
    put_degrees(inputs, graph)
    assert not any(table[:, 0].any() for table in inputs.values())
    assert all(table.isfinite().all() for table in inputs.values())


def test_a_width_that_degrees_would_fill_is_refused_before_training() -> None:
    task = _task(student={"dim": 3, "degrees": True})
    with pytest.raises(UserError) as error:
        task.check([_spec(task)])
    assert "which leaves no column of 3" in str(error.value)
    assert error.value.where == "student.degrees"


def test_models_begin_alike_where_all_of_their_shape_agrees() -> None:
    task = _task(models={"counting": {"aggregation": "log"}, "same": {}})
    begins = {spec.name: spec.begins for spec in models_of(task.profile)}
    assert begins["student"] == begins["baseline"] == "student"
    assert begins["counting"] == "counting"


def test_tables_of_models_inherit_the_students_capacity() -> None:
    student = {"dim": 12, "biases": "both", "self_loop": True}
    profile = validate({"student": student, "models": {"wide": {"dim": 20}}}, "it")
    wide = profile.models["wide"]
    assert (wide.dim, wide.biases, wide.self_loop) == (20, "both", True)


def test_learnt_inputs_are_kept_once_by_their_node_types_and_come_back() -> None:
    task = _task(student={"dim": 12, "inputs": "learnt"})
    model, other = _baseline(task), _baseline(task)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    tensors = model.tensors()
    assert not any(name.startswith("learnt_inputs") for name in tensors)
    other.load_tensors(tensors)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(model.parameters(), other.parameters(), strict=True))
    assert other.inputs["drug"] is other.learnt_inputs[sorted(other.inputs).index("drug")]
    assert model.parameter_count == _baseline(_task()).parameter_count + sum(
        12 * n for n in task.data.node_counts.values()
    )


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"student": {"kind": "table", "biases": "head"}}, "student.biases is a network's, but student.kind = 'table'"),
        ({"teacher": {"kind": "rgat", "aggregation": "sum"}}, "teacher.aggregation = 'sum' needs kind = 'rgcn'"),
        ({"student": {"popularity": 0.5}}, "student.popularity is a head's bias, but student.biases = 'none'"),
        ({"models": {"x": {"biases": "tail", "popularity": 1.0}}}, "models.x.popularity is a head's bias"),
        ({"student": {"aggregation": "max"}}, "student.aggregation: must be 'mean', 'sum' or 'log'"),
    ],
)
def test_capacity_that_cannot_be_is_refused(sections: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        validate(sections, "it")
    assert line in str(error.value)
