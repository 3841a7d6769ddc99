"""Models of other depths and layer kinds: their parameters, and how they are named."""

from __future__ import annotations

import math

import pytest
import torch

from flykd_console.dashboard.seed_columns import columns
from flykd_console.graph.knowledge_graph import EdgeType
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.profile.sections import LayerKind
from flykd_console.runs import events as ev
from flykd_console.runs.model_shape import model_shape, model_width
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.state.run import RunState

FIFTY = [EdgeType("drug", f"r{i}", "disease") for i in range(50)]


def _model(layers: int, kind: LayerKind, dim: int = 4) -> HeteroRGCN:
    return HeteroRGCN({"drug": 3, "disease": 2}, FIFTY, dim, torch.Generator().manual_seed(0), layers, kind)


def test_the_papers_model_draws_its_tensors_in_one_order_whatever_other_kinds_there_are() -> None:
    model = _model(2, "rgcn")
    rng = torch.Generator().manual_seed(0)
    for layer in (model.layer1, model.layer2):
        for parameter in (layer.weight, layer.bias):
            assert torch.equal(parameter, torch.empty(parameter.shape).uniform_(-0.5, 0.5, generator=rng))
    bound = math.sqrt(2.0) * math.sqrt(6.0 / 54)
    assert torch.equal(model.relation, torch.empty(50, 4).uniform_(-bound, bound, generator=rng))
    bound = math.sqrt(6.0 / 6)
    assert torch.equal(model.inputs["disease"], torch.empty(2, 4).uniform_(-bound, bound, generator=rng))
    assert [name for name in model.tensors() if not name.startswith("inputs/")] == [
        "relation", "layer1.weight", "layer1.bias", "layer2.weight", "layer2.bias",
    ]  # fmt: skip


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize(("kind", "vectors"), [("rgcn", 1), ("rgat", 2)])
def test_every_layer_has_a_matrix_and_its_vectors_per_relation(layers: int, kind: LayerKind, vectors: int) -> None:
    model = _model(layers, kind)
    assert len(model.stack) == layers
    assert model.parameter_count == layers * 50 * (4 * 4 + vectors * 4) + 50 * 4


def test_tensors_of_another_depth_or_kind_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no tensor of this model"):
        _model(1, "rgcn").load_tensors(_model(2, "rgcn").tensors())
    with pytest.raises(ValueError, match=r"layer1\.query: no tensor of this model"):
        _model(2, "rgcn").load_tensors(_model(2, "rgat").tensors())
    with pytest.raises(ValueError, match=r"layer3\.\w+: missing"):
        _model(3, "rgcn").load_tensors(_model(2, "rgcn").tensors())
    deep, copy = _model(3, "rgat"), _model(3, "rgat")
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.zero_()
    copy.load_tensors(deep.tensors())
    assert all(torch.equal(a, b) for a, b in zip(deep.parameters(), copy.parameters(), strict=True))


def test_only_what_differs_from_the_papers_models_is_named() -> None:
    assert model_shape(130) == "130"
    assert model_shape(130, 3) == "rgcn 3×130"
    assert model_shape(80, 2, "rgat") == "rgat 2×80"
    assert model_shape(None) == ""
    assert model_width(130) == "d = 130"
    assert model_width(80, 1, "rgat") == "rgat 1×80"


def test_records_from_before_there_were_kinds_are_of_two_rgcn_layers() -> None:
    old = b'{"kind":"stage.started","v":1,"t":1.0,"seed":45,"stage":"teacher","epochs":3,"dim":130,"parameters":7}'
    event = ev.decode(old)
    assert isinstance(event, ev.StageStarted)
    assert (event.layers, event.layer_kind) == (2, "rgcn")


def test_the_dashboard_names_kind_and_depth_before_and_after_a_stage_begins() -> None:
    state = RunState()
    models = [
        ModelEntry(name="teacher", role=Role.TEACHER, label="teacher", dim=130, layers=3, layer_kind="rgat"),
        ModelEntry(name="student", role=Role.STUDENT, label="flykd", dim=80, layers=1, layer_kind="rgat"),
    ]
    stages = [ev.PlannedStage(seed=45, stage=model.name, epochs=3, models=[model.name]) for model in models]
    state.apply(
        ev.RunStarted(
            run="r", name="r", method="flykd", seeds=[45], stages=stages, device="cpu", models=models,
            graph=ev.GraphFacts(source="small"), teacher_dim=130, student_dim=80, pid=1,
        )
    )  # fmt: skip
    assert [state.shape(model.name) for model in models] == ["rgat 3×130", "rgat 1×80"]
    heads = {str(column.key): column for column in columns(state, 100)}
    assert heads["model teacher"].below == "rgat 3×130"
    assert heads["model teacher"].width >= len("rgat 3×130")
    state.apply(ev.StageStarted(seed=45, stage="student", epochs=3, dim=80, layers=1, layer_kind="rgat", parameters=1))
    assert state.stages[45, "student"].shape == "rgat 1×80"
