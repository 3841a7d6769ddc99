"""Every structure loss: off unless asked for, described by its own file, finite, differentiable, seeded, resumable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from flykd_console.profile.keys import keys as every_key
from flykd_console.profile.keys import sections
from flykd_console.profile.rooms import structure_losses
from tests.contracts.conftest import lesson
from tests.contracts.examples import STRUCTURE, example

LOSSES = sorted(structure_losses())


def _switched_on(name: str, folder: Path) -> dict[str, Any]:
    settings = structure_losses()[name].settings
    weights = {key: 1.0 for key in settings.model_fields if key.endswith("weight")}
    return weights | example(STRUCTURE, name, folder)


@pytest.mark.parametrize("name", LOSSES)
def test_it_is_left_out_by_default_and_says_how_it_is_switched_on(name: str) -> None:
    settings = structure_losses()[name].settings()
    assert settings.weights()
    assert not settings.takes_part


@pytest.mark.parametrize("name", LOSSES)
def test_its_table_and_every_key_of_it_are_explained(name: str) -> None:
    mine = [key for key in every_key() if key.section == f"distill.{name}"]
    assert mine
    assert all(key.meaning for key in mine)
    assert sections()[f"distill.{name}"]


@pytest.mark.parametrize("name", LOSSES)
def test_its_losses_have_words_and_weights_and_move_the_student(name: str, tmp_path: Path) -> None:
    found = lesson(**{name: _switched_on(name, tmp_path)})
    losses = found.losses()
    mine = set(losses) - {"original", "pseudo_train", "pseudo_random", "total"}
    assert mine
    assert mine <= set(structure_losses()[name].words)
    assert all(len(short) <= 5 for _, short in structure_losses()[name].words.values())
    assert all(torch.isfinite(losses[loss]) for loss in mine)
    torch.stack([losses[loss] for loss in mine]).sum().backward()
    gradients = [p.grad for p in found.student.parameters() if p.grad is not None]
    assert any(bool(gradient.abs().sum() > 0) for gradient in gradients)
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert all(p.grad is None for teacher in found.teachers for p in teacher.parameters())


@pytest.mark.parametrize("name", LOSSES)
def test_its_weights_are_those_of_the_profile(name: str, tmp_path: Path) -> None:
    on = _switched_on(name, tmp_path)
    doubled = {key: 2.0 * value if key.endswith("weight") else value for key, value in on.items()}
    once, twice = lesson(**{name: on}).losses(), lesson(**{name: doubled}).losses()
    without = lesson().losses()["total"]
    assert (twice["total"] - without).item() == pytest.approx(2.0 * (once["total"] - without).item(), rel=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_equal_settings_give_equal_losses(name: str, tmp_path: Path) -> None:
    on = _switched_on(name, tmp_path)
    first, second = lesson(**{name: on}).losses(), lesson(**{name: on}).losses()
    assert {key: value.item() for key, value in first.items()} == {key: value.item() for key, value in second.items()}


@pytest.mark.parametrize("name", LOSSES)
def test_what_it_trains_is_kept_by_a_checkpoint(name: str, tmp_path: Path) -> None:
    on = _switched_on(name, tmp_path)
    trained, fresh = lesson(**{name: on}).method, lesson(**{name: on}).method
    with torch.no_grad():
        for parameter in trained.parameters:
            parameter.add_(1.0)
    for part, kept in trained.stateful.items():
        fresh.stateful[part].load_state_dict({key: x.clone() for key, x in kept.state_dict().items()})
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters, fresh.parameters, strict=True))


def test_reading_a_profile_brings_no_torch() -> None:
    loaded = "[m for m in ('torch', 'numpy', 'scipy') if m in sys.modules]"
    code = f"import sys, flykd_console.profile.schema; print({loaded})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
