"""Stages in words: what is done with which model. A stage's own name is shown, and never taken apart."""

from __future__ import annotations

from flykd_console.runs.models import headliner
from flykd_console.runs.stage import Phase
from flykd_console.runs.state.run import RunState
from flykd_console.runs.state.stage import StageState

_DOING = {Phase.PRETRAIN: "pretraining", Phase.FINETUNE: "finetuning", Phase.DISTILL: "distilling"}


def subject(state: RunState, stage: StageState) -> str:
    """The model that a stage is about: of those that share a beginning the one that the run is for."""
    about = headliner(entry for entry in state.models if entry.name in stage.models)
    return about.name if about is not None else stage.stage


def stage_words(state: RunState, stage: StageState) -> str:
    """`student, distilling`."""
    return f"{subject(state, stage)}, {_DOING[stage.phase]}"


def short_words(state: RunState, stage: StageState) -> str:
    """`pretraining student`, or the model's name alone."""
    return f"{_DOING[stage.phase]} {subject(state, stage)}" if stage.pretrains else stage.stage


def one_word(stage: str, phase: Phase | None) -> str:
    """A stage in one word, for a column or a chart's title."""
    return "pretrain" if phase is Phase.PRETRAIN else stage
