"""The run directory: its lock, its orders, finding one, and the state that its log's ends tell."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from flykd_console.errors import UserError
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.find import create_run, find_run, list_runs
from flykd_console.runs.lock import held, is_held
from flykd_console.runs.status import progress_of, status_of
from tests.support.event_log import LogSpec, write_run


def make(root: Path, name: str, finished: bool = False) -> RunDirectory:
    directory = RunDirectory(root / name)
    directory.path.mkdir(parents=True)
    directory.profile.write_text("")
    if finished:
        directory.results.write_text("{}")
        begun = ev.RunStarted(
            run=name,
            name=name,
            method="flykd",
            seeds=[45],
            stages=[],
            device="cpu",
            graph=ev.GraphFacts(source="embedded"),
            teacher_dim=130,
            student_dim=80,
            pid=1,
        )
        directory.events.write_bytes(ev.encode(begun) + ev.encode(ev.RunFinished(outcome="finished", seconds=1.0)))
    return directory


def test_two_runs_of_one_second_get_folders_of_their_own(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda _: "20261120-211500")
    assert [create_run("a").name for _ in range(3)] == [
        "a-20261120-211500",
        "a-20261120-211500-2",
        "a-20261120-211500-3",
    ]


def test_a_folder_that_cannot_be_made_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        create_run("a", tmp_path / "file")


def test_runs_are_found_by_name_beginning_path_and_age(runs: Path) -> None:
    assert list_runs() == []
    first = make(runs, "alpha-1", finished=True)
    time.sleep(0.01)
    second = make(runs, "beta-1")
    second.results.write_text("{}")  # what the first of several seeds leaves
    (runs / "no-run").mkdir()
    assert [run.name for run in list_runs()] == ["beta-1", "alpha-1"]
    assert find_run("alpha-1").path == first.path
    assert find_run("be").path == second.path
    assert find_run(str(first.path)).path == first.path
    assert find_run(None).path == second.path
    assert find_run(None, finished=True).path == first.path


def test_a_run_that_is_not_there_or_not_clear_is_told(runs: Path) -> None:
    with pytest.raises(UserError, match=r"no finished run in .* yet"):
        find_run(None, finished=True)
    make(runs, "alpha-1")
    make(runs, "alpha-2")
    with pytest.raises(UserError, match="2 runs begin with 'al'"):
        find_run("al")
    with pytest.raises(UserError, match="no run 'gamma'"):
        find_run("gamma")


def test_a_whole_name_wins_over_longer_ones_that_begin_with_it(runs: Path) -> None:
    exact = make(runs, "alpha")
    make(runs, "alpha-2")
    assert find_run("alpha").path == exact.path


def test_only_one_worker_holds_a_run(tmp_path: Path) -> None:
    directory = make(tmp_path, "a")
    assert not is_held(directory)
    with held(directory):
        assert is_held(directory)
        with pytest.raises(UserError, match="being trained already"), held(directory):
            pass
        assert is_held(directory)
    assert not is_held(directory)


def test_orders_are_given_and_withdrawn(tmp_path: Path) -> None:
    directory = make(tmp_path, "a")
    directory.order("pause")
    assert directory.order_file("pause").exists()
    directory.withdraw("pause")
    directory.withdraw("pause")
    assert not directory.order_file("pause").exists()
    with pytest.raises(ValueError, match="dance"):
        directory.order("dance")


@pytest.mark.parametrize(
    ("logged", "alive", "state"),
    [
        ("running", True, "running"),
        ("running", False, "died"),
        ("paused", True, "paused"),
        ("paused", False, "died"),
        ("stopped", False, "stopped"),
        ("finished", False, "finished"),
        ("finished", True, "finished"),
        ("failed", False, "failed"),
        ("user-error", False, "failed"),
        ("starting", True, "running"),
        ("reading", False, "died"),
    ],
)
def test_state_follows_from_the_log_and_the_lock(tmp_path: Path, logged: str, alive: bool, state: str) -> None:
    directory = write_run(tmp_path, LogSpec(state=logged, seeds=(45, 46), epochs=50))
    if alive:
        with held(directory):
            status = status_of(directory)
    else:
        status = status_of(directory)
    assert status.state == state
    if logged in ("running", "paused", "stopped", "failed"):
        assert (status.seed, status.stage, status.epoch, status.epochs) == (46, "student", 30, 50)
        assert status.seed_position == 2
        assert 0.9 < status.progress < 1
    assert (status.progress == 1.0) == (logged == "finished")
    assert bool(status.traceback) == (logged == "failed")
    assert bool(status.error) == (logged in ("failed", "user-error"))


def test_a_run_without_a_word_is_starting_and_later_dead(tmp_path: Path) -> None:
    import os

    directory = make(tmp_path, "a")
    assert status_of(directory).state == "starting"
    os.utime(directory.profile, (1, 1))
    assert status_of(directory).state == "died"
    with held(directory):
        assert status_of(directory).state == "starting"


def test_a_long_pause_does_not_hide_the_state(tmp_path: Path) -> None:
    directory = write_run(tmp_path, LogSpec(state="paused", seeds=(45,), epochs=50))
    with open(directory.events, "ab") as log:
        log.writelines(ev.encode(ev.Resources(t=2e9 + i, cpu=1.0, rss=1)) for i in range(3000))
        log.write(b'{"kind":"resour')
    with held(directory):
        status = status_of(directory)
    assert (status.state, status.stage, status.epoch) == ("paused", "student", 30)
    assert status.updated == 2e9 + 2999


def test_a_resumed_run_is_running_again_and_keeps_its_place(tmp_path: Path) -> None:
    directory = write_run(tmp_path, LogSpec(state="stopped", seeds=(45,), epochs=50))
    first = ev.decode(directory.events.read_bytes().splitlines()[0])
    assert isinstance(first, ev.RunStarted)
    with open(directory.events, "ab") as log:
        log.write(ev.encode(ev.Log(level="info", message="going on")))
        log.write(ev.encode(first))
    with held(directory):
        status = status_of(directory)
    assert (status.state, status.stage, status.epoch) == ("running", "student", 30)


def test_a_long_log_is_read_at_its_ends_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = write_run(tmp_path, LogSpec(state="running", seeds=(45, 46), epochs=5000))
    decoded = 0
    decode = ev.decode

    def counting(line: bytes) -> ev.AnyEvent | None:
        nonlocal decoded
        decoded += 1
        return decode(line)

    monkeypatch.setattr("flykd_console.runs.status.decode", counting)
    assert status_of(directory).epoch == 3000
    assert decoded < 50


def test_lines_longer_than_a_block_are_read_backwards_too(tmp_path: Path) -> None:
    directory = write_run(tmp_path, LogSpec(state="running", seeds=(45,), epochs=50))
    with open(directory.events, "ab") as log:
        log.write(ev.encode(ev.RunFailed(error="x", traceback="y" * 300_000)))
    status = status_of(directory)
    assert status.state == "failed"
    assert len(status.traceback) == 300_000
    assert status.epoch == 30


def test_progress_counts_planned_epochs() -> None:
    plan = [
        ev.PlannedStage(seed=1, stage=s, epochs=n)
        for s, n in (("pretrain-teacher", 10), ("teacher", 30), ("student", 60))
    ]
    assert progress_of(plan, 1, "teacher", 0.5) == pytest.approx(0.25)
    assert progress_of(plan, 1, "student", 2.0) == 1.0
    assert progress_of(plan, 2, "student", 0.5) == 0.0
