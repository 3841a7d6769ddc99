"""Runs of other models than teacher, baseline and student: compared, exported and explored by what their list says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from exporters.bundle import export_run
from exporters.manifest import CARD
from flykd_console.compare.compare import compare
from flykd_console.compare.figures import Block
from flykd_console.compare.grids import grids, runs_grid
from flykd_console.compare.loading import load_runs
from flykd_console.errors import UserError
from flykd_console.explore.exploration import Exploration, explorable_seeds
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.overview import overview_of
from flykd_console.runs.results import Spread, read_results, write_results
from tests.support.comparable_runs import comparable_run, rescore
from tests.support.finished_run import RunSpec, forget_models, make_finished_run
from tests.unit.test_cli_app import call

FURTHER = (
    ModelEntry(name="again", role=Role.STUDENT, label="flykd", dim=8, over="baseline"),
    ModelEntry(name="tiny", role=Role.CANDIDATE, label="tiny", dim=4, over="baseline"),
    ModelEntry(name="plain", role=Role.STUDENT, label="plain", dim=8, over="baseline"),
)
BASIC = """
[models.plain.distill]
sources = ["original", "pseudo_train"]
curriculum = { shape = "none" }
"""
SEEDS = (45, 46)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    comparable_run(root, "usual-1", "usual", seeds=SEEDS)
    comparable_run(root, "four-1", seeds=SEEDS, further=FURTHER, distill=BASIC)
    forget_models(comparable_run(root, "bare-1", "bare", seeds=SEEDS), "baseline")
    forget_models(comparable_run(root, "alone-1", "alone", seeds=SEEDS), "teacher")
    forget_models(comparable_run(root, "base-1", "base", seeds=SEEDS), "teacher", "student")
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same runs with scores that follow from the embeddings, as an export asks."""
    root = tmp_path_factory.mktemp("whole")
    for name, further in (("usual-1", ()), ("four-1", FURTHER), ("bare-1", ()), ("alone-1", ()), ("base-1", ())):
        make_finished_run(root, RunSpec(name=name, seeds=SEEDS, probe=64, further=further))
    forget_models(RunDirectory(root / "bare-1"), "baseline")
    forget_models(RunDirectory(root / "alone-1"), "teacher")
    forget_models(RunDirectory(root / "base-1"), "teacher", "student")
    return root


@pytest.fixture
def made_runs(made: Path, runs: Path) -> Path:
    shutil.copytree(made, runs)
    return runs


def block_of(root: Path, *names: str, against: str | None = None) -> Block:
    runs = load_runs([RunDirectory(root / name) for name in names])
    rival = next((run for run in runs if run.name == against), None)
    (block,) = compare(runs, resamples=200, against=rival).blocks
    return block


def over(block: Block) -> dict[str, str | None]:
    return {row.label: row.gain.over if row.gain else None for row in block.rows}


# Compared


def test_a_run_without_a_baseline_is_compared_without_gains(made: Path) -> None:
    block = block_of(made, "bare-1")
    assert over(block) == {"teacher 12": None, "bare": None}
    assert [grid.title for grid in grids(block) if "gain" in grid.title.lower()] == []


def test_what_runs_share_has_its_gain_over_the_baseline_of_the_one_that_has_one(made: Path) -> None:
    block = block_of(made, "bare-1", "usual-1")
    assert over(block) == {"teacher 12": "baseline 8", "baseline 8": None, "bare": None, "usual": "baseline 8"}
    assert block.rows[0].runs == ["bare-1", "usual-1"]


def test_a_run_without_a_teacher_is_compared(made: Path) -> None:
    assert over(block_of(made, "alone-1")) == {"baseline 8": None, "alone": "baseline 8"}


