"""What a test that steps into a training loop asks it for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.runs.directory import RunDirectory
from flykd_console.training.stage_loop import StageLoop

Give = Callable[[RunDirectory], None]


def run_of(loop: StageLoop) -> RunDirectory:
    """The run that a stage belongs to."""
    return RunDirectory(loop.checkpointer.path.parents[1])


def model_of(loop: StageLoop) -> HeteroRGCN:
    """The one model that a stage trains."""
    (watched,) = loop.models.values()
    assert isinstance(watched.model, HeteroRGCN)
    return watched.model


def at(patched: pytest.MonkeyPatch, stage: str, epoch: int, give: Give) -> None:
    """Give an order so that it is found at an epoch of a stage, counted from 1, once."""
    record = StageLoop.end_epoch
    given: list[int] = []

    def ordered(self: StageLoop, index: int, *arguments: Any, **keywords: Any) -> None:
        if (self.stage.name, index + 1) == (stage, epoch) and not given:
            given.append(epoch)
            patched.setattr("flykd_console.training.orders._POLL_SECONDS", 0.0)
            give(run_of(self))
        record(self, index, *arguments, **keywords)

    patched.setattr(StageLoop, "end_epoch", ordered)


def stop(run: RunDirectory) -> None:
    """An order to stop with a checkpoint."""
    run.order("stop")
