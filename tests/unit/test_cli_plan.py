"""Sweeps, jobs side by side and shards around a training process that is played by a script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flykd_console.profile.load import load_profile
from flykd_console.runs.find import list_runs
from flykd_console.runs.lock import held
from tests.unit.test_cli_run import fake_worker, run

__all__ = ["fake_worker"]
pytestmark = pytest.mark.usefixtures("fake_worker")


def dims(root: Path) -> list[tuple[int, list[int]]]:
    profiles = [load_profile(directory.profile) for directory in list_runs(root)]
    return sorted((profile.student.dim, profile.run.seeds) for profile in profiles)


def starts(root: Path) -> int:
    return sum(directory.events.read_text().count('"kind":"run.started"') for directory in list_runs(root))


def test_a_sweep_is_a_run_each_in_one_process_and_ends_with_a_table(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("flykd", "--seeds", "45,46", "--set", "student.dim=16,32") == 0
    out = capsys.readouterr().out
    assert dims(runs) == [(16, [45, 46]), (32, [45, 46])]
    assert len({json.loads(d.events.read_text().splitlines()[0])["pid"] for d in list_runs(runs)}) == 1
    table = out[out.index("Settings against results") :]
    assert "79.93 ± 0.00" in table
    assert {"16", "32"} <= {line.split()[0] for line in table.splitlines() if line.strip()}


def test_a_sweep_given_again_trains_nothing_again(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["flykd", "--seeds", "45", "--set", "student.dim=16,32"]
    assert run(*command) == 0
    assert run(*command) == 0
    assert starts(runs) == 2
    assert capsys.readouterr().out.count("Settings against results") == 2


def test_json_is_the_table_and_nothing_else(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("flykd", "--seeds", "45", "--set", "student.dim=16,32", "--json") == 0
    captured = capsys.readouterr()
    assert [point["settings"] for point in json.loads(captured.out)] == [{"student.dim": "16"}, {"student.dim": "32"}]
    assert "2/2 finished" in captured.err


def test_jobs_side_by_side_train_a_seed_each_on_one_thread(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("flykd", "--seeds", "45-47", "--jobs", "2") == 0
    assert dims(runs) == [(80, [45]), (80, [46]), (80, [47])]
    out = capsys.readouterr().out
    assert "3/3 finished" in out
    assert "79.93 ± 0.00" in out


def test_a_job_that_fails_sinks_no_other_and_is_tried_again(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "crash")
    assert run("flykd", "--seeds", "45,46", "--jobs", "2") == 1
    captured = capsys.readouterr()
    assert captured.err.count("failed: ValueError: a bug") == 2
    assert "seed 45 failed: ValueError: a bug" in captured.out
    monkeypatch.setenv("FAKE_WORKER", "finish")
    assert run("flykd", "--seeds", "45,46", "--jobs", "2") == 0
    assert len(list_runs(runs)) == 2


def test_shards_share_the_plan_out(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("1/2", "2/2"):
        assert run("flykd", "--seeds", "45-47", "--set", "student.dim=16,32", "--shard", part) == 0
    assert len(list_runs(runs)) == 6
    assert starts(runs) == 6
    capsys.readouterr()
    assert run("flykd", "--seeds", "45-47", "--set", "student.dim=16,32", "--jobs", "1", "--json") == 0
    points = json.loads(capsys.readouterr().out)
    assert [(point["settings"], point["seeds"]) for point in points] == [
        ({"student.dim": "16"}, [45, 46, 47]), ({"student.dim": "32"}, [45, 46, 47])
    ]  # fmt: skip
    assert starts(runs) == 6


def test_a_job_that_somebody_trains_is_left_to_them(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("flykd", "--seeds", "45", "--jobs", "1") == 0
    (directory,) = list_runs(runs)
    directory.results.unlink()
    with held(directory):
        assert run("flykd", "--seeds", "45", "--jobs", "1") == 0
    out = capsys.readouterr().out
    assert "1 of 1 jobs are left. The same command goes on with them." in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flykd", "--jobs", "0"], "--jobs 0: is neither auto nor a number of jobs"),
        (["flykd", "--shard", "3/2"], "there is no part 3 of 2"),
        (["flykd", "--engine", "slurm"], "there is no engine 'slurm'"),
        (["flykd", "--set", "student.dim=16,x"], "--set student.dim=x: must be a whole number"),
        (["flykd", "flykd", "--jobs", "2"], "two jobs of the plan are the same"),
        (["--resume", "x", "--jobs", "2"], "--jobs cannot be given"),
    ],
)
def test_bad_plans_are_one_line_and_leave_nothing(
    arguments: list[str], message: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not runs.exists()