def test_four_students_of_a_run_have_a_label_each(made: Path) -> None:
    block = block_of(made, "four-1")
    rows = {row.label: row for row in block.rows}
    assert list(rows) == ["teacher 12", "baseline 8", "flykd (student)", "flykd (again)", "tiny", "plain"]
    assert [row.model for row in block.rows] == ["teacher", "baseline", "student", "again", "tiny", "plain"]
    assert [row.role for row in block.rows][-2:] == [Role.CANDIDATE, Role.STUDENT]
    assert set(over(block).values()) == {"baseline 8", None}
    assert block.runs[0].label == "flykd (student)"
    assert runs_grid(block).rows[0][1] == "flykd (student), flykd (again), tiny, plain"


def test_a_student_has_the_papers_row_of_its_own_method(made: Path) -> None:
    block = block_of(made, "four-1")
    papers = {row.label: row.paper.name for row in block.rows if row.paper}
    assert papers == {"flykd (student)": "FlyKD", "flykd (again)": "FlyKD", "plain": "Basic KD"}
    assert block.runs[0].paper_row == "FlyKD (Table 2), FlyKD (Table 2), Basic KD (Table 2)"


def test_labels_are_unique_over_runs_too(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "four-1", tmp_path / "four-2")
    shutil.copytree(made / "four-1", tmp_path / "other" / "four-2")
    runs = load_runs([RunDirectory(path) for path in (made / "four-1", tmp_path / "four-2", tmp_path / "other/four-2")])
    (block,) = compare(runs, resamples=200).blocks
    labels = [row.label for row in block.rows]
    assert len(labels) == 2 + 3 * 4
    assert len(set(labels)) == len(labels)
    assert "tiny (four-1)" in labels


def test_gains_are_those_of_the_results(made: Path) -> None:
    summary = read_results(made / "four-1" / "results.json").summary
    for row in block_of(made, "four-1").rows:
        gain = summary[row.model].gain_points
        if gain is not None:
            assert row.gain is not None
            assert row.gain.points.mean == pytest.approx(gain.mean)


def test_a_row_has_every_named_metric_of_the_results(made: Path) -> None:
    summary = read_results(made / "four-1" / "results.json").summary
    for row in block_of(made, "four-1").rows:
        assert row.metrics == summary[row.model].metrics
        assert row.metrics["macro_auprc"].mean == pytest.approx(row.auprc.mean)


def test_another_headline_metric_has_a_table_before_those_of_auprc(made_runs: Path) -> None:
    run = RunDirectory(made_runs / "usual-1")
    write_results(run, msgspec.structs.replace(read_results(run.results), headline="macro_auroc"))
    block = block_of(made_runs, "usual-1")
    first, second = list(grids(block))[:2]
    assert (block.headline, first.title, second.title) == (
        "macro_auroc",
        "Test AUROC, per cent",
        "Test AUPRC, per cent",
    )
    assert [row[0] for row in first.rows] == [row.label for row in block.rows]


def test_models_are_held_against_what_another_run_is_about(made: Path) -> None:
    block = block_of(made, "four-1", "base-1", against="base-1")
    rivals = {row.label: row.rival.over for row in block.rows if row.rival}
    assert set(rivals) == {row.label for row in block.rows} - {"baseline 8"}
    assert set(rivals.values()) == {"baseline 8"}
    assert {row.rival.over for row in block_of(made, "four-1", against="four-1").rows if row.rival} == {
        "flykd (student)"
    }


def test_a_heuristic_is_shared_and_has_no_width(tmp_path: Path) -> None:
    popularity = ModelEntry(name="popularity", role=Role.HEURISTIC, label="popularity")
    for name in ("a", "b"):
        run = comparable_run(tmp_path, f"{name}-1", name, seeds=SEEDS, further=())
        _add_heuristic(run, popularity)
    rows = {row.label: row for row in block_of(tmp_path, "a-1", "b-1").rows}
    assert list(rows) == ["teacher 12", "baseline 8", "popularity", "a", "b"]
    found = rows["popularity"]
    assert (found.runs, found.dim, found.shape) == (["a-1", "b-1"], None, "")
    assert found.gain is not None
    assert found.gain.over == "baseline 8"


