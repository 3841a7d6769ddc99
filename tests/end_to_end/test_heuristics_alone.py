"""A run that trains nothing: scorers without training alone, from the profile to whatever presents a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flykd_console.dashboard.app import DashboardApp
from flykd_console.dashboard.scores import seed_words
from flykd_console.dashboard.screens.results import ResultsScreen
from flykd_console.dashboard.widgets.seeds import SeedsPanel
from flykd_console.errors import UserError
from flykd_console.profile.load import load_profile
from flykd_console.profile.models import models_of
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.models import Role, headliner, trains_nothing
from flykd_console.runs.results import read_results
from flykd_console.runs.state.run import RunState
from flykd_console.runs.status import status_of
from flykd_console.training import worker
from tests.dashboard.conftest import settle
from tests.support.tiny_run import events_of, make_run, small_kg, tiny_profile
from tests.unit.test_cli_app import call

ALONE = ["popularity", "neighbours"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setenv("FLYKD_RUNS", str(tmp_path / "runs"))
    return measured(tmp_path, "alone", ["none"])


def measured(folder: Path, name: str, models: list[str]) -> RunDirectory:
    sections: dict[str, dict[str, Any]] = {
        "run": {"name": name, "seeds": [45, 46], "models": models},
        "evaluation": {"heuristics": ALONE, "headline": "macro_ap"},
        "finetune": {"epochs": 2, "validate_every": 1},
        "pretrain": {"epochs": 0},
    }
    directory = make_run(folder / "runs", tiny_profile(small_kg(folder), **sections))
    assert worker.main([str(directory.path)]) == 0
    return directory


def test_it_measures_what_a_trained_run_measures_and_trains_nothing(run: RunDirectory, tmp_path: Path) -> None:
    results = read_results(run.results)
    assert results.method == "heuristics"
    assert [(entry.name, entry.role) for entry in results.models] == [(name, Role.HEURISTIC) for name in ALONE]
    beside = read_results(measured(tmp_path, "beside", ["baseline"]).results)
    for seed in ("45", "46"):
        for name in ALONE:
            ours, theirs = results.seeds[seed][name], beside.seeds[seed][name]
            assert (ours.test, ours.validation) == (theirs.test, theirs.validation)
    assert results.summary["neighbours"].metrics["macro_ap"].n == 2

    events = events_of(run)
    assert not [event for event in events if isinstance(event, ev.StageStarted | ev.Epoch | ev.Checkpoint)]
    (prepared,) = [event for event in events if isinstance(event, ev.RunPrepared)]
    assert prepared.stages == []
    assert not list(run.path.glob("seed-*/*.safetensors"))
    assert run.test_scores(45).is_file()
    status = status_of(run)
    assert (status.state, status.progress) == ("finished", 1.0)


def test_every_command_shows_it_and_export_says_that_nothing_was_trained(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("runs", "--json") == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert (facts["model"], facts["method"], facts["seeds_done"], facts["progress"]) == (
        "neighbours", "heuristics", 2, 1.0,
    )  # fmt: skip
    assert facts["score"] == pytest.approx(read_results(run.results).summary["neighbours"].metrics["macro_ap"].mean)
    assert call("runs", "show", run.name) == 0
    assert "heuristics on kg.csv" in capsys.readouterr().out

    assert call("compare", run.name, "--against", run.name, "--resamples", "100", "--json") == 0
    (block,) = json.loads(capsys.readouterr().out)["blocks"]
    rows = {row["model"]: row for row in block["rows"]}
    assert set(rows) == set(ALONE)
    assert rows["popularity"]["rival"]["over"] == "neighbours"
    assert (block["tail_type"], block["runs"][0]["label"]) == ("disease", "nothing is trained")
    target = run.path / "report.html"
    assert call("report", run.name, "--resamples", "100", "--out", str(target)) == 0
    assert "Scorers without training alone; nothing was trained." in target.read_text("utf-8")
    capsys.readouterr()

    assert call("export", run.name) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "nothing was trained in this run" in told
    assert not run.export.exists()
    # A scorer that tables can say is a bundle like any other, once it is asked for by name.
    assert call("export", run.name, "--model", "neighbours") == 0
    assert "neighbours of seed" in capsys.readouterr().out
    assert (run.export / "manifest.json").is_file()


def test_a_trained_run_is_compared_with_it(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = measured(tmp_path, "trained", ["baseline"])
    assert call("compare", trained.name, run.name, "--resamples", "100", "--json") == 0
    (block,) = json.loads(capsys.readouterr().out)["blocks"]
    # The scorers of the two are one and the same.
    assert [row["model"] for row in block["rows"]].count("neighbours") == 1
    neighbours = next(row for row in block["rows"] if row["model"] == "neighbours")
    assert sorted(neighbours["runs"]) == sorted([trained.name, run.name])


async def test_the_dashboard_shows_it(run: RunDirectory) -> None:
    state = RunState().fold(events_of(run))
    assert state.about is not None
    assert state.about.name == "neighbours"
    assert [seed_words(state, seed) for seed in state.seeds] == ["done", "done"]
    app = DashboardApp(run)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        shown = {str(key.value) for key in app.main.query_one(SeedsPanel).columns}
        assert {"model neighbours", "model popularity"} <= shown
        await pilot.press("r")
        await settle(pilot)
        assert isinstance(app.screen, ResultsScreen)


def test_a_run_in_work_is_not_about_a_scorer_before_its_model() -> None:
    profile = load_profile("flykd", [])
    heuristics = [entry for entry in _entries(profile) if entry.role is Role.HEURISTIC]
    assert headliner(heuristics) is None
    assert not trains_nothing(_entries(profile))
    assert not trains_nothing([])
    assert headliner(heuristics, untrained=True) is not None


def _entries(profile: Any) -> Any:
    from flykd_console.profile.models import entries_of

    return entries_of(profile)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (['run.models=["none", "student"]'], "'none' stands beside student"),
        (['run.models=["none"]', "evaluation.heuristics=[]"], "nothing to measure"),
        (["models.none.dim=8"], "models.none: the name is taken"),
    ],
)
def test_contradictions_are_one_line(settings: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        load_profile("flykd", settings)


def test_the_shipped_profile_trains_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    profile = load_profile("heuristics")
    assert models_of(profile) == []
    assert profile.evaluation.headline == "macro_ap"
    assert call("profiles", "check", "heuristics") == 0
    assert "trains nothing on embedded" in capsys.readouterr().out
