"""Cohorts from a profile to results: what a run leaves, tells and lends; a stop in the middle changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from flykd_console.profile.files import shipped_profiles
from flykd_console.profile.load import load_profile
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Evaluation, StageFinished
from flykd_console.runs.models import Role
from flykd_console.runs.results import read_results
from flykd_console.runs.state.run import RunState
from flykd_console.training.worker import main
from tests.support.tiny_cohort import MEMBERS, small_citations, write_npz
from tests.support.tiny_run import events_of, make_run

GML = {"weight": 1.0, "entropy": 0.02, "logit_weighting": {"kind": "pooled"}}


def profile(folder: Path, **cohort: Any) -> Profile:
    source = folder / "small.npz"
    if not source.exists():
        write_npz(source, small_citations())
    return Profile.model_validate(
        {
            "run": {"name": "tiny-cohort", "seeds": [0], "device": "cpu"},
            "task": {"kind": "node_classification"},
            "data": {"source": str(source)},
            "cohort": {"members": MEMBERS, "epochs": 12, "mutual": GML} | cohort,
            "engine": {"threads": 1, "checkpoint_every": 3},
        }
    )


def trained(folder: Path, **cohort: Any) -> RunDirectory:
    directory = make_run(folder / "runs", profile(folder, **cohort))
    assert main([str(directory.path)]) == 0
    return directory


def weights_of(directory: RunDirectory) -> dict[str, dict[str, torch.Tensor]]:
    from flykd_console.model.tensor_files import load_tensors

    return {path.stem: load_tensors(path)[0] for path in sorted(directory.seed(0).glob("*.safetensors"))}


def same(first: dict[str, dict[str, torch.Tensor]], second: dict[str, dict[str, torch.Tensor]]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[m][name], second[m][name]) for m in first for name in first[m])


def test_a_cohort_leaves_every_member_with_its_fair_rival(tmp_path: Path) -> None:
    directory = trained(tmp_path)
    results = read_results(directory.results)
    assert results.headline == "accuracy"
    over = {entry.name: entry.over for entry in results.models}
    assert {name: over[name] for name in MEMBERS} == {name: f"alone-{name}" for name in MEMBERS}
    assert (over["ensemble"], over["best"]) == ("deep-ensemble", "best-alone")
    found = results.seeds["0"]
    assert list(found) == [entry.name for entry in results.models]
    for result in found.values():
        assert {"accuracy", "macro_f1", "rarest_class", "nll", "ece"} <= result.test.metrics.keys()
    assert {"disagreement", "cka"} <= found["ensemble"].test.metrics.keys()
    # Chosen by validation: the test has no say.
    best = max(MEMBERS, key=lambda name: found[name].validation.metrics["accuracy"])
    assert found["best"] == found[best]
    assert found["ensemble"].parameters == sum(found[name].parameters for name in MEMBERS)


def test_what_is_left_of_every_sample_gives_the_accuracies_of_the_results(tmp_path: Path) -> None:
    directory = trained(tmp_path)
    results = read_results(directory.results).seeds["0"]
    frame = pl.read_parquet(directory.samples(0, "test"))
    assert frame.columns[:2] == ["sample_id", "label"]
    for name, result in results.items():
        accuracy = (frame[name].list.arg_max() == frame["label"]).mean()
        assert accuracy == pytest.approx(result.test.metrics["accuracy"])


def test_a_dashboard_has_a_line_for_every_member_and_what_they_say_together(tmp_path: Path) -> None:
    directory = trained(tmp_path)
    state = RunState().fold(events_of(directory))
    assert state.is_cohort
    assert {"gcn", "gat", "sage", "ensemble", "alone-gcn"} <= {entry.name for entry in state.trained}
    for name in (*MEMBERS, "ensemble", "alone-gcn"):
        stage = state.get(0, name)
        assert stage is not None
        assert len(stage.validation) == 12
        assert stage.over
        assert stage.test is not None
    ensemble = state.get(0, "ensemble")
    assert ensemble is not None
    assert len(ensemble.metrics["agreement"]) == 12
    assert [key for key in state.stages if key[1] == "cohort"] == [(0, "cohort")]


def test_members_alone_are_lent_to_other_methods_and_members_are_not(tmp_path: Path) -> None:
    trained(tmp_path)
    second = trained(tmp_path, mutual={"weight": 1.0}, method="dml")
    reused = {e.stage: e.reused_from for e in events_of(second) if isinstance(e, StageFinished)}
    assert all(reused[f"alone-{name}"] for name in MEMBERS)
    assert reused["cohort"] is None


def test_a_stopped_cohort_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = weights_of(trained(tmp_path))
    directory = make_run(tmp_path / "others", profile(tmp_path))
    from flykd_console.training import stage_loop

    taken = stage_loop.StageLoop.end_epoch

    def ordered(self: Any, epoch: int, *rest: Any) -> None:
        if self.stage.name == "cohort" and epoch == 6:
            directory.order("stop")
        taken(self, epoch, *rest)

    monkeypatch.setattr(stage_loop.StageLoop, "end_epoch", ordered)
    monkeypatch.setattr("flykd_console.training.orders._POLL_SECONDS", 0.0)
    assert main([str(directory.path)]) == 130
    assert not directory.weights(0, "gcn").exists()
    assert directory.state(0, "cohort").exists()
    monkeypatch.setattr(stage_loop.StageLoop, "end_epoch", taken)
    directory.withdraw("stop")
    assert main([str(directory.path)]) == 0
    assert same(weights_of(directory), whole)
    assert not directory.state(0, "cohort").exists()
    state = RunState().fold(events_of(directory))
    member = state.get(0, "gcn")
    assert member is not None
    assert list(member.validation.x) == [float(epoch) for epoch in range(1, 13)]


def test_a_teacher_is_trained_first_and_its_student_is_held_against_itself_alone(tmp_path: Path) -> None:
    directory = trained(
        tmp_path,
        members={"mlp": {"kind": "mlp", "dim": 8}},
        teacher={"kind": "gat", "layers": 3, "dim": 4, "heads": 2},
        distill={"alpha": 0.5, "hidden_weight": 1.0, "structure_weight": 1.0, "structure_target": "attention"},
        mutual={},
    )
    results = read_results(directory.results)
    assert [(entry.name, entry.role) for entry in results.models] == [
        ("teacher", Role.TEACHER), ("alone-mlp", Role.BASELINE), ("mlp", Role.MEMBER),
    ]  # fmt: skip
    state = RunState().fold(events_of(directory))
    cohort = state.get(0, "cohort")
    assert cohort is not None
    assert {"labels", "teacher", "hidden", "structure", "total"} == set(cohort.losses)


def test_epochs_that_are_not_all_validated(tmp_path: Path) -> None:
    directory = trained(tmp_path, validate_every=5, members={"gcn": MEMBERS["gcn"], "sage": MEMBERS["sage"]})
    looks = [e.epoch for e in events_of(directory) if isinstance(e, Evaluation) and e.model == "gcn"]
    assert looks == [5, 10, 12, 12]


def test_a_resolved_profile_says_the_same_again(tmp_path: Path) -> None:
    directory = make_run(tmp_path / "runs", profile(tmp_path))
    assert load_profile(directory.profile) == profile(tmp_path)


def test_a_file_that_does_not_fit_ends_a_run_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_npz(tmp_path / "small.npz", small_citations(), train_idx=None, val_idx=None, test_idx=None)
    directory = make_run(tmp_path / "runs", profile(tmp_path))
    assert main([str(directory.path)]) == 2
    assert "has no split of its own" in capsys.readouterr().err


def test_graphs_in_batches_from_a_profile_to_results(tmp_path: Path) -> None:
    settings = {
        "run": {"name": "tiny-graphs", "seeds": [0, 1], "device": "cpu"},
        "task": {"kind": "graph_classification"},
        "data": {"split": "folds", "normalise_features": False},
        "cohort": {
            "members": {"gin": {"kind": "gin", "dim": 8}, "gat": {"kind": "gat", "dim": 4, "heads": 2}},
            "epochs": 3,
            "batch": 64,
            "mutual": GML | {"update": "in_turn"},
        },
        "engine": {"threads": 1},
    }
    directory = make_run(tmp_path / "runs", Profile.model_validate(settings))
    assert main([str(directory.path)]) == 0
    results = read_results(directory.results)
    assert list(results.seeds) == ["0", "1"]
    assert pl.read_parquet(directory.samples(1, "test")).height == 30
    assert results.summary["gin"].gains["accuracy"].n == 2


def test_compare_takes_gains_sample_by_sample(tmp_path: Path) -> None:
    from flykd_console.compare.samples import compare_classes

    runs = [trained(tmp_path), trained(tmp_path, mutual={"weight": 1.0}, method="dml")]
    comparison = compare_classes(runs, resamples=200)
    assert len(comparison.rows) == 2 * len(read_results(runs[0].results).models)
    for row, run in zip(comparison.rows, [run for run in runs for _ in range(len(comparison.rows) // 2)], strict=True):
        found = read_results(run.results).seeds["0"]
        assert row.accuracy[0] == pytest.approx(found[row.model].test.metrics["accuracy"])
        if row.gain is not None:
            rival = found[row.gain.over].test.metrics["accuracy"]
            assert row.gain.points.mean == pytest.approx(100 * (row.accuracy[0] - rival))
            assert row.gain.over_samples.low <= row.gain.points.mean <= row.gain.over_samples.high
    assert {row.model for row in comparison.rows if row.gain is not None} == {*MEMBERS, "ensemble", "best"}


def test_compare_and_export_say_what_classes_do_not_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from flykd_console.cli.app import main as command

    run = str(trained(tmp_path, members={"gcn": MEMBERS["gcn"]}, mutual={}).path)
    for arguments, code, said in (
        (["compare", run], 0, "accuracy"),
        (["compare", run, "--csv"], 2, "as a table or as JSON"),
        (["export", run], 0, "Try it: flykd-console score"),
    ):
        assert _exit_code(command, arguments) == code
        captured = capsys.readouterr()
        assert said in captured.out + captured.err


def _exit_code(command: Any, arguments: list[str]) -> int:
    try:
        return int(command(arguments) or 0)
    except SystemExit as error:
        return int(error.code or 0)


_OF_CLASSES = [name for name in shipped_profiles() if name.startswith(("mutual/", "node/"))]
_OF_CLASSES = [name for name in _OF_CLASSES if load_profile(name).classifies]


@pytest.mark.parametrize("name", _OF_CLASSES)
def test_every_shipped_cohort_trains(name: str, tmp_path: Path) -> None:
    overrides = ["run.seeds=[0]", "run.device='cpu'", "cohort.epochs=2", "engine.threads=1"]
    directory = make_run(tmp_path / "runs", load_profile(name, overrides))
    assert main([str(directory.path)]) == 0
    results = read_results(directory.results)
    found = results.seeds["0"]
    assert list(found) == [entry.name for entry in results.models]
    assert all(result.test.metrics["accuracy"] > 0.0 for result in found.values())


def test_changed_graphs_are_measured_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flykd_console.cli.app import main as command

    robustness = {"edges_removed": [0.5, 1.0], "feature_noise": [2.0], "draws": 2}
    plain, changed = trained(tmp_path), trained(tmp_path, robustness=robustness)
    # What is asked once training is over changes nothing of what is trained.
    assert same(weights_of(plain), weights_of(changed))
    summary = read_results(changed.results).summary
    for name in (*MEMBERS, "ensemble", "deep-ensemble", "best"):
        assert {"edges_removed@0.5", "edges_removed@1", "feature_noise@2"} <= summary[name].metrics.keys()
    assert "edges_removed@0.5" in summary["gcn"].gains
    monkeypatch.setenv("FLYKD_RUNS", str(changed.path.parent))
    for arguments in (["runs", "show", changed.name], ["compare", str(changed.path)]):
        assert _exit_code(command, arguments) == 0
        shown = capsys.readouterr().out
        assert "edges removed" in shown
        assert "feature noise" in shown
