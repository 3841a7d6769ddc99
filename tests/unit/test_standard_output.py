"""What keeps a command from writing, or from memory, is one line and exit code 2."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flykd_console.errors import UserError
from flykd_console.mishaps import disk_words, is_memory, ran_out
from tests.support.event_log import LogSpec, write_run
from tests.support.small_graph import small_graph, write_kg_csv

ROOT = Path(__file__).parents[2]
FULL = "standard output: the disk is full. Make room, then call it again.\n"


def _call(arguments: list[str], runs: Path, **how: Any) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FLYKD_RUNS": str(runs), "FLYKD_CACHE": str(runs / "cache")}
    return subprocess.run(
        [sys.executable, "-m", *arguments], env=environment, stderr=subprocess.PIPE, text=True, timeout=100, **how
    )


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["runs"], ["runs", "show"], ["watch", "--plain"], ["profiles", "keys"]]
)
def test_standard_output_on_a_full_disk_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    write_run(tmp_path, LogSpec(state="finished", epochs=5, seeds=(45,)))
    with open("/dev/full", "w") as full:
        done = _call(["flykd_console", *arguments], tmp_path, stdout=full)
    assert (done.returncode, done.stderr) == (2, FULL)


def test_what_the_user_did_wrong_is_told_though_the_disk_is_full(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = _call(["flykd_console", "runs", "show", "nothing"], tmp_path, stdout=full)
    assert done.returncode == 2
    assert "nothing" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)])
def test_closed_outputs_swallow_what_they_are_given(closed: tuple[int, ...], tmp_path: Path) -> None:
    write_run(tmp_path, LogSpec(state="finished", epochs=5, seeds=(45,)))

    def close() -> None:
        for handle in closed:
            os.close(handle)

    done = _call(["flykd_console", "runs"], tmp_path, stdout=subprocess.DEVNULL, preexec_fn=close)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("megabytes", [250, 700])
def test_a_memory_limit_that_is_too_low_is_one_line(megabytes: int, tmp_path: Path) -> None:
    graph = write_kg_csv(small_graph(), tmp_path / "kg.csv")
    limit = megabytes << 20
    done = _call(
        ["flykd_console", "graph", "info", str(graph)],
        tmp_path,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    # How much libraries need differs between machines: where it is enough, nothing is to be said.
    if done.returncode:
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("Memory ran out.")
    assert "Traceback" not in done.stderr
    assert "stack backtrace" not in done.stderr


@pytest.mark.parametrize(("arguments", "code"), [(["runs"], 0), (["runs", "show", "nothing"], 2), (["--version"], 0)])
def test_a_memory_limit_that_is_high_enough_changes_nothing(arguments: list[str], code: int, tmp_path: Path) -> None:
    write_run(tmp_path, LogSpec(state="finished", epochs=5, seeds=(45,)))

    def call(limit: int) -> tuple[int, str, str]:
        done = _call(
            ["flykd_console", *arguments],
            tmp_path,
            stdout=subprocess.PIPE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        )
        return done.returncode, done.stdout, done.stderr

    assert call(16 << 30) == call(resource.RLIM_INFINITY)
    assert call(16 << 30)[0] == code


def test_an_empty_event_log_of_a_run_that_nobody_trains_is_told_at_once(tmp_path: Path) -> None:
    run = write_run(tmp_path, LogSpec(state="finished", epochs=5, seeds=(45,)))
    run.events.write_bytes(b"")
    os.utime(run.profile, (0, 0))
    done = _call(["flykd_console", "watch", run.name, "--plain"], tmp_path, stdout=subprocess.PIPE)
    assert "has not begun, and nobody trains it" in done.stderr
    assert f"flykd-console run --resume {run.name}" in done.stderr


def _read_without_memory() -> None:
    try:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    except OSError:
        raise UserError("cannot be read", "kg.csv") from None


def test_errors_of_memory_are_known_by_what_they_came_from() -> None:
    with pytest.raises(UserError) as caught:
        _read_without_memory()
    assert is_memory(caught.value)
    assert is_memory(ImportError("libopenblas.so: failed to map segment from shared object"))
    assert is_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert not is_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not ran_out(KeyError("x"))


@pytest.mark.parametrize(
    ("number", "title"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the quota of the disk is used up"), (errno.ENOENT, None)],
)
def test_what_disks_do_has_words(number: int, title: str | None) -> None:
    words = disk_words(OSError(number, os.strerror(number)))
    assert (words[0] if words else None) == title
