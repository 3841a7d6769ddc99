"""A run whose threads change on the way, broken off and resumed: epochs that come again have theirs again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from flykd_console.runs import events as ev
from flykd_console.training import worker
from flykd_console.training.recorder import Recorder
from flykd_console.training.thread_choice import ThreadChoice
from tests.support.tiny_run import events_of, make_run, small_kg, tiny_profile


def _in_force(events: list[ev.AnyEvent], stage: str) -> dict[int, int]:
    """Threads of each epoch of a stage that one start of a run told."""
    of_stage = [event for event in events if isinstance(event, ev.Epoch | ev.Threads) and event.stage == stage]
    changes = {event.epoch: event.threads for event in of_stage if isinstance(event, ev.Threads)}
    epochs = [event.epoch for event in of_stage if isinstance(event, ev.Epoch)]
    return {epoch: changes[max(change for change in changes if change < epoch)] for epoch in epochs}


def test_epochs_that_are_trained_again_have_the_threads_that_they_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alternating(self: ThreadChoice, t: float, seconds: float, room: float | None = None) -> int:
        self.threads = 3 - self.threads
        return self.threads

    # On one thread, whatever is said: two that wait for each other take minutes on a busy machine.
    torch.set_num_threads(1)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(ThreadChoice, "after", alternating)
    profile = tiny_profile(small_kg(tmp_path), engine={"threads": 0, "checkpoint_every": 4})
    directory = make_run(tmp_path / "runs", profile)
    add = Recorder.add

    def broken(self: Recorder, epoch: int, *rest: Any) -> None:
        if self._stage.name == "teacher" and epoch == 8:
            raise RuntimeError("the power fails")
        add(self, epoch, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "add", broken)
        assert worker.main([str(directory.path)]) == 1
    told = events_of(directory)
    before = _in_force(told, "teacher")
    assert list(before) == [1, 2, 3, 4, 5, 6, 7]
    assert list(before.values()) in ([1, 2, 1, 2, 1, 2, 1], [2, 1, 2, 1, 2, 1, 2])

    # What would be chosen now is something else.
    monkeypatch.setattr(ThreadChoice, "after", lambda self, t, seconds, room=None: self.threads)
    assert worker.main([str(directory.path)]) == 0
    more = events_of(directory)[len(told) :]
    again = _in_force(more, "teacher")
    assert list(again) == [5, 6, 7, 8, 9, 10]
    assert {epoch: again[epoch] for epoch in (5, 6, 7)} == {epoch: before[epoch] for epoch in (5, 6, 7)}
    assert {again[8], again[9], again[10]} == {before[7]}
    said = [event.message for event in more if isinstance(event, ev.Log)]
    assert "Seed 45: teacher: threads as before up to epoch 7, which was trained once" in said
