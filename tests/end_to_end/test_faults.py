"""A disk that fails at any call, a process killed at any moment: nothing is lost. `benchmarks/faults.py` tries more."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest

from benchmarks.faults import Bench, quietly, whole_files
from tests.support.faults import FaultyDisk


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("faults"))


def test_every_kind_of_file_passes_through_the_layer(bench: Bench) -> None:
    run = bench.new("counted")
    disk = FaultyDisk(run.path)
    with disk.mounted():
        assert quietly(run) == 0
    purposes = {purpose for purpose, _ in disk.reached}
    assert {"checkpoint", "weights", "record", "embeddings", "event log", "results", "scores", "lock"} <= purposes
    for purpose in ("checkpoint", "weights", "record", "results", "scores"):
        assert {call for one, call in disk.reached if one == purpose} >= {"write", "fsync", "replace"}


@pytest.mark.parametrize("share", [0.02, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9])
def test_whatever_call_fails_the_old_or_the_new_stands_and_the_run_goes_on(share: float, bench: Bench) -> None:
    run = bench.new("measured")
    disk = FaultyDisk(run.path)
    with disk.mounted():
        quietly(run)
    shutil.rmtree(run.path.parent)
    run = bench.new("faulty")
    disk = FaultyDisk(run.path, max(1, int(share * disk.calls)))
    with disk.mounted():
        quietly(run)
    assert disk.failed is not None
    assert whole_files(run) == ""
    assert bench.resumed(run) == ""
    shutil.rmtree(run.path.parent)


def test_a_process_killed_at_random_moments_ends_as_the_undisturbed_one(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.kill(2, random.Random(1))
    # A run that is done before its moment comes is followed by another, so that their number depends on the machine.
    assert re.search(r"2 kills over (\d+) runs; \1 of \1 ended byte for byte", capsys.readouterr().out)


def test_the_bench_notices_what_is_not_whole(bench: Bench, tmp_path: Path) -> None:
    run = bench.new("cut")
    shutil.copytree(bench.whole.seed(45), run.seed(45))
    path = run.weights(45, "teacher")
    path.write_bytes(path.read_bytes()[:-1])
    assert "teacher.safetensors is not whole" in whole_files(run)
