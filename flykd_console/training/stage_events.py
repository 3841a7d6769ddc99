"""What the event log is told of a stage: how it begins, that it was extended, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping

from flykd_console.runs.events import StageExtended, StageFinished, StageStarted
from flykd_console.runs.stage import Stage
from flykd_console.tasks.base import Curriculum, Trainable
from flykd_console.training.resources import peak_bytes
from flykd_console.training.reuse import FinishedStage
from flykd_console.training.stage_loop import StageLoop


def started(
    seed: int,
    stage: Stage,
    model: Trainable,
    epochs: int,
    first_epoch: int,
    course: Curriculum | None = None,
    words: Mapping[str, tuple[str, str]] | None = None,
) -> StageStarted:
    """A stage begins at `first_epoch`.

    Args:
        model: The one that it trains; of several the largest.
        course: The curriculum that it shows.
        words: What its losses are called, whole and in five letters.
    """
    return StageStarted(
        seed=seed,
        stage=stage.name,
        phase=stage.phase,
        models=list(stage.models),
        epochs=epochs,
        first_epoch=first_epoch,
        dim=model.dim,
        layers=model.layers,
        layer_kind=model.kind,
        parameters=model.parameter_count,
        schedule=None if course is None else course.schedule(until=epochs),
        loss_words=dict(words or {}),
    )


def extended(loop: StageLoop, added: int, course: Curriculum | None) -> StageExtended:
    """The stage in training has `added` more epochs than the plan."""
    return StageExtended(
        seed=loop.seed,
        stage=loop.stage.name,
        epochs=loop.total,
        added=added,
        planned=loop.planned,
        schedule=None if course is None else course.schedule(until=loop.total),
    )


def ended(seed: int, stage: Stage, finished: FinishedStage, reused: bool) -> StageFinished:
    """A stage is over; `reused`: it was taken over from the run that `finished` names."""
    return StageFinished(
        seed=seed,
        stage=stage.name,
        epochs=finished.epochs,
        seconds=finished.seconds,
        peak_rss=peak_bytes(),
        reused_from=finished.run if reused else None,
        kept_epoch=finished.kept_epoch,
    )