def _add_heuristic(run: RunDirectory, entry: ModelEntry) -> None:
    results = read_results(run.results)
    models = [*results.models[:2], entry, *results.models[2:]]
    seeds = {seed: {**found, entry.name: found["baseline"]} for seed, found in results.seeds.items()}
    write_results(run, msgspec.structs.replace(results, models=models, seeds=seeds))
    for seed in SEEDS:
        draws = np.random.default_rng(seed)
        rescore(run, seed, entry.name, lambda label, draws=draws: label + draws.normal(size=len(label)))


def test_settings_of_a_model_that_both_runs_have_are_compared(made_runs: Path) -> None:
    shutil.copytree(made_runs / "four-1", made_runs / "four-2")
    profile = made_runs / "four-2" / "profile.toml"
    text = profile.read_text().replace("[models.tiny]\n", "[models.tiny]\ndim = 40\n")
    profile.write_text(text + "[models.tiny.distill]\nepochs = 10\ntemperature = 2.0\n")
    block = block_of(made_runs, "four-1", "four-2", "usual-1")
    assert [run.differs for run in block.runs] == [
        {"models.tiny.dim": 80, "models.tiny.distill.epochs": 2000},
        {"models.tiny.dim": 40, "models.tiny.distill.epochs": 10},
        {},
    ]


