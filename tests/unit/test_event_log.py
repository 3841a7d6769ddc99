"""The logs that tests are made of say what training says."""

from __future__ import annotations

from flykd_console.distill.method import loss_words_of
from flykd_console.runs import events as ev
from flykd_console.runs.stage import Phase
from tests.support.event_log import FOUR_STUDENTS, LOSS_WORDS, LogSpec, events


def test_losses_are_called_as_their_files_call_them() -> None:
    spec = LogSpec(structure=True)
    assert loss_words_of(spec.profile.distill) == LOSS_WORDS
    distilling = [e for e in events(LogSpec(epochs=20, structure=True)) if isinstance(e, ev.StageStarted)]
    assert {name for stage in distilling for name in stage.loss_words} == set(LOSS_WORDS)


def test_a_log_lists_the_models_of_its_profile_and_trains_each() -> None:
    log = list(events(LogSpec(epochs=20, seeds=(45,), state="finished", models=FOUR_STUDENTS)))
    started = log[0]
    assert isinstance(started, ev.RunStarted)
    names = [model.name for model in started.models]
    assert names == ["teacher", "baseline", "student", "tiny", "labels-only", "deep"]
    stages = [event for event in log if isinstance(event, ev.StageStarted)]
    assert [stage.stage for stage in stages if stage.phase is not Phase.PRETRAIN] == names
    tests = [event for event in log if isinstance(event, ev.Evaluation) and event.split == "test"]
    assert [test.model for test in tests] == names
    assert all(test.score == test.metrics["macro_auprc"] for test in tests)
