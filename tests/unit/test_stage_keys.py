"""Keys of finished stages: what earlier versions trained is found under the same keys as then."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import Task
from flykd_console.training.reuse import stage_key
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph


def _key(stage: str, settings: dict[str, Any]) -> str:
    targets = [CONTRAINDICATION, INDICATION]
    task = Task(Profile.model_validate(settings), small_graph(), targets, 45, torch.device("cpu"))
    return stage_key(task, stage)[:16]


@pytest.mark.parametrize(
    ("stage", "key"),
    [
        ("pretrain-teacher", "9655fa93db40819d"),
        ("teacher", "7a800fad55371ed2"),
        ("baseline", "33a185ce6abcd165"),
        ("student", "56c3d34482d160fc"),
    ],
)
def test_keys_are_those_of_earlier_versions(stage: str, key: str) -> None:
    assert _key(stage, {}) == key


def test_a_students_own_plateau_has_the_key_of_earlier_versions() -> None:
    assert _key("student", {"distill": {"plateau": {"last_epochs": 100}}}) == "07ba7f10ceb0218b"


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"finetune": {"plateau": {"stop_below": 1e-6}}}, {"teacher", "baseline", "student"}),
        ({"distill": {"plateau": {"stop_below": 1e-6}}}, {"student"}),
        ({"graph": {"pooling": {"direction": "published"}}}, {"teacher", "baseline", "student"}),
        ({"distill": {"random_graph": {"unseen": 0.5}}}, {"student"}),
    ],
)
def test_what_changes_a_stage_changes_its_key(settings: dict[str, Any], changed: set[str]) -> None:
    stages = {"pretrain-teacher", "teacher", "baseline", "student"}
    assert {stage for stage in stages if _key(stage, settings) != _key(stage, {})} == changed
