"""Runs that another machine trains over a shared disk, where neither lock nor process number means anything."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from flykd_console.cli.app import main
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.lock import SILENT_SECONDS, held, is_alive, other_machine
from flykd_console.runs.log import EventWriter
from flykd_console.runs.status import in_training, status_of
from tests.support.event_log import LogSpec, write_run


def run_of(root: Path, host: str, age: float, state: str = "running") -> RunDirectory:
    """A run whose log was last written `age` seconds ago by a machine of that name."""
    run = write_run(root, LogSpec(state=state, epochs=40, seeds=(45,)), "mine")
    run.lock.write_text(f"1\n{host}\n")
    os.utime(run.events, (time.time() - age,) * 2)
    return run


def test_a_lock_names_its_machine(tmp_path: Path) -> None:
    run = write_run(tmp_path, LogSpec(state="starting"))
    with held(run):
        assert run.lock.read_text().splitlines()[:2] == [str(os.getpid()), socket.gethostname()]
        assert other_machine(run) == ""
        assert is_alive(run)
    assert not is_alive(run)


@pytest.mark.parametrize(
    ("host", "age", "state"),
    [
        ("elsewhere", 1.0, "running"),
        ("elsewhere", SILENT_SECONDS + 10.0, "died"),
        (socket.gethostname(), 1.0, "died"),
        ("", 1.0, "died"),
    ],
)
def test_only_another_machines_run_lives_by_the_age_of_its_log(
    host: str, age: float, state: str, tmp_path: Path
) -> None:
    run = run_of(tmp_path, host, age)
    assert status_of(run).state == state
    assert in_training(run) is (state == "running")


def test_a_run_that_has_just_ended_elsewhere_is_over(tmp_path: Path) -> None:
    run = run_of(tmp_path, "elsewhere", 1.0, state="stopped")
    assert status_of(run).state == "stopped"
    assert not in_training(run)


def test_a_run_in_training_elsewhere_is_neither_resumed_nor_removed(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(runs, "elsewhere", 1.0)
    for line in ("run --resume mine", "runs rm mine --yes", "watch mine --replay 9x"):
        with pytest.raises(SystemExit) as left:
            main(line.split())
        assert left.value.code == 2
        assert "this run is being trained" in capsys.readouterr().err
    assert run.events.is_file()


def test_a_run_that_was_stopped_at_once_says_that_nothing_was_saved(tmp_path: Path) -> None:
    run = run_of(tmp_path, "", 1.0)
    writer = EventWriter(run.events)
    writer.write(ev.Control(action="abort", state="stopping"))
    writer.write_last(ev.RunFinished(outcome="stopped", seconds=1.0, saved=False))
    assert (status_of(run).state, status_of(run).saved) == ("stopped", False)


def test_a_refused_order_does_not_change_where_a_run_stands(tmp_path: Path) -> None:
    run = write_run(tmp_path, LogSpec(state="paused", epochs=40, seeds=(45,)))
    writer = EventWriter(run.events)
    writer.write(ev.Control(action="extend", state="refused"))
    writer.close()
    with held(run):
        assert status_of(run).state == "paused"
