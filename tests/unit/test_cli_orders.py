"""`flykd-console runs pause` and its like, around a trainer that is played by a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from flykd_console.cli import orders
from flykd_console.cli.app import main
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.lock import held
from flykd_console.runs.log import EventWriter
from flykd_console.runs.more_epochs import MoreEpochs
from tests.support.event_log import LogSpec, write_run


@pytest.fixture
def run(runs: Path) -> RunDirectory:
    return write_run(runs, LogSpec(epochs=100, seeds=(45,)), "mine")


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["runs", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


class Trainer:
    """Answers one order, as the trainer does."""

    def __init__(self, run: RunDirectory, seen: Callable[[], bool], answer: ev.Control) -> None:
        self._run, self._seen, self._answer = run, seen, answer
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        until = time.monotonic() + 20
        while not self._seen() and time.monotonic() < until:
            time.sleep(0.01)
        writer = EventWriter(self._run.events)
        writer.write(self._answer)
        writer.close()

    def __enter__(self) -> None:
        self._lock = held(self._run)
        self._lock.__enter__()
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._thread.join()
        self._lock.__exit__(None, None, None)


def given(run: RunDirectory, order: str) -> Callable[[], bool]:
    return lambda: run.order_file(order).exists()


@pytest.mark.parametrize(
    ("command", "order", "answer", "said"),
    [
        ("pause", "pause", ev.Control(action="pause", state="paused"), "is paused. Go on: flykd-console runs continue"),
        ("checkpoint", "checkpoint", ev.Control(action="checkpoint", state="running"), "has written a checkpoint."),
        ("evaluate", "evaluate", ev.Control(action="evaluate", state="running"), "has evaluated"),
        ("stop --now", "abort", ev.Control(action="abort", state="stopping"), "has ended at once. Go on later:"),
    ],
)
def test_an_order_waits_for_the_trainers_answer(
    command: str, order: str, answer: ev.Control, said: str, run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    with Trainer(run, given(run, order), answer):
        name, *options = command.split()
        assert call(name, "mine", *options) == 0
    assert f"mine {said}" in capsys.readouterr().out


def test_a_paused_run_goes_on(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    run.order("pause")
    with Trainer(run, lambda: not run.order_file("pause").exists(), ev.Control(action="resume", state="running")):
        assert call("continue", "mine") == 0
        assert call("continue", "mine") == 2
    captured = capsys.readouterr()
    assert captured.out == "mine goes on.\n"
    assert "this run is not paused" in captured.err


def test_epochs_are_added_to_the_stage_in_training(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    answer = ev.Control(action="extend", state="running", epochs=150)
    with Trainer(run, given(run, "extend"), answer):
        assert call("extend", "50", "mine") == 0
    order = msgspec.json.decode(run.order_file("extend").read_bytes(), type=MoreEpochs)
    assert order.epochs == 50
    assert order.is_meant_for(45, order.stage or "")
    assert f"mine trains {order.stage} of seed 45 for 150 epochs." in capsys.readouterr().out


def test_a_refusal_is_told(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    with Trainer(run, given(run, "evaluate"), ev.Control(action="evaluate", state="refused")):
        assert call("evaluate", "mine") == 2
    assert "the trainer refused" in capsys.readouterr().err


def test_silence_is_no_answer_and_claims_nothing(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(orders, "ANSWER_SECONDS", 0.1)
    with held(run):
        assert call("checkpoint", "mine") == 0
    assert "ordered, and not answered yet" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["pause", "continue", "checkpoint", "evaluate", "stop", "extend 5"])
def test_nobody_trains_nobody_obeys(command: str, run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*command.split(), "mine") == 2
    assert "this run is not being trained" in capsys.readouterr().err
    assert not list((run.path / "control").iterdir())
