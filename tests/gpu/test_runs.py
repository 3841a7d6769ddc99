"""Whole tiny runs on the device: twice the same, the same after a resume, the same replayed, near to the CPU's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results
from flykd_console.training import worker
from flykd_console.training.recorder import Recorder
from tests.support.tiny_run import MODELS, events_of, make_run, small_kg, tiny_profile


def trained(folder: Path, device: torch.device, **engine: Any) -> RunDirectory:
    """A tiny run, carried out in this process."""
    settings = {"threads": 1, "checkpoint_every": 4} | engine
    profile = tiny_profile(small_kg(folder.parent), run={"device": str(device)}, engine=settings)
    directory = make_run(folder, profile)
    assert worker.main([str(directory.path), "--fresh"]) == 0
    return directory


def weights_of(directory: RunDirectory) -> dict[str, torch.Tensor]:
    """Every weight of every model."""
    return {
        f"{model} {name}": tensor
        for model in MODELS
        for name, tensor in load_file(directory.weights(45, model)).items()
    }


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.timeout(600)
def test_a_run_is_the_same_twice_and_after_a_resume(
    tmp_path: Path, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = weights_of(trained(tmp_path / "first", device))
    assert same(first, weights_of(trained(tmp_path / "second", device)))

    add = Recorder.add

    def broken(self: Recorder, epoch: int, *rest: Any) -> None:
        if self._stage.name == "student" and epoch == 7:
            raise RuntimeError("the power fails")
        add(self, epoch, *rest)

    profile = tiny_profile(small_kg(tmp_path), run={"device": str(device)})
    directory = make_run(tmp_path / "third", profile)
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "add", broken)
        assert worker.main([str(directory.path), "--fresh"]) == 1
    assert worker.main([str(directory.path), "--fresh"]) == 0
    started = [e for e in events_of(directory) if isinstance(e, ev.StageStarted) and e.stage == "student"]
    assert started[-1].first_epoch == 4
    assert same(first, weights_of(directory))


@pytest.mark.timeout(600)
def test_epochs_replayed_as_cuda_graphs_are_those_carried_out(tmp_path: Path, device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("CUDA graphs need a GPU")
    replayed = trained(tmp_path / "replayed", device, cuda_graphs=True)
    eager = trained(tmp_path / "eager", device, cuda_graphs=False)
    said = [event.message for event in events_of(replayed) if isinstance(event, ev.Log)]
    assert not [line for line in said if "not replayed" in line]
    theirs = weights_of(eager)
    for name, tensor in weights_of(replayed).items():
        np.testing.assert_allclose(tensor.numpy(), theirs[name].numpy(), rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.timeout(600)
def test_results_are_measured_on_the_device_as_on_the_cpu(tmp_path: Path, device: torch.device) -> None:
    """Draws differ between devices, so figures do, but what is measured and told does not."""
    directory = trained(tmp_path / "runs", device)
    (models,) = read_results(directory.results).seeds.values()
    assert set(MODELS) <= set(models)
    for model in MODELS:
        assert models[model].test.macro_auprc is not None
        assert models[model].test.ranking
    (prepared,) = [event for event in events_of(directory) if isinstance(event, ev.RunPrepared)]
    assert torch.device(prepared.device).type == device.type
