"""Every label source: named by its file, weighed by the curriculum, finite, differentiable, seeded."""

from __future__ import annotations

import importlib

import pytest
import torch

from flykd_console.profile.keys import keys as every_key
from flykd_console.profile.rooms import label_sources
from tests.contracts.conftest import Lesson, lesson


def _alone(name: str) -> Lesson:
    return lesson(sources=[name])


@pytest.mark.parametrize("name", label_sources())
def test_the_curriculum_has_a_key_for_it(name: str) -> None:
    (mine,) = [key for key in every_key() if (key.section, key.name) == ("distill.curriculum", name)]
    assert mine.meaning


@pytest.mark.parametrize("name", label_sources())
def test_it_has_words(name: str) -> None:
    whole, short = importlib.import_module(f"flykd_console.distill.labels.sources.{name}").SOURCE.words
    assert whole
    assert 0 < len(short) <= 5


@pytest.mark.parametrize("name", label_sources())
def test_its_loss_is_finite_and_moves_the_student(name: str) -> None:
    found = _alone(name)
    losses = found.losses()
    assert set(losses) == {name, "total"}
    assert torch.isfinite(losses["total"])
    losses["total"].backward()
    gradients = [p.grad for p in found.student.parameters() if p.grad is not None]
    assert any(bool(gradient.abs().sum() > 0) for gradient in gradients)
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)


@pytest.mark.parametrize("name", label_sources())
def test_equal_settings_give_equal_labels(name: str) -> None:
    assert _alone(name).losses()["total"].item() == _alone(name).losses()["total"].item()


@pytest.mark.parametrize("name", label_sources())
def test_what_it_draws_from_is_kept_by_a_checkpoint(name: str) -> None:
    first, second = _alone(name), _alone(name)
    for epoch in range(3):
        first.losses(epoch)
    for purpose, generator in first.method.generators.items():
        second.method.generators[purpose].set_state(generator.get_state())
    for part, kept in first.method.stateful.items():
        second.method.stateful[part].load_state_dict(kept.state_dict())
    assert first.losses(3)["total"].item() == second.losses(3)["total"].item()