def test_a_run_of_no_model_is_refused(made_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDirectory(made_runs / "usual-1")
    write_results(run, msgspec.structs.replace(read_results(run.results), seeds={}))
    assert call("compare", "usual-1") == 2
    assert capsys.readouterr().err.startswith("usual-1: no model of this run is finished.")


@pytest.mark.parametrize("form", ["--json", "--csv", "--markdown"])
def test_every_form_takes_them(made_runs: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("bare-1", "alone-1", "four-1", "base-1"):
        assert call("compare", name, "--resamples", "100", form) == 0
        out = capsys.readouterr().out
        if form == "--json":
            rows = json.loads(out)["blocks"][0]["rows"]
            assert all({"role", "metrics"} <= set(row) for row in rows)


# Exported


@pytest.mark.parametrize(
    ("name", "model"), [("bare-1", "student"), ("alone-1", "student"), ("four-1", "student"), ("base-1", "baseline")]
)
def test_the_model_that_a_run_is_about_is_exported(whole: Path, tmp_path: Path, name: str, model: str) -> None:
    bundle = export_run(RunDirectory(whole / name), out=tmp_path / "bundle")
    assert bundle.manifest.model == model
    assert "test AUPRC" in [check.name for check in bundle.checks]


def test_any_model_of_a_run_can_be_exported_and_its_card_names_it(whole: Path, tmp_path: Path) -> None:
    bundle = export_run(RunDirectory(whole / "four-1"), model="plain", out=tmp_path / "bundle")
    assert (bundle.manifest.model, bundle.manifest.dim) == ("plain", 8)
    card = (bundle.path / CARD).read_text(encoding="utf-8")
    assert "\n---\n\n# flykd: distilled student `plain`, 8 dimensions\n" in card
    assert "| **distilled student `plain`** (this one) | 8 |" in card
    for title in ("teacher", "baseline student", "distilled student `again`", "distilled candidate"):
        assert f"| {title} | " in card
    assert "- gain of the distilled candidate over the baseline: " in card


def test_the_card_of_a_run_without_a_baseline_tells_no_gain(whole: Path, tmp_path: Path) -> None:
    bundle = export_run(RunDirectory(whole / "bare-1"), out=tmp_path / "bundle")
    card = (bundle.path / CARD).read_text(encoding="utf-8")
    assert "| **distilled student** (this one) | 8 |" in card
    assert "gain of" not in card


def test_the_seed_is_chosen_and_the_card_judges_by_the_headline_metric(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "usual-1", tmp_path / "usual-1")
    run = RunDirectory(tmp_path / "usual-1")
    results = read_results(run.results)
    for seed, auroc in (("45", 0.9), ("46", 0.1)):
        student = results.seeds[seed]["student"]
        validation = msgspec.structs.replace(student.validation, metrics={"macro_auprc": 0.5, "macro_auroc": auroc})
        results.seeds[seed]["student"] = msgspec.structs.replace(student, validation=validation)
    write_results(run, msgspec.structs.replace(results, headline="macro_auroc"))
    bundle = export_run(run)
    assert bundle.manifest.seeds == [45]
    assert bundle.manifest.seed_choice.startswith("best validation AUROC of 2 seeds, 90.00 %")
    card = (bundle.path / CARD).read_text(encoding="utf-8")
    assert "What the run is judged by, AUROC: " in card
    assert "on the test, 90.00 on validation." in card


def test_a_model_that_a_run_lacks_is_refused_with_those_that_it_has(
    made_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("export", "four-1", "--model", "pupil") == 2
    told = "four-1: there is no model 'pupil'. Choose one of teacher, baseline, student, again, tiny, plain.\n"
    assert capsys.readouterr().err == told
    for seed in SEEDS:
        RunDirectory(made_runs / "four-1").embeddings(seed, "tiny").unlink()
    assert call("export", "four-1", "--model", "tiny") == 2
    told = "four-1: no seed of this run has a finished tiny. Choose another with --model: teacher, baseline, student"
    assert capsys.readouterr().err.startswith(told)


# Explored


@pytest.mark.parametrize(
    ("name", "model", "teacher"),
    [
        ("bare-1", "student", True),
        ("alone-1", "student", False),
        ("four-1", "student", True),
        ("base-1", "baseline", False),
    ],
)
def test_the_model_that_a_run_is_about_is_opened(made: Path, name: str, model: str, teacher: bool) -> None:
    run = RunDirectory(made / name)
    assert explorable_seeds(run) == list(SEEDS)
    opened = Exploration(run, 45)
    assert (opened.entry.name, opened.teacher is not None) == (model, teacher)
    ranks = {node.teacher_rank is not None for node in opened.rank("tail", 3, "indication").nodes}
    assert ranks == {teacher}


def test_another_model_can_be_opened(made: Path) -> None:
    run = RunDirectory(made / "four-1")
    assert explorable_seeds(run, "tiny") == list(SEEDS)
    opened = Exploration(run, 45, "tiny")
    assert opened.tables.head.shape[1] == 4
    assert opened.teacher is not None
    assert Exploration(run, 45, "teacher").teacher is None
    assert explorable_seeds(run, "pupil") == []
    with pytest.raises(UserError, match=r"there is no model 'pupil'\. Choose one of teacher, baseline, student, again"):
        Exploration(run, 45, "pupil")


# Listed


def test_runs_are_listed_by_the_model_that_they_are_about(made_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs", "--json") == 0
    facts = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    summary = read_results(made_runs / "four-1" / "results.json").summary["student"]
    assert isinstance(summary.gain_points, Spread)
    assert facts["four-1"]["gain_points"] == pytest.approx(summary.gain_points.mean)
    assert (facts["four-1"]["metric"], facts["four-1"]["gain_over"]) == ("macro_auprc", "baseline")
    assert facts["bare-1"]["score"] is not None
    assert facts["bare-1"]["gain_points"] is None
    listed = {name: overview_of(RunDirectory(made_runs / name)).outcome for name in facts}
    told = {name: (one.mean, one.gain, one.over) for name, one in listed.items() if one is not None}
    assert told == {name: (one["score"], one["gain_points"], one["gain_over"] or "") for name, one in facts.items()}
    base = facts["base-1"]
    assert (base["model"], base["score"] is not None, base["gain_over"], base["seeds_done"]) == (
        "baseline",
        True,
        None,
        2,
    )
    for name in facts:
        assert call("runs", "show", name) == 0
        assert "…" not in capsys.readouterr().out
