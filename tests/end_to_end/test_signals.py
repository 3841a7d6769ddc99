"""Signals, time limits and full disks: a checkpoint where there can be one, one line, and an exit code that says so."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flykd_console.errors import UserError
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.lock import held, is_held
from flykd_console.runs.status import status_of
from flykd_console.training import worker
from flykd_console.training.mishaps import told
from tests.support.loops import at
from tests.support.tiny_run import events_of, make_run, small_kg, tiny_profile


def _run(root: Path) -> RunDirectory:
    return make_run(root / "runs", tiny_profile(small_kg(root)))


def _signalling(number: int) -> Callable[[RunDirectory], None]:
    return lambda run: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_stops_a_run_with_a_checkpoint_and_is_in_its_exit_code(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(tmp_path)
    with monkeypatch.context() as patched:
        at(patched, "teacher", 3, _signalling(number))
        assert worker.main([str(run.path)]) == 128 + number
    assert status_of(run).state == "stopped"
    assert run.state(45, "teacher").is_file()
    assert worker.main([str(run.path)]) == 0


def test_a_reminder_before_the_time_limit_forces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(tmp_path)

    def twice(run: RunDirectory) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)

    at(monkeypatch, "teacher", 3, twice)
    assert worker.main([str(run.path)]) == 128 + signal.SIGUSR1
    assert status_of(run).saved


def test_a_run_stops_when_its_hours_are_over(tmp_path: Path) -> None:
    run = _run(tmp_path)
    assert worker.main([str(run.path), "--max-hours", "0.0000001"]) == 130
    assert status_of(run).state == "stopped"
    assert any("hours" in event.message for event in events_of(run) if isinstance(event, ev.Log))
    assert worker.main([str(run.path), "--max-hours", "10"]) == 0


@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENOSPC, "full"), (errno.EDQUOT, "quota"), (errno.EROFS, "read-only")]
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_takes_no_more_is_one_line_and_the_run_goes_on_later(
    call: str,
    number: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    run = _run(tmp_path)
    real = getattr(os, call)
    done: list[int] = []

    def failing(*arguments: Any, **keywords: Any) -> Any:
        done.append(1)
        if len(done) > 9:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing)
        assert worker.main([str(run.path)]) == 2
    err = capfd.readouterr().err
    assert says in err
    assert f"flykd-console run --resume {run.name}" in err
    assert "Traceback" not in err
    assert status_of(run).state == "failed"
    assert worker.main([str(run.path)]) == 0
    assert not list(run.path.rglob("*.tmp"))


def test_memory_that_ran_out_is_told_with_what_needs_less(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    for error in (MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")):
        said = told(error, run)
        assert said is not None
        assert "memory ran out" in str(said)
        assert "blocks" in str(said)
    assert told(RuntimeError("shape mismatch"), run) is None
    assert told(OSError("no number"), run) is None


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_the_disk_knows_no_locks_the_owners_process_protects_the_run(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(handle: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    run = _run(tmp_path)
    assert worker.main([str(run.path)]) == 0
    assert any("knows no locks" in event.message for event in events_of(run) if isinstance(event, ev.Log))
    # Another process of this machine, the one that runs this one, is named as the owner: it lives.
    parent = os.getppid()
    started = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[19]
    run.lock.write_text(f"{parent}\n{os.uname().nodename}\n{started}\n")
    assert is_held(run)
    with pytest.raises(UserError, match=f"trained already, by process {parent}"), held(run):
        pass
    # A number that was given to another process since is nobody's.
    run.lock.write_text(f"{parent}\n{os.uname().nodename}\n1\n")
    assert not is_held(run)
    with held(run) as locked:
        assert not locked


def test_a_second_writer_is_told_who_has_the_run(tmp_path: Path) -> None:
    run = _run(tmp_path)
    with held(run) as locked:
        assert locked
        with pytest.raises(UserError, match=f"by process {os.getpid()} on"), held(run):
            pass
