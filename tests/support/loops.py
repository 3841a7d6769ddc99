"""What a test that steps into a training loop asks it for."""

from __future__ import annotations

from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.runs.directory import RunDirectory
from flykd_console.training.stage_loop import StageLoop


def run_of(loop: StageLoop) -> RunDirectory:
    """The run that a stage belongs to."""
    return RunDirectory(loop.checkpointer.path.parents[1])


def model_of(loop: StageLoop) -> HeteroRGCN:
    """The one model that a stage trains."""
    (watched,) = loop.models.values()
    assert isinstance(watched.model, HeteroRGCN)
    return watched.model
