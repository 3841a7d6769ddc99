"""Seeds trained as jobs of their own are one run in tables, reports and the dashboard's comparison."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from flykd_console.compare.compare import compare
from flykd_console.compare.joined import differing, joined
from flykd_console.compare.loading import load_runs
from flykd_console.runs.directory import RunDirectory
from tests.support.comparable_runs import comparable_run, edit_environment, put_rankings
from tests.unit.test_cli_app import call

BASIC = 'sources = ["original", "pseudo_train"]\n[distill.curriculum]\nshape = "none"\n'


@pytest.fixture
def jobs(runs: Path) -> list[RunDirectory]:
    return [comparable_run(runs, f"job-{seed}", seeds=(seed,), student=1.5) for seed in (46, 45, 47)]


def test_jobs_of_equal_settings_are_one_run_with_the_figures_of_a_run_of_all_seeds(
    jobs: list[RunDirectory], runs: Path
) -> None:
    whole = comparable_run(runs, "whole", student=1.5)
    for directory in [*jobs, whole]:
        put_rankings(directory, {"teacher": 0.5, "baseline": 0.4, "student": 0.6})
    (run,) = joined(load_runs(jobs))
    assert (run.name, run.seeds) == ("job-46 and 2 more", (45, 46, 47))
    (block,) = compare([run], resamples=200).blocks
    (expected,) = compare(load_runs([whole]), resamples=200).blocks
    assert block.seeds == [45, 46, 47]
    for row, other in zip(block.rows, expected.rows, strict=True):
        assert (row.auprc, row.gain, row.by_tail) == (other.auprc, other.gain, other.by_tail)
    assert block.overlap == expected.overlap
    assert (
        "job-46 and 2 more are jobs of one training, whose settings are equal: job-46 (seed 46); job-45 (seed 45); "
        "job-47 (seed 47)."
    ) in block.notes


def test_the_command_makes_one_table_of_jobs_and_one_row_a_method(
    jobs: list[RunDirectory], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (45, 46, 47):
        comparable_run(runs, f"basic-{seed}", "basic-kd", student=0.5, seeds=(seed,), distill=BASIC)
    names = [directory.name for directory in jobs] + ["basic-45", "basic-46", "basic-47"]
    assert call("compare", *names, "--json", "--resamples", "100", "--against", "job-45") == 0
    (block,) = json.loads(capsys.readouterr().out)["blocks"]
    assert [row["label"] for row in block["rows"]] == ["teacher 12", "baseline 8", "flykd", "basic-kd"]
    assert [run["name"] for run in block["runs"]] == ["job-46 and 2 more", "basic-45 and 2 more"]
    assert block["rows"][3]["rival"]["over"] == "flykd"


def test_a_report_of_jobs_has_the_provenance_of_each(jobs: list[RunDirectory], tmp_path: Path) -> None:
    for number, directory in enumerate(jobs):
        edit_environment(directory, command=["flykd-console", "run", f"array-job-{number}"])
    assert call("report", *(directory.name for directory in jobs), "--out", str(tmp_path / "out.html")) == 0
    text = (tmp_path / "out.html").read_text()
    for number in range(3):
        assert f"array-job-{number}" in text


def test_runs_of_one_seed_twice_or_of_other_settings_stay_apart(jobs: list[RunDirectory], runs: Path) -> None:
    again = comparable_run(runs, "again", seeds=(45, 46, 47), student=1.5)
    other = comparable_run(runs, "other", seeds=(48,), student=1.5)
    with other.profile.open("a") as file:
        file.write("\n[finetune]\nlr = 0.25\n")
    loaded = load_runs([*jobs, again, other])
    assert [run.name for run in joined(loaded)] == ["job-46 and 2 more", "again", "other"]
    assert [one.key for one in differing(loaded[0], loaded[-1])] == ["finetune.lr"]


def test_how_a_job_is_called_and_carried_out_is_no_setting(jobs: list[RunDirectory]) -> None:
    for number, directory in enumerate(jobs):
        text = directory.profile.read_text()
        directory.profile.write_text(text + f"\n[engine]\nthreads = {number + 1}\n")
    assert len(joined(load_runs(jobs))) == 1
    text = jobs[0].profile.read_text()
    jobs[0].profile.write_text(text + 'precision = "bf16"\n')
    assert len(joined(load_runs(jobs))) == 2


def test_joined_runs_are_read_from_the_folder_of_each_seed(jobs: list[RunDirectory]) -> None:
    (run,) = joined(load_runs(jobs))
    for directory in jobs:
        (seed,) = (job.seeds[0] for job in run.jobs if job.directory == directory)
        stored = pl.read_parquet(directory.test_scores(seed)).sort("relation", "head_id", "tail_id", "label")
        assert run.scores[seed]["student"].to_list() == stored["student"].to_list()
        assert run.splits[str(seed)] == load_runs([directory])[0].splits[str(seed)]
