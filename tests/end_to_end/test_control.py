"""Orders given to a real trainer: more epochs, an end at once, and what is left of both."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flykd_console.model.tensor_files import load_metadata
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.more_epochs import MoreEpochs, order_more_epochs
from flykd_console.runs.results import read_results
from flykd_console.runs.spawn import spawn_worker
from flykd_console.runs.status import status_of
from flykd_console.training import worker
from tests.support.loops import Give, at, stop
from tests.support.tiny_run import events_of, make_run, small_kg, tiny_profile


def new_run(root: Path, **sections: dict[str, Any]) -> RunDirectory:
    return make_run(root, tiny_profile(small_kg(root.parent), **sections))


def more(epochs: int, seed: int | None = 45, stage: str | None = "student") -> Give:
    return lambda run: order_more_epochs(run, MoreEpochs(epochs=epochs, seed=seed, stage=stage))


def epochs_seen(run: RunDirectory, stage: str) -> list[int]:
    return [event.epoch for event in events_of(run) if isinstance(event, ev.Epoch) and event.stage == stage]


def controls(run: RunDirectory) -> list[tuple[str, str, int | None]]:
    return [(e.action, e.state, e.epochs) for e in events_of(run) if isinstance(e, ev.Control)]


@pytest.mark.parametrize("epoch", [3, 10])
def test_added_epochs_are_trained_acknowledged_and_recorded(
    epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "runs")
    at(monkeypatch, "student", epoch, more(6))
    assert worker.main([str(run.path)]) == 0
    assert controls(run) == [("extend", "running", 16)]
    assert epochs_seen(run, "student") == list(range(1, 17))
    events = events_of(run)
    (extended,) = [e for e in events if isinstance(e, ev.StageExtended)]
    assert (extended.stage, extended.epochs, extended.added, extended.planned) == ("student", 16, 6, 10)
    assert extended.schedule is not None
    course = extended.schedule["pseudo_random"]
    assert course[-1] == (16.0, course[-2][1])
    weights = [e.weights for e in events if isinstance(e, ev.Epoch) and e.stage == "student"]
    assert all(later == weights[10] for later in weights[10:])
    (finished,) = [e for e in events if isinstance(e, ev.StageFinished) and e.stage == "student"]
    assert finished.epochs == 16
    models = read_results(run.results).seeds["45"]
    assert (models["student"].epochs, models["student"].added_epochs) == (16, 6)
    assert (models["teacher"].epochs, models["teacher"].added_epochs) == (10, 0)


def test_an_extended_stage_is_its_own_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path / "runs")
    with monkeypatch.context() as patched:
        at(patched, "teacher", 4, more(5, stage="teacher"))
        at(patched, "student", 5, stop)
        assert worker.main([str(run.path)]) == 130
    assert status_of(run).state == "stopped"
    other = new_run(tmp_path / "runs", run={"name": "other", "seeds": [45]})
    assert worker.main([str(other.path)]) == 0
    reused = {e.stage: e.reused_from for e in events_of(other) if isinstance(e, ev.StageFinished)}
    assert reused["teacher"] is None
    assert reused["baseline"] == run.name
    assert read_results(other.results).seeds["45"]["teacher"].epochs == 10

    assert worker.main([str(run.path)]) == 0
    assert epochs_seen(run, "teacher") == list(range(1, 16))
    assert read_results(run.results).seeds["45"]["teacher"].added_epochs == 5
    last = [e for e in events_of(run) if isinstance(e, ev.StageStarted) and e.stage == "teacher"][-1]
    assert (last.epochs, last.first_epoch) == (15, 15)


def test_a_resume_keeps_the_added_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = new_run(tmp_path / "whole")
    with monkeypatch.context() as patched:
        at(patched, "student", 3, more(6))
        assert worker.main([str(whole.path)]) == 0
    run = new_run(tmp_path / "runs")
    with monkeypatch.context() as patched:
        at(patched, "student", 3, more(6))
        at(patched, "student", 12, stop)
        assert worker.main([str(run.path)]) == 130
    metadata = load_metadata(run.state(45, "student"))
    assert metadata is not None
    assert (metadata["epoch"], metadata["epochs"]) == (12, 16)
    assert worker.main([str(run.path)]) == 0
    resumed = [e for e in events_of(run) if isinstance(e, ev.StageStarted) and e.stage == "student"][-1]
    assert (resumed.first_epoch, resumed.epochs) == (12, 16)
    a, b = (read_results(r.results).seeds["45"]["student"] for r in (whole, run))
    assert (a.test, a.epochs, a.added_epochs) == (b.test, b.epochs, b.added_epochs)


@pytest.mark.parametrize(
    ("stage", "give", "why"),
    [
        ("pretrain-teacher", more(5, stage="pretrain-teacher"), "pretraining keeps its length"),
        ("baseline", more(5, stage="teacher"), "teacher of seed 45 is over"),
        ("student", lambda run: run.order("extend", b"many"), "the order names no number of epochs"),
        ("student", lambda run: run.order("extend", b"-5"), "the order names no number of epochs"),
    ],
)
def test_epochs_that_cannot_be_added_are_refused_in_words(
    stage: str, give: Give, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "runs")
    at(monkeypatch, stage, 2, give)
    assert worker.main([str(run.path)]) == 0
    assert controls(run) == [("extend", "refused", None)]
    assert f"Seed 45: no epochs added: {why}" in [e.message for e in events_of(run) if isinstance(e, ev.Log)]
    assert all(model.added_epochs == 0 for model in read_results(run.results).seeds["45"].values())


def test_a_paused_run_is_saved_and_scored_and_trains_on_as_if_nothing_had_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, run = new_run(tmp_path / "whole"), new_run(tmp_path / "runs")
    assert worker.main([str(whole.path)]) == 0

    def order_both() -> None:
        run.order("checkpoint")
        run.order("evaluate")

    while_paused = iter((order_both, lambda: None, lambda: run.withdraw("pause")))
    clock = SimpleNamespace(sleep=lambda seconds: next(while_paused)(), time=time.time, monotonic=time.monotonic)
    monkeypatch.setattr("flykd_console.training.orders.time", clock)
    at(monkeypatch, "student", 3, lambda run: run.order("pause"))
    assert worker.main([str(run.path)]) == 0
    assert [(action, state) for action, state, _ in controls(run)] == [
        ("pause", "paused"),
        ("checkpoint", "paused"),
        ("evaluate", "paused"),
        ("resume", "running"),
    ]
    told = [e for e in events_of(run) if isinstance(e, ev.Checkpoint | ev.Evaluation) and e.stage == "student"]
    assert {type(e) for e in told if e.epoch == 3} == {ev.Checkpoint, ev.Evaluation}
    assert epochs_seen(run, "student") == epochs_seen(whole, "student")
    a, b = (read_results(r.results).seeds["45"]["student"].test for r in (whole, run))
    assert a == b


def test_a_plain_number_is_meant_for_the_stage_in_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path / "runs")
    at(monkeypatch, "baseline", 2, lambda run: run.order("extend", b"3\n"))
    assert worker.main([str(run.path)]) == 0
    assert read_results(run.results).seeds["45"]["baseline"].epochs == 13


def test_orders_that_came_too_late_are_refused_before_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "runs")
    monkeypatch.setattr("flykd_console.training.orders._POLL_SECONDS", 1e9)
    at(monkeypatch, "student", 9, lambda run: run.order("evaluate"))
    monkeypatch.setattr("flykd_console.training.orders.Orders.poll", lambda self, now=False: set())
    assert worker.main([str(run.path)]) == 0
    assert controls(run) == [("evaluate", "refused", None)]
    assert isinstance(events_of(run)[-1], ev.RunFinished)
    assert not run.order_file("evaluate").exists()


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def said(run: RunDirectory, text: bytes) -> Callable[[], bool]:
    return lambda: run.events.exists() and text in run.events.read_bytes()


def held_worker(root: Path, **sections: dict[str, Any]) -> tuple[RunDirectory, subprocess.Popen[bytes]]:
    """A real trainer in a process of its own, paused in its teacher's finetuning past a checkpoint."""
    run = new_run(root, finetune={"epochs": 4000, "validate_every": 2000}, **sections)
    process = spawn_worker(run, threads=1)
    wait_for(said(run, b'"stage":"teacher","epoch":'))
    wait_for(said(run, b'"kind":"checkpoint"'))
    return run, process


