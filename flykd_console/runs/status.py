"""Where a run stands, read from the two ends of its event log: a log of a million lines costs what a short one does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from flykd_console.runs.batch import read_queue
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import (
    AnyEvent,
    Control,
    Epoch,
    Evaluation,
    ExportFinished,
    NewerSchemaError,
    PlannedStage,
    RunFailed,
    RunFinished,
    RunPrepared,
    RunStarted,
    StageFinished,
    StageStarted,
    decode,
)
from flykd_console.runs.lock import is_alive, is_held, other_machine
from flykd_console.runs.more_seeds import read_added
from flykd_console.runs.stage import Phase

State = Literal["waiting", "starting", "running", "paused", "stopping", "finished", "stopped", "failed", "died"]

_MOVING: tuple[State, ...] = ("starting", "running", "paused", "stopping")
_BLOCK = 1 << 16
_OPENING_LINES = 1000
# A worker says its first word within seconds of its start; it takes the run's lock a little later than it is made.
_START_SECONDS = 60.0


@dataclass(frozen=True)
class RunStatus:
    """One run at one moment.

    Attributes:
        state: `died` means that training ended without a last word (killed, or out of memory); `waiting`, that the run
            comes after others of its batch.
        started: The first record, of a run that was given seeds the first since; None where nothing is logged yet.
        seed: The seed in work, or the last one.
        stage: Its stage, by name; `phase` what is done in it.
        epoch: Finished epochs of that stage, of `epochs`.
        progress: Share of the planned epochs that is done, 0 to 1.
        updated: Time of the last record of training (Unix seconds), whatever was exported since; that of the profile
            where nothing is logged.
        error: What the run failed of; `traceback` is empty where that is a mistake of the user's.
        saved: False for a run that was stopped at once, without a checkpoint.
    """

    state: State
    started: RunStarted | None = None
    seed: int | None = None
    stage: str | None = None
    phase: Phase | None = None
    epoch: int = 0
    epochs: int = 0
    progress: float = 0.0
    updated: float = 0.0
    error: str = ""
    traceback: str = ""
    saved: bool = True

    @property
    def seed_position(self) -> int:
        """Which of the run's seeds is in work, counted from 1; 0 before the first."""
        if self.started is None or self.seed not in self.started.seeds:
            return 0
        return self.started.seeds.index(self.seed) + 1


def status_of(directory: RunDirectory) -> RunStatus:
    """Where a run stands now.

    Raises:
        NewerSchemaError: The log was written by a newer program.
    """
    alive = is_alive(directory)
    started, stages = _plan_of(directory)
    if started is None:
        updated = _modified(directory.profile)
        young = time.time() - updated < _START_SECONDS
        if not alive and _waits(directory):
            return RunStatus(state="waiting", updated=updated)
        return RunStatus(state="starting" if alive or young else "died", updated=updated)

    updated = 0.0
    state: State | None = None
    failure: RunFailed | None = None
    saved = True
    position: StageStarted | Epoch | StageFinished | None = None
    for event in _backwards(directory.events):
        if not isinstance(event, ExportFinished):
            updated = updated or event.t
        if state is None:
            state = _state_said_by(event)
            failure = event if isinstance(event, RunFailed) else None
            saved = not isinstance(event, RunFinished) or event.saved
        if position is None and isinstance(event, StageStarted | Epoch | StageFinished):
            position = event
        if state is not None and position is not None:
            break
    state = state or "running"
    if state in ("running", "paused", "stopping") and not alive:
        state = "died"

    status = RunStatus(
        state=state,
        started=started,
        updated=updated,
        error=failure.error if failure else "",
        traceback=failure.traceback if failure else "",
        saved=saved,
    )
    if position is None:
        # A run of scorers without training alone has no stages.
        return replace(status, progress=1.0) if state == "finished" else status
    epoch = _epoch_of(position)
    progress = progress_of(stages, position.seed, position.stage, epoch / max(1, position.epochs))
    return replace(
        status,
        seed=position.seed,
        stage=position.stage,
        phase=next((planned.phase for planned in stages if planned.stage == position.stage), None),
        epoch=epoch,
        epochs=position.epochs,
        progress=1.0 if state == "finished" else progress,
    )


def in_training(directory: RunDirectory) -> bool:
    """Whether somebody trains the run: here, or on another machine that shares the disk."""
    if is_held(directory):
        return True
    if not other_machine(directory):
        return False
    try:
        return status_of(directory).state in _MOVING
    except NewerSchemaError:
        return is_alive(directory)


def _waits(directory: RunDirectory) -> bool:
    """Whether the run is not the first of its batch; a batch's first run that never spoke has died."""
    queue = read_queue(directory)
    return queue is not None and queue.position > 0


def progress_of(stages: list[PlannedStage], seed: int, stage: str, fraction: float) -> float:
    """Share of a run's planned epochs that is done when `fraction` of one stage is."""
    total = sum(max(1, planned.epochs) for planned in stages)
    done = 0.0
    for planned in stages:
        weight = max(1, planned.epochs)
        if (planned.seed, planned.stage) == (seed, stage):
            return (done + min(1.0, fraction) * weight) / total
        done += weight
    return 0.0


def _state_said_by(event: AnyEvent) -> State | None:
    match event:
        case RunFinished(outcome=outcome):
            return outcome
        case RunFailed():
            return "failed"
        case Control(state="paused"):
            return "paused"
        case Control(state="stopping"):
            return "stopping"
        case Control(state="refused"):
            return None
        case Control() | RunStarted() | RunPrepared() | StageStarted() | Epoch() | Evaluation() | StageFinished():
            return "running"
        case _:  # checkpoints, resources, log lines and exports come in every state
            return None


def _epoch_of(event: StageStarted | Epoch | StageFinished) -> int:
    match event:
        case StageStarted(first_epoch=epoch) | Epoch(epoch=epoch) | StageFinished(epochs=epoch):
            return epoch


def _plan_of(directory: RunDirectory) -> tuple[RunStarted | None, list[PlannedStage]]:
    """The first start with its plan, or the first one that knows of every seed that the run was given since."""
    added = read_added(directory)
    if added is not None:
        started, stages = _opening(directory.events, added.log_offset)
        if started is not None:
            return started, stages
    return _opening(directory.events)


def _opening(path: Path, offset: int = 0) -> tuple[RunStarted | None, list[PlannedStage]]:
    """The first `run.started` behind an offset, and the planned stages as last told before the first of them began."""
    started: RunStarted | None = None
    stages: list[PlannedStage] = []
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            for _, line in zip(range(_OPENING_LINES), file, strict=False):
                match decode(line):
                    case RunStarted() as event:
                        started = started or event
                        stages = event.stages
                    case RunPrepared(stages=planned):
                        stages = planned
                    case StageStarted():
                        break
                    case _:
                        pass
    except FileNotFoundError:
        pass
    return started, stages


def _backwards(path: Path) -> Iterator[AnyEvent]:
    """The log's records from the last complete line to the first."""
    with open(path, "rb") as file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        complete = False
        while position > 0:
            start = max(0, position - _BLOCK)
            file.seek(start)
            lines = (file.read(position - start) + rest).split(b"\n")
            position = start
            if not complete:
                if len(lines) == 1:
                    rest = lines[0]
                    continue
                lines.pop()  # empty after the last newline, or a torn line
                complete = True
            rest = lines.pop(0) if position > 0 else b""
            for line in reversed(lines):
                event = decode(line)
                if event is not None:
                    yield event


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
