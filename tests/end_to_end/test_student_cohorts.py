"""Students that teach each other on the knowledge graph: what a run leaves, tells and lends; a stop changes nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from flykd_console.model.tensor_files import load_tensors
from flykd_console.profile.load import load_profile
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Log, StageFinished, StageStarted
from flykd_console.runs.results import read_results
from flykd_console.runs.state.run import RunState
from flykd_console.training.worker import main
from tests.support.tiny_run import events_of, make_run, small_kg, tiny_profile

MEMBERS = {"first": {"dim": 8}, "second": {"dim": 8}}
# The weights of true labels and of the others' from the first epoch on.
AT_ONCE = {"original": [(0.0, 1.0)], "pseudo_train": [(0.0, 1.0)], "pseudo_random": [(0.0, 1.0)]}


def profile(folder: Path, distill: dict[str, Any] | None = None, **mutual: Any) -> Profile:
    graph = small_kg(folder)
    method = {"method": "dml", "curriculum": AT_ONCE} | (distill or {})
    return tiny_profile(graph, distill=method, mutual={"members": MEMBERS} | mutual)


def trained(folder: Path, distill: dict[str, Any] | None = None, **mutual: Any) -> RunDirectory:
    directory = make_run(folder / "runs", profile(folder, distill, **mutual))
    assert main([str(directory.path)]) == 0
    return directory


def weights_of(directory: RunDirectory, model: str) -> dict[str, torch.Tensor]:
    return load_tensors(directory.weights(45, model))[0]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_cohort_of_students_leaves_every_member_with_its_fair_rival(tmp_path: Path) -> None:
    directory = trained(tmp_path)
    results = read_results(directory.results)
    over = {entry.name: entry.over for entry in results.models}
    assert {name: over[name] for name in MEMBERS} == {name: f"alone-{name}" for name in MEMBERS}
    assert (over["ensemble"], over["best"]) == ("deep-ensemble", "best-alone")
    found = results.seeds["45"]
    assert list(found) == [entry.name for entry in results.models]
    for name in ("ensemble", "deep-ensemble"):
        assert -1.0 <= found[name].test.metrics["rank_correlation"] <= 1.0
    best = max(MEMBERS, key=lambda name: found[name].validation.metrics["macro_auprc"])
    assert found["best"] == found[best]
    assert found["first"].test.metrics["macro_ap"] > 0.0
    assert set(results.summary["first"].gains) >= {"macro_auprc", "macro_ap"}
    for name in (*MEMBERS, *(f"alone-{member}" for member in MEMBERS), "ensemble", "deep-ensemble", "best"):
        assert directory.embeddings(45, name).is_file()


def test_the_ensemble_is_the_mean_of_its_members_logits(tmp_path: Path) -> None:
    import polars as pl

    frame = pl.read_parquet(trained(tmp_path).scores(45, "test"))
    mean = (frame["first"] + frame["second"]) / 2
    assert (frame["ensemble"] - mean).abs().max() == pytest.approx(0.0, abs=1e-5)


def test_members_to_whom_the_others_say_nothing_are_those_trained_alone_bit_for_bit(tmp_path: Path) -> None:
    silent = {"original": [(0.0, 1.0)], "pseudo_train": [(0.0, 0.0)], "pseudo_random": [(0.0, 0.0)]}
    graph = small_kg(tmp_path)
    settings = tiny_profile(
        graph,
        distill={"curriculum": silent},
        mutual={"members": MEMBERS},
        finetune={"plateau": {"last_epochs": 0}},
    )
    directory = make_run(tmp_path / "runs", settings)
    assert main([str(directory.path)]) == 0
    for name in MEMBERS:
        assert equal(weights_of(directory, name), weights_of(directory, f"alone-{name}"))
    assert not equal(weights_of(directory, "first"), weights_of(directory, "second"))


def test_what_the_others_say_moves_a_member(tmp_path: Path) -> None:
    directory = trained(tmp_path)
    assert not equal(weights_of(directory, "first"), weights_of(directory, "alone-first"))


@pytest.mark.parametrize(
    ("distill", "mutual"),
    [
        ({"sources": ["pseudo_random", "pseudo_train"], "temperature": 2.0}, {}),
        ({"pseudo_negatives": "none"}, {"target": "mean"}),
        ({}, {"target": "gate"}),
        ({}, {"logit_weighting": {"kind": "pooled", "bound": 0.5}}),
        ({}, {"logit_weighting": {"kind": "pooled", "bound": 0.0}}),
        ({"random_graph": {"sampler": "blocks", "labels_per_relation": 100}}, {}),
        ({"random_graph": {"sampler": "exact"}, "temperature": 2.0}, {"target": "gate"}),
        ({"sources": ["original", "pseudo_lists"], "lists": {"tails": 4, "heads": 2}}, {"target": "mean"}),
    ],
    ids=["temperature", "mean", "gate", "bounded", "softmax", "blocks", "exact-gate", "lists"],
)
def test_every_way_to_learn_from_each_other_trains(
    tmp_path: Path, distill: dict[str, Any], mutual: dict[str, Any]
) -> None:
    wanted = distill.get("sources", ["original", "pseudo_train", "pseudo_random"])
    method = {"curriculum": {name: [(0.0, 1.0)] for name in wanted}} | distill
    three = MEMBERS | {"third": {"dim": 6, "kind": "rgat"}}
    directory = trained(tmp_path, method, members=three, alone=False, **mutual)
    found = read_results(directory.results).seeds["45"]
    assert all(found[name].test.metrics["macro_auprc"] > 0.0 for name in (*three, "ensemble"))
    state = RunState().fold(events_of(directory))
    cohort = state.get(45, "cohort")
    assert cohort is not None
    assert set(cohort.losses) == {*wanted, "total"}
    if mutual.get("logit_weighting"):
        said = [e.message for e in events_of(directory) if isinstance(e, Log) and "relation weights" in e.message]
        assert len(said) == 3
        assert re.search(r"relation weights of third between \d\.\d\d and \d\.\d\d", said[-1])


def test_a_dashboard_has_a_line_for_every_member_and_how_far_they_agree(tmp_path: Path) -> None:
    state = RunState().fold(events_of(trained(tmp_path)))
    assert state.is_cohort
    for name in (*MEMBERS, "ensemble", "alone-first"):
        stage = state.get(45, name)
        assert stage is not None
        assert list(stage.validation.x) == [5.0, 10.0]
        assert stage.test is not None
    ensemble = state.get(45, "ensemble")
    assert ensemble is not None
    assert len(ensemble.metrics["agreement"]) == 2


@pytest.mark.parametrize("distill", [{}, {"random_graph": {"sampler": "blocks", "labels_per_relation": 100}}])
def test_a_stopped_cohort_of_students_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distill: dict[str, Any]
) -> None:
    mutual: dict[str, Any] = {"target": "gate"}
    if not distill:
        mutual = {"logit_weighting": {"kind": "pooled"}}
    whole = trained(tmp_path, distill, **mutual)
    directory = make_run(tmp_path / "others", profile(tmp_path, distill, **mutual))
    from flykd_console.training import stage_loop

    taken = stage_loop.StageLoop.end_epoch

    def ordered(self: Any, epoch: int, *rest: Any) -> None:
        if self.stage.name == "cohort" and epoch == 5:
            directory.order("stop")
        taken(self, epoch, *rest)

    monkeypatch.setattr(stage_loop.StageLoop, "end_epoch", ordered)
    monkeypatch.setattr("flykd_console.training.orders._POLL_SECONDS", 0.0)
    assert main([str(directory.path)]) == 130
    assert not directory.weights(45, "first").exists()
    assert directory.state(45, "cohort").exists()
    monkeypatch.setattr(stage_loop.StageLoop, "end_epoch", taken)
    directory.withdraw("stop")
    assert main([str(directory.path)]) == 0
    for name in MEMBERS:
        assert equal(weights_of(directory, name), weights_of(whole, name))
    assert not directory.state(45, "cohort").exists()


def test_members_alone_are_lent_to_other_methods_and_members_are_not(tmp_path: Path) -> None:
    trained(tmp_path)
    second = trained(tmp_path, target="mean")
    reused = {e.stage: e.reused_from for e in events_of(second) if isinstance(e, StageFinished)}
    assert all(reused[f"alone-{name}"] for name in MEMBERS)
    assert reused["cohort"] is None
    started = [e.stage for e in events_of(second) if isinstance(e, StageStarted)]
    assert "cohort" in started


def test_a_finished_cohort_is_not_trained_again(tmp_path: Path) -> None:
    directory = trained(tmp_path)
    before = weights_of(directory, "second")
    directory.results.unlink()
    (directory.seed(45) / "test-scores.parquet").unlink()
    assert main([str(directory.path)]) == 0
    assert equal(weights_of(directory, "second"), before)
    said = [e.message for e in events_of(directory) if isinstance(e, Log)]
    assert any("cohort: trained before in this run" in message for message in said)


def test_a_member_and_the_ensemble_are_exported_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from exporters.bundle import export_run
    from flykd_console.cli.app import main as command

    runs = [trained(tmp_path), trained(tmp_path, target="mean")]
    for model in ("second", "ensemble"):
        bundle = export_run(runs[0], model=model, out=tmp_path / model)
        assert bundle.manifest.model == model
    with pytest.raises(SystemExit) as ended:
        command(["compare", *(str(run.path) for run in runs)])
    assert not ended.value.code
    shown = capsys.readouterr().out
    for words in ("over deep ensemble", "over alone first", "over best alone"):
        assert words in shown


@pytest.mark.parametrize("name", ["dml-kg", "kdcl-kg"])
def test_every_shipped_cohort_of_students_trains(name: str, tmp_path: Path) -> None:
    overrides = ["run.seeds=[45]", "run.device='cpu'", "engine.threads=1", "pretrain.epochs=0"]
    overrides += ["finetune.epochs=2", "distill.epochs=2", "evaluation.heuristics=['neighbours']"]
    directory = make_run(tmp_path / "runs", load_profile(f"mutual/{name}", overrides))
    assert main([str(directory.path)]) == 0
    results = read_results(directory.results)
    assert results.method == name.removesuffix("-kg")
    assert {"neighbours", "alone-first", "first", "ensemble"} <= set(results.seeds["45"])