@pytest.mark.parametrize("by", ["order", "signals"])
def test_an_end_at_once_is_told_leaves_the_last_checkpoint_and_can_be_resumed(by: str, tmp_path: Path) -> None:
    run, process = held_worker(tmp_path / "runs", engine={"threads": 1, "checkpoint_every": 20})
    try:
        if by == "order":
            run.order("abort")
        else:
            # The second one comes while the first is not obeyed yet: training stands still.
            run.order("pause")
            wait_for(said(run, b'"paused"'))
            run.order("checkpoint")
            process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGCONT)
        assert process.wait(20) == 130
    finally:
        process.kill()
    events = events_of(run)
    last = [e for e in events if not isinstance(e, ev.Resources)][-2:]
    assert isinstance(last[0], ev.Control)
    assert (last[0].action, last[0].seed, last[0].stage) == ("abort", 45, "teacher")
    assert isinstance(last[1], ev.RunFinished)
    assert (last[1].outcome, last[1].saved) == ("stopped", False)
    assert status_of(run).state == "stopped"
    assert not run.order_file("abort").exists()
    assert not list(run.path.rglob("*.tmp"))
    saved = [e.epoch for e in events if isinstance(e, ev.Checkpoint)][-1]
    metadata = load_metadata(run.state(45, "teacher"))
    assert metadata is not None
    assert metadata["epoch"] >= saved
    with pytest.MonkeyPatch.context() as patched:
        run.withdraw("pause")
        at(patched, "teacher", metadata["epoch"] + 1, stop)
        assert worker.main([str(run.path)]) == 130
    resumed = [e for e in events_of(run) if isinstance(e, ev.StageStarted)][-1]
    assert (resumed.stage, resumed.first_epoch) == ("teacher", metadata["epoch"])
