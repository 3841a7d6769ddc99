"""The two plateaus obey the same rules: one reads the loss back, the other stays on the device."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from flykd_console.profile.distill import Plateau
from flykd_console.training.loops.schedule import DevicePlateau, LatePlateau, late_plateau

EPOCHS = 120


def _rates(kind: type[LatePlateau] | type[DevicePlateau], losses: np.ndarray, settings: Plateau) -> list[float]:
    lr = torch.tensor(1e-3) if kind is DevicePlateau else 1e-3
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = kind(optimizer, settings, len(losses))
    rates = []
    for epoch, loss in enumerate(losses):
        schedule.step(epoch, torch.tensor(loss, dtype=torch.float32))
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return rates


@pytest.mark.parametrize("seed", range(8))
def test_plateau_on_the_device_gives_the_rates_of_torch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = np.exp(-np.arange(EPOCHS) / 60) + rng.normal(0.0, 0.02, EPOCHS)
    settings = Plateau(factor=0.7, patience=int(rng.integers(0, 6)), last_epochs=int(rng.integers(40, EPOCHS + 1)))
    expected = _rates(LatePlateau, losses, settings)
    assert len(set(expected)) > 1
    assert _rates(DevicePlateau, losses, settings) == pytest.approx(expected, rel=1e-5)


def test_plateau_on_the_device_takes_no_step_too_small_to_matter() -> None:
    losses = np.ones(3000)
    settings = Plateau(factor=0.5, patience=0, last_epochs=3000)
    assert _rates(DevicePlateau, losses, settings)[-1] == pytest.approx(_rates(LatePlateau, losses, settings)[-1])


@pytest.mark.parametrize("kind", [LatePlateau, DevicePlateau])
def test_nothing_is_watched_with_no_last_epochs(kind: type[LatePlateau] | type[DevicePlateau]) -> None:
    assert _rates(kind, np.ones(50), Plateau(last_epochs=0)) == pytest.approx([1e-3] * 50)


def test_plateau_on_the_device_goes_on_from_the_state_of_the_other() -> None:
    def optimizer(lr: float | torch.Tensor) -> torch.optim.Adam:
        return torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=lr)

    settings = Plateau(factor=0.5, patience=3, last_epochs=10)
    first = late_plateau(optimizer(1e-3), settings, 10)
    on_device = optimizer(torch.tensor(1e-3))
    second = late_plateau(on_device, settings, 10)
    assert isinstance(first, LatePlateau)
    assert isinstance(second, DevicePlateau)
    for epoch in range(4):
        first.step(epoch, torch.tensor(1.0))
    second.load_state_dict(first.state_dict())
    assert math.isclose(second.state_dict()["best"].item(), 1.0)
    second.step(4, torch.tensor(1.0))
    assert float(on_device.param_groups[0]["lr"]) == pytest.approx(5e-4)
