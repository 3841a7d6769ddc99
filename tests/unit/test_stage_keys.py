"""Keys of finished stages: they change with what a stage depends on, and with nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import Targets
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.reuse import stage_key
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

STAGES = {"pretrain-teacher", "teacher", "baseline", "student"}


def _key(name: str, settings: dict[str, Any]) -> str:
    targets = Targets([CONTRAINDICATION, INDICATION])
    task = LinkPrediction(Profile.model_validate(settings), small_graph(), targets, 45, torch.device("cpu"))
    stages = {
        stage.name: (spec, stage) for spec in models_of(task.profile) for stage in (spec.pretraining, spec.training)
    }
    return stage_key(task, *stages[name])[:16]


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"finetune": {"plateau": {"stop_below": 1e-6}}}, {"teacher", "baseline", "student"}),
        ({"distill": {"plateau": {"stop_below": 1e-6}}}, {"student"}),
        ({"graph": {"pooling": {"direction": "published"}}}, {"teacher", "baseline", "student"}),
        ({"distill": {"random_graph": {"unseen": 0.5}}}, {"student"}),
        ({"distill": {"curriculum": {"shape": "stepwise"}}}, {"student"}),
        ({"negatives": {"replace": "both"}}, {"teacher", "baseline", "student"}),
        ({"pretrain": {"lr": 2e-3}}, STAGES),
        ({"student": {"dim": 64}}, {"baseline", "student"}),
        ({"teacher": {"kind": "rgat"}}, {"pretrain-teacher", "teacher", "student"}),
        ({"engine": {"precision": "tf32"}}, STAGES),
        ({"finetune": {"select": "best"}}, {"teacher", "baseline", "student"}),
        ({"distill": {"teachers": 2}}, {"student"}),
        # Names, how it is carried out, and looks that decide nothing.
        ({"run": {"name": "other", "seeds": [1]}, "distill": {"method": "other"}}, set()),
        ({"engine": {"propagation": "dgl", "threads": 3, "log_every": 5, "checkpoint_every": 7}}, set()),
        ({"finetune": {"validate_every": 7}}, set()),
        ({"evaluation": {"headline": "macro_ap"}}, set()),
        ({"models": {"tiny": {"dim": 16}}}, set()),
    ],
)
def test_what_a_stage_depends_on_changes_its_key(settings: dict[str, Any], changed: set[str]) -> None:
    assert {stage for stage in STAGES if _key(stage, settings) != _key(stage, {})} == changed


def test_looks_that_decide_which_epoch_stays_are_part_of_the_key() -> None:
    best: dict[str, Any] = {"select": "best"}
    assert _key("teacher", {"finetune": best}) != _key("teacher", {"finetune": best | {"validate_every": 7}})
    ranked = {"finetune": best, "evaluation": {"headline": "macro_ap"}}
    assert _key("teacher", ranked) != _key("teacher", {"finetune": best})


def test_the_contents_of_a_file_that_a_method_reads_are_part_of_its_key(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("relation,x_id,y_id,score\n")
    settings = {"distill": {"teachers": [{"kind": "network"}, {"kind": "scores", "file": str(path)}]}}
    before = {stage: _key(stage, settings) for stage in STAGES}
    os.utime(path, (0, 0))
    assert {stage: _key(stage, settings) for stage in STAGES} == before
    path.write_text("relation,x_id,y_id,score\nindication,DR0001,DI0001,1\n")
    assert {stage for stage in STAGES if _key(stage, settings) != before[stage]} == {"student"}
    path.unlink()
    with pytest.raises(UserError, match=r"distill.teachers\[1\].file = .*: the file cannot be read"):
        _key("student", settings)
