"""What a profile composes, trained on the tiny graph: several teachers, no student, the best epoch, several runs."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score

from flykd_console.profile.schema import Profile
from flykd_console.runs import events as ev
from flykd_console.runs.batch import write_queue
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results
from flykd_console.runs.status import status_of
from flykd_console.training import run, worker
from flykd_console.training.stage_loop import StageLoop
from tests.support.loops import at, model_of, run_of, stop
from tests.support.tiny_run import MODELS, events_of, make_run, small_kg, tiny_profile


def _run(root: Path, **sections: dict[str, Any]) -> RunDirectory:
    return make_run(root, tiny_profile(small_kg(root.parent), **sections))


def _distill(**settings: Any) -> dict[str, Any]:
    return {"epochs": 10, "random_graph": {"labels_per_relation": 200, "refresh_every": 3}} | settings


def _trained(root: Path, **sections: dict[str, Any]) -> RunDirectory:
    directory = _run(root, **sections)
    assert worker.main([str(directory.path)]) == 0
    return directory


def _weights(directory: RunDirectory, stage: str) -> dict[str, torch.Tensor]:
    return load_file(directory.weights(45, stage))


def _same(first: RunDirectory, second: RunDirectory, stage: str) -> bool:
    a, b = _weights(first, stage), _weights(second, stage)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _finished(directory: RunDirectory) -> dict[str, ev.StageFinished]:
    return {e.stage: e for e in events_of(directory) if isinstance(e, ev.StageFinished)}


def _logged(directory: RunDirectory) -> list[str]:
    return [e.message for e in events_of(directory) if isinstance(e, ev.Log)]


# Teachers and students


def test_no_epochs_of_distilling_leave_teacher_and_baseline_alone(tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs", distill={"epochs": 0})
    assert [e.stage for e in events_of(directory) if isinstance(e, ev.StageStarted)] == [
        "pretrain-teacher",
        "teacher",
        "pretrain-student",
        "baseline",
    ]
    assert list(read_results(directory.results).seeds["45"]) == ["teacher", "baseline"]
    assert set(pl.read_parquet(directory.test_scores(45)).columns) >= {"teacher", "baseline"}
    assert "student" not in pl.read_parquet(directory.test_scores(45)).columns
    assert status_of(directory).progress == 1.0

    again = _trained(tmp_path / "runs", distill={"epochs": 0})
    assert {stage: e.reused_from for stage, e in _finished(again).items()} == dict.fromkeys(
        ["pretrain-teacher", "teacher", "pretrain-student", "baseline"], directory.name
    )


def test_several_teachers_differ_and_their_mean_is_measured_and_learnt_from(tmp_path: Path) -> None:
    one = _trained(tmp_path / "runs")
    directory = _trained(tmp_path / "runs", distill=_distill(teachers=3))
    prepared = next(e for e in events_of(directory) if isinstance(e, ev.RunPrepared))
    stages = [planned.stage for planned in prepared.stages]
    teachers = ["teacher", "teacher-2", "teacher-3"]
    assert stages == [
        *(stage for teacher in teachers for stage in (f"pretrain-{teacher}", teacher)),
        "pretrain-student",
        "baseline",
        "student",
    ]
    assert set(_finished(directory)) == set(stages)
    assert _finished(directory)["teacher"].reused_from == one.name
    assert _finished(directory)["baseline"].reused_from == one.name
    relations = [_weights(directory, teacher)["relation"] for teacher in teachers]
    assert not any(torch.equal(relations[0], other) for other in relations[1:])

    scores = pl.read_parquet(directory.test_scores(45))
    mean = np.mean([scores[teacher].to_numpy() for teacher in teachers], axis=0)
    assert scores["teacher-mean"].to_numpy() == pytest.approx(mean, abs=1e-5)
    results = read_results(directory.results)
    assert list(results.seeds["45"]) == [*teachers, "teacher-mean", "baseline", "student"]
    assert results.summary["teacher-mean"].macro_auprc is not None
    assert any(line.startswith("mean of 3 teachers: test AUPRC ") for line in _logged(directory))
    assert not _same(one, directory, "student")

    changed = _trained(tmp_path / "runs", distill=_distill(teachers=3, epochs=4))
    assert all(_finished(changed)[teacher].reused_from == directory.name for teacher in teachers[1:])


def test_a_run_with_several_teachers_resumes_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _trained(tmp_path / "whole", distill=_distill(teachers=2))
    directory = _run(tmp_path / "runs", distill=_distill(teachers=2))
    with monkeypatch.context() as patched:
        at(patched, "teacher-2", 6, stop)
        assert worker.main([str(directory.path)]) == 130
    assert worker.main([str(directory.path)]) == 0
    assert all(_same(whole, directory, stage) for stage in ("teacher", "teacher-2", "student"))
    assert pl.read_parquet(directory.test_scores(45)).equals(pl.read_parquet(whole.test_scores(45)))


# The learning rate


def _rates(directory: RunDirectory, stage: str) -> list[float]:
    return [e.lr for e in events_of(directory) if isinstance(e, ev.Epoch) and e.stage == stage]


def test_the_students_plateau_may_differ_from_the_teachers(tmp_path: Path) -> None:
    always = {"epochs": 10, "lr": 0.3, "validate_every": 5, "plateau": {"last_epochs": 10, "patience": 0}}
    never = {"last_epochs": 0, "patience": 0}
    directory = _trained(tmp_path / "runs", finetune=always, distill=_distill(plateau=never))
    assert min(_rates(directory, "teacher")) < 0.3
    assert set(_rates(directory, "student")) == {0.3}


def test_a_plateau_longer_than_the_stage_watches_from_the_first_epoch(tmp_path: Path) -> None:
    falling = {"epochs": 6, "lr": 5.0, "plateau": {"last_epochs": 2000, "patience": 0, "factor": 0.5}}
    directory = _trained(tmp_path / "runs", finetune=falling, distill={"epochs": 0})
    assert _rates(directory, "teacher")[0] == 5.0
    assert _rates(directory, "teacher")[3] < 5.0


# Which epoch stays

_BEST: dict[str, Any] = {"epochs": 12, "lr": 0.05, "validate_every": 2, "select": "best", "plateau": {"last_epochs": 0}}


def _validations(directory: RunDirectory, stage: str) -> dict[int, float]:
    return {
        e.epoch: e.score
        for e in events_of(directory)
        if isinstance(e, ev.Evaluation) and e.stage == stage and e.split == "validation" and e.score is not None
    }


def test_the_best_epoch_on_validation_stays_where_asked_for(tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs", finetune=_BEST)
    for model in MODELS:
        # A student's count once every label source has its last weight, here after 6 of 10 epochs.
        since = 6 if model == "student" else 0
        seen = {epoch: auprc for epoch, auprc in _validations(directory, model).items() if epoch >= since}
        best = max(seen, key=lambda epoch: (seen[epoch], -epoch))
        result = read_results(directory.results).seeds["45"][model]
        assert _finished(directory)[model].kept_epoch == result.kept_epoch == best
        assert result.validation.macro_auprc == pytest.approx(seen[best], abs=1e-6)
        assert any(f": {model} keeps the weights of epoch {best}, " in line for line in _logged(directory))
    last = _trained(tmp_path / "runs", finetune=_BEST | {"select": "last"})
    assert all(e.kept_epoch is None for e in _finished(last).values())
    assert _finished(last)["teacher"].reused_from is None


def test_the_best_epoch_is_reused_with_its_number(tmp_path: Path) -> None:
    first = _trained(tmp_path / "runs", finetune=_BEST)
    second = _trained(tmp_path / "runs", finetune=_BEST)
    for model in ("teacher", "baseline"):
        assert _finished(second)[model].reused_from == first.name
        assert _finished(second)[model].kept_epoch == _finished(first)[model].kept_epoch
    looked_more_often = _trained(tmp_path / "runs", finetune=_BEST | {"validate_every": 3})
    assert _finished(looked_more_often)["teacher"].reused_from is None


@pytest.mark.parametrize("after", [5, 8, 11])
def test_the_best_epoch_survives_a_stop_bit_for_bit(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections: dict[str, Any] = {"finetune": _BEST | {"patience": 5}, "distill": {"epochs": 0}}
    whole = _trained(tmp_path / "whole", **sections)
    directory = _run(tmp_path / "runs", **sections)
    with monkeypatch.context() as patched:
        at(patched, "teacher", after, stop)
        assert worker.main([str(directory.path)]) == 130
    assert directory.state(45, "teacher").is_file()
    assert worker.main([str(directory.path)]) == 0
    assert _same(whole, directory, "teacher")
    assert _finished(whole)["teacher"].kept_epoch == _finished(directory)["teacher"].kept_epoch


def test_patience_ends_a_stage_early_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flykd_console.runs.results import Scores
    from flykd_console.tasks.link_prediction import task
    from flykd_console.tasks.link_prediction.metrics import score

    ordered = iter([0.5, 0.6, 0.55, 0.6, 0.58, 0.7, 0.8])

    def scripted(scored: Any, *ranking: Any) -> Scores:
        if finished:
            return score(scored, *ranking)
        value = next(ordered)
        return Scores(macro_auprc=value, macro_auroc=0.5, metrics={"macro_auprc": value})

    finished: list[bool] = []
    monkeypatch.setattr(task, "score", scripted)
    settle = StageLoop._settle

    def settled(self: StageLoop) -> None:
        settle(self)
        finished.append(True)

    monkeypatch.setattr(StageLoop, "_settle", settled)
    sections: dict[str, Any] = {
        "finetune": _BEST | {"patience": 3},
        "distill": {"epochs": 0},
        "pretrain": {"epochs": 0},
    }
    directory = _trained(tmp_path / "runs", **sections)
    teacher = _finished(directory)["teacher"]
    assert (teacher.epochs, teacher.kept_epoch) == (10, 4)
    assert [e.epoch for e in events_of(directory) if isinstance(e, ev.Epoch) and e.stage == "teacher"][-1] == 10
    said = _logged(directory)
    assert "Seed 45: teacher ended early at epoch 10: nothing better since epoch 4, validation AUPRC 60.00" in said
    assert read_results(directory.results).seeds["45"]["teacher"].epochs == 10


def test_a_look_ordered_by_hand_selects_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _trained(tmp_path / "whole", finetune=_BEST, distill={"epochs": 0})
    record = StageLoop.end_epoch

    def ordered(self: StageLoop, at: int, *arguments: Any, **keywords: Any) -> None:
        if self.stage.name == "teacher":
            run_of(self).order("evaluate")
            monkeypatch.setattr("flykd_console.training.orders._POLL_SECONDS", 0.0)
        record(self, at, *arguments, **keywords)

    monkeypatch.setattr(StageLoop, "end_epoch", ordered)
    directory = _trained(tmp_path / "runs", finetune=_BEST, distill={"epochs": 0})
    assert len(_validations(directory, "teacher")) == 12
    assert _same(whole, directory, "teacher")


# Losses that are no numbers


def test_a_diverged_loss_names_epoch_term_and_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = _run(tmp_path / "runs")
    record = StageLoop.end_epoch

    def broken(self: StageLoop, epoch: int, losses: dict[str, torch.Tensor], *rest: Any, **keywords: Any) -> None:
        if (self.stage.name, epoch + 1) == ("student", 7):
            losses = losses | {"pseudo_train": losses["pseudo_train"] * float("nan")}
        record(self, epoch, losses, *rest, **keywords)

    monkeypatch.setattr(StageLoop, "end_epoch", broken)
    assert worker.main([str(directory.path)]) == 1
    failed = events_of(directory)[-1]
    assert isinstance(failed, ev.RunFailed)
    assert failed.error == (
        "seed 45, student: the loss 'pseudo_train' is nan at epoch 7;"
        " the last good checkpoint is that of epoch 4, seed-45/student.state"
    )
    monkeypatch.setattr(StageLoop, "end_epoch", record)
    assert worker.main([str(directory.path)]) == 0
    assert _same(_trained(tmp_path / "whole"), directory, "student")


def test_weights_that_are_no_numbers_are_never_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = StageLoop.end_epoch

    def broken(self: StageLoop, epoch: int, *rest: Any, **keywords: Any) -> None:
        if (self.stage.name, epoch + 1) == ("teacher", 8):
            with torch.no_grad():
                model_of(self).relation[0, 0] = float("inf")
        record(self, epoch, *rest, **keywords)

    monkeypatch.setattr(StageLoop, "end_epoch", broken)
    directory = _run(tmp_path / "runs")
    assert worker.main([str(directory.path)]) == 1
    failed = events_of(directory)[-1]
    assert isinstance(failed, ev.RunFailed)
    assert "the weights 'relation' are not finite after epoch 8; the last good checkpoint is that of epoch 4" in (
        failed.error
    )


def test_weights_that_are_no_numbers_are_told_before_they_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = StageLoop.end_epoch

    def broken(self: StageLoop, epoch: int, *rest: Any, **keywords: Any) -> None:
        if (self.stage.name, epoch + 1) == ("teacher", 5):
            with torch.no_grad():
                model_of(self).relation.fill_(float("nan"))
        record(self, epoch, *rest, **keywords)

    monkeypatch.setattr(StageLoop, "end_epoch", broken)
    directory = _run(tmp_path / "runs", finetune={"epochs": 12, "validate_every": 5})
    assert worker.main([str(directory.path)]) == 1
    failed = events_of(directory)[-1]
    assert isinstance(failed, ev.RunFailed)
    assert "the weights 'relation' are not finite after epoch 5; the last good checkpoint is that of epoch 4" in (
        failed.error
    )


# Strong scores


@pytest.mark.parametrize("sampler", ["pairs", "blocks", "exact"])
def test_strong_scores_train_and_say_how_many_there_are(tmp_path: Path, sampler: str) -> None:
    random_graph = {"labels_per_relation": 200, "min_logit": -0.1, "sampler": sampler}
    directory = _trained(tmp_path / "runs", distill=_distill(random_graph=random_graph))
    assert any(line.startswith("indication: ") and "pairs score above -0.1" in line for line in _logged(directory))
    losses = [e.losses for e in events_of(directory) if isinstance(e, ev.Epoch) and e.stage == "student"]
    assert losses[-1]["pseudo_random"] is not None


def test_a_threshold_above_every_score_is_the_users_to_mend(tmp_path: Path) -> None:
    directory = _run(tmp_path / "runs", distill=_distill(random_graph={"min_logit": 1e6}))
    assert worker.main([str(directory.path)]) == 2
    failed = events_of(directory)[-1]
    assert isinstance(failed, ev.RunFailed)
    assert failed.traceback == ""
    assert "the teacher scores no pair of contraindication above 1e+06" in failed.error


# Several runs in one process


def _batch(root: Path, *sections: dict[str, Any]) -> list[RunDirectory]:
    batch = []
    for number, section in enumerate(sections):
        named = {"run": {"name": f"run-{number}", "seeds": [45, 46], "device": "cpu"}} | section
        batch.append(_run(root, **named))
    write_queue(batch)
    return batch


def test_what_runs_have_in_common_is_trained_once_per_seed(tmp_path: Path) -> None:
    basic = _distill(sources=["original", "pseudo_train"])
    batch = _batch(tmp_path / "runs", {"distill": {"epochs": 0}}, {"distill": _distill()}, {"distill": basic})
    assert worker.main([str(directory.path) for directory in batch]) == 0
    trained = [
        (e.seed, e.stage)
        for directory in batch
        for e in events_of(directory)
        if isinstance(e, ev.StageFinished) and e.reused_from is None
    ]
    shared = ["pretrain-teacher", "teacher", "pretrain-student", "baseline"]
    assert sorted(trained) == sorted(
        [(seed, stage) for seed in (45, 46) for stage in shared] + 2 * [(45, "student"), (46, "student")]
    )
    first, second = (read_results(directory.results) for directory in batch[:2])
    assert first.seeds["45"]["baseline"].test == second.seeds["45"]["baseline"].test
    assert second.seeds["45"]["baseline"].reused_from == batch[0].name


def test_fresh_runs_share_among_themselves_alone(tmp_path: Path) -> None:
    before = _trained(tmp_path / "runs")
    batch = _batch(tmp_path / "runs", {}, {"distill": _distill(epochs=4)})
    assert worker.main([*(str(directory.path) for directory in batch), "--fresh"]) == 0
    assert all(e.reused_from is None for e in _finished(batch[0]).values())
    assert _finished(batch[1])["teacher"].reused_from == batch[0].name
    assert before.name not in {e.reused_from for e in _finished(batch[1]).values()}


def test_a_run_that_fails_does_not_keep_the_next_from_being_trained(tmp_path: Path) -> None:
    nothing = {"graph": {"source": str(small_kg(tmp_path)), "targets": ["cures"]}}
    batch = _batch(tmp_path / "runs", nothing, {"finetune": {"epochs": 4, "lr": 1e20}}, {})
    assert worker.main([str(directory.path) for directory in batch]) == 1
    assert [status_of(directory).state for directory in batch] == ["failed", "failed", "finished"]


def test_what_is_printed_goes_to_the_log_of_the_run_in_work(tmp_path: Path) -> None:
    with worker._output_to(tmp_path / "worker.log"):
        os.write(1, b"one\n")
        os.write(2, b"two\n")
    os.write(2, b"three\n")
    assert (tmp_path / "worker.log").read_text() == "one\ntwo\n"
    with worker._output_to(None):
        os.write(2, b"four\n")
    assert (tmp_path / "worker.log").read_text() == "one\ntwo\n"


def test_a_stop_leaves_the_rest_waiting_and_they_go_on_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = _batch(tmp_path / "runs", {}, {"distill": _distill(epochs=4)}, {"distill": {"epochs": 0}})
    paths = [str(directory.path) for directory in batch]
    with monkeypatch.context() as patched:
        record = StageLoop.end_epoch

        def signalled(self: StageLoop, at: int, *arguments: Any, **keywords: Any) -> None:
            if (run_of(self).name, self.stage.name, at) == (batch[1].name, "student", 1):
                os.kill(os.getpid(), signal.SIGTERM)
            record(self, at, *arguments, **keywords)

        patched.setattr(StageLoop, "end_epoch", signalled)
        assert worker.main(paths) == 143
    assert [status_of(directory).state for directory in batch] == ["finished", "stopped", "waiting"]
    assert worker.main(paths[1:]) == 0
    assert [status_of(directory).state for directory in batch] == ["finished"] * 3


def test_a_stop_that_came_too_late_for_a_run_ends_the_batch_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = _batch(tmp_path / "runs", {"distill": {"epochs": 0}}, {})
    finish = run.train_run

    def late(directory: RunDirectory, profile: Profile, *rest: Any) -> None:
        finish(directory, profile, *rest)
        directory.order("stop")

    monkeypatch.setattr(run, "train_run", late)
    assert worker.main([str(directory.path) for directory in batch]) == 130
    assert [status_of(directory).state for directory in batch] == ["finished", "waiting"]
    assert not batch[0].order_file("stop").exists()


def test_finished_and_removed_runs_of_a_batch_are_passed_over(tmp_path: Path) -> None:
    batch = _batch(tmp_path / "runs", {"distill": {"epochs": 0}}, {}, {"distill": _distill(epochs=4)})
    assert worker.main([str(batch[0].path)]) == 0
    size = batch[0].events.stat().st_size
    batch[1].profile.unlink()
    batch[1].queue.unlink()
    (batch[1].path / "control").rmdir()
    batch[1].path.rmdir()
    assert worker.main([str(directory.path) for directory in batch]) == 0
    assert batch[0].events.stat().st_size == size
    assert status_of(batch[2]).state == "finished"


def test_a_spent_learning_rate_ends_a_stage_and_says_so(tmp_path: Path) -> None:
    falling = {"last_epochs": 2000, "patience": 0, "factor": 0.1}
    always = {"epochs": 60, "lr": 0.5, "validate_every": 50, "plateau": falling}
    whole = _trained(tmp_path / "runs", finetune=always, distill={"epochs": 0})
    spent = always | {"plateau": falling | {"stop_below": 1e-3}}
    directory = _trained(tmp_path / "runs", finetune=spent, distill={"epochs": 40})
    for stage in ("teacher", "baseline", "student"):
        told = [e for e in events_of(directory) if isinstance(e, ev.Epoch) and e.stage == stage]
        assert [e.lr < 1e-3 for e in told] == [False] * (len(told) - 1) + [True]
        assert _finished(directory)[stage].epochs == len(told) < 40
        said = f"Seed 45: {stage} ended early at epoch {len(told)}: its learning rate fell below 0.001"
        assert said in _logged(directory)
        looks = [e.epoch for e in events_of(directory) if isinstance(e, ev.Evaluation) and e.stage == stage]
        assert looks[-1] == len(told)
    assert _finished(whole)["teacher"].epochs == 60
    assert _finished(directory)["teacher"].reused_from is None


def test_every_model_is_scored_on_validation_pairs_too(tmp_path: Path) -> None:
    directory = _trained(tmp_path / "runs")
    results = read_results(directory.results).seeds["45"]
    scores = pl.read_parquet(directory.scores(45, "validation"))
    stored = pl.read_parquet(directory.evaluation_pairs(45)).filter(pl.col("part") == "validation").drop("part")
    assert scores.select(stored.columns).equals(stored.select(scores.columns[:4]))
    for model in ("teacher", "baseline", "student"):
        for relation, found in results[model].validation.relations.items():
            part = scores.filter(pl.col("relation") == relation)
            precision = average_precision_score(part["label"].to_numpy(), part[model].to_numpy())
            assert found.auprc == pytest.approx(precision, abs=1e-6)


def test_labels_for_unseen_tails_change_the_student_alone(tmp_path: Path) -> None:
    plain = _trained(tmp_path / "plain", distill=_distill())
    drawn = {"labels_per_relation": 200, "refresh_every": 3, "unseen": 0.5}
    directory = _trained(tmp_path / "runs", distill=_distill(random_graph=drawn))
    for model in ("teacher", "baseline"):
        assert _same(plain, directory, model)
    assert not _same(plain, directory, "student")
    assert read_results(directory.results).seeds["45"]["student"].test.macro_auprc is not None
