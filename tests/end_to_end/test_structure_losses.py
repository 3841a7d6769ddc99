"""A student under every structure loss at once: its events, its resuming bit for bit, and what the student still is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from flykd_console.model.tensor_files import load_tensors
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.training import worker
from flykd_console.training.stage_loop import StageLoop
from tests.support.tiny_run import events_of, make_run, small_kg, tiny_profile

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")

STRUCTURE = ("lsp", "hidden", "anchor_rank", "anchor_distribution")
EVERYTHING: dict[str, Any] = {
    "epochs": 10,
    "random_graph": {"labels_per_relation": 200, "refresh_every": 3},
    "temperature": 2.0,
    "lsp": {"weight": 500.0, "layers": [1, 2], "sigma": [0.2, 3.0]},
    "hidden": {"weight": 0.5, "attention": "degree"},
    "anchor": {"rank_weight": 0.3, "distribution_weight": 0.2, "anchors": 16, "contexts": 6},
}


def _run(root: Path, **sections: dict[str, Any]) -> RunDirectory:
    settings = {"distill": EVERYTHING} | sections
    return make_run(root, tiny_profile(small_kg(root.parent), **settings))


def _losses(directory: RunDirectory) -> list[dict[str, float]]:
    """Of every epoch of the student; all are numbers."""
    epochs = [e.losses for e in events_of(directory) if isinstance(e, ev.Epoch) and e.stage == "student"]
    return [{name: x for name, x in losses.items() if x is not None} for losses in epochs]


def _student(directory: RunDirectory) -> dict[str, torch.Tensor]:
    return load_file(directory.weights(45, "student"))


def test_every_structure_loss_is_told_and_weighed_into_the_total(tmp_path: Path) -> None:
    directory = _run(tmp_path / "runs")
    assert worker.main([str(directory.path)]) == 0
    epochs = [e for e in events_of(directory) if isinstance(e, ev.Epoch) and e.stage == "student"]
    assert len(epochs) == 10
    weights = dict(zip(STRUCTURE, (500.0, 0.5, 0.3, 0.2), strict=True))
    told = _losses(directory)
    for epoch, losses in zip(epochs, told, strict=True):
        assert epoch.weights is not None
        sources = sum(epoch.weights[name] * x for name, x in losses.items() if name in epoch.weights)
        structure = sum(weight * losses[name] for name, weight in weights.items())
        assert losses["total"] == pytest.approx(sources + structure, rel=1e-4)
        assert list(losses)[-5:] == [*STRUCTURE, "total"]
    assert all(told[-1][name] < told[0][name] for name in ("hidden", "anchor_distribution"))
    assert not any("hidden_map" in name for name in _student(directory))


@pytest.mark.parametrize("propagation", ["auto", "dgl"])
def test_a_resumed_student_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, propagation: str
) -> None:
    engine = {"threads": 1, "checkpoint_every": 4, "propagation": propagation}
    whole = _run(tmp_path / "whole", engine=engine)
    assert worker.main([str(whole.path)]) == 0
    broken = _run(tmp_path / "broken", engine=engine)
    record = StageLoop.end_epoch

    def dying(self: StageLoop, epoch: int, *arguments: Any, **named: Any) -> None:
        record(self, epoch, *arguments, **named)
        if self.stage.name == "student" and epoch == 6:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(StageLoop, "end_epoch", dying)
        assert worker.main([str(broken.path)]) == 1
    kept, _ = load_tensors(broken.state(45, "student"))
    assert {"hidden/0", "generator-anchors/state"} <= kept.keys()
    assert worker.main([str(broken.path)]) == 0
    expected, found = _student(whole), _student(broken)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_both_engines_learn_the_same_student(tmp_path: Path) -> None:
    found = []
    for propagation in ("auto", "dgl"):
        directory = _run(tmp_path / propagation, engine={"threads": 1, "propagation": propagation})
        assert worker.main([str(directory.path)]) == 0
        found.append(_losses(directory)[0])
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_teacher_and_student_may_differ_in_depth_and_kind(tmp_path: Path) -> None:
    distill = EVERYTHING | {
        "teachers": 2,
        "lsp": {"weight": 1.0, "layers": [1], "kernel": "cosine", "neighbourhood": "full"},
        "hidden": {"weight": 1.0, "layers": [(2, 1), (3, 2)], "loss": "cosine", "attention": "neighbourhood"},
    }
    directory = _run(
        tmp_path / "runs", distill=distill, teacher={"dim": 12, "layers": 3, "kind": "rgat"}, finetune={"epochs": 4}
    )
    assert worker.main([str(directory.path)]) == 0
    assert set(STRUCTURE) < _losses(directory)[-1].keys()


def test_a_neighbourhood_that_this_graph_has_not_got_is_refused_before_training(tmp_path: Path) -> None:
    graph = {"source": str(small_kg(tmp_path)), "pooling": {"relations": ["nothing_such"]}}
    directory = _run(tmp_path / "runs", graph=graph)
    assert worker.main([str(directory.path)]) == 2
    events = events_of(directory)
    assert isinstance(events[-1], ev.RunFailed)
    assert "no disease has a neighbour in the training edges of nothing_such" in events[-1].error
    assert not any(isinstance(e, ev.StageStarted) for e in events)
