"""A disk that fails at any call, a process killed at any moment: nothing is lost. `benchmarks/faults.py` tries more."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import faults
from exporters.bundle import export_run
from flykd_console.runs.files import replace_file
from tests.support.faults import FaultyDisk
from tests.support.undisturbed import Undisturbed, not_whole, quietly


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    root = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FLYKD_CACHE", str(root / "cache"))
        patched.setenv("FLYKD_RUNS", str(root / "whole"))
        yield Undisturbed(root)


def test_every_kind_of_file_passes_through_the_layer(runs: Undisturbed) -> None:
    run = runs.new("counted")
    disk = FaultyDisk(run.path)
    with disk.mounted():
        assert quietly(run) == 0
    purposes = {purpose for purpose, _ in disk.reached}
    assert {"checkpoint", "weights", "record", "embeddings", "event log", "results", "scores", "lock"} <= purposes
    for purpose in ("checkpoint", "weights", "record", "results", "scores"):
        assert {call for one, call in disk.reached if one == purpose} >= {"write", "fsync", "replace"}


@pytest.mark.parametrize("share", [0.02, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9])
def test_whatever_call_fails_the_old_or_the_new_stands_and_the_run_goes_on(share: float, runs: Undisturbed) -> None:
    run = runs.new("measured")
    disk = FaultyDisk(run.path)
    with disk.mounted():
        quietly(run)
    shutil.rmtree(run.path.parent)
    run = runs.new("faulty")
    disk = FaultyDisk(run.path, max(1, int(share * disk.calls)))
    with disk.mounted():
        quietly(run)
    assert disk.failed is not None
    assert not_whole(run) == ""
    assert quietly(run) == 0
    assert runs.differs(run) == ""
    shutil.rmtree(run.path.parent)


@pytest.mark.parametrize("case", ["export", "cache", "reports", "selection"])
def test_whatever_call_fails_what_was_written_is_the_old_or_the_new(case: str, runs: Undisturbed) -> None:
    failed = faults.Failed()
    assert faults.CASES[case](runs, 7 if case == "export" else 3, failed) == failed.total()
    assert failed.total() > 1


def test_every_kind_of_call_of_an_export_and_of_a_cache_is_reached(runs: Undisturbed, tmp_path: Path) -> None:
    disk = FaultyDisk(tmp_path)
    with disk.mounted():
        export_run(runs.whole, seed=45, out=tmp_path / "b")
        replace_file(tmp_path / "selection.json", b"{}")
    assert {
        ("export", call) for call in ("open", "write", "fsync", "replace", "rename", "mkdir")
    } <= disk.reached.keys()
    assert {("selection", call) for call in ("open", "write", "fsync", "replace")} <= disk.reached.keys()


def test_a_process_killed_at_random_moments_ends_as_the_undisturbed_one(
    tmp_path: Path,
) -> None:
    # A child of this process would inherit threads that it does not have: the script forks from one of its own.
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parents[2] / "benchmarks" / "kills.py"), "--kills", "2", "--a-run", "2"],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert re.search(r"2 kills over (\d+) runs; \1 of \1 ended byte for byte", done.stdout), done.stdout + done.stderr


def test_the_bench_notices_what_is_not_whole(runs: Undisturbed, tmp_path: Path) -> None:
    run = runs.new("cut")
    shutil.copytree(runs.whole.seed(45), run.seed(45))
    path = run.weights(45, "teacher")
    path.write_bytes(path.read_bytes()[:-1])
    assert "teacher.safetensors is not whole" in not_whole(run)
