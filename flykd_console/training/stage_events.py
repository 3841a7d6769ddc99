"""What the event log is told of a stage: how it begins, that it was extended, and how it ended."""

from __future__ import annotations

from flykd_console.distill.method import curriculum_of, loss_words_of
from flykd_console.profile.distill import Distill
from flykd_console.runs.events import StageExtended, StageFinished, StageStarted
from flykd_console.runs.stage import Phase, Stage
from flykd_console.tasks.base import Trainable
from flykd_console.training.resources import peak_bytes
from flykd_console.training.reuse import FinishedStage
from flykd_console.training.stage_loop import StageLoop


def started(
    seed: int, stage: Stage, model: Trainable, epochs: int, first_epoch: int, distill: Distill | None
) -> StageStarted:
    """A stage begins at `first_epoch`; `distill`: the method, whose curriculum a distilling stage shows."""
    method = distill if stage.phase is Phase.DISTILL else None
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
        schedule=_schedule(method, epochs),
        loss_words={} if method is None else loss_words_of(method),
    )


def extended(loop: StageLoop, added: int, distill: Distill | None) -> StageExtended:
    """The stage in training has `added` more epochs than the plan."""
    method = distill if loop.stage.phase is Phase.DISTILL else None
    return StageExtended(
        seed=loop.seed,
        stage=loop.stage.name,
        epochs=loop.total,
        added=added,
        planned=loop.planned,
        schedule=_schedule(method, loop.total),
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


def _schedule(method: Distill | None, epochs: int) -> dict[str, list[tuple[float, float]]] | None:
    """The whole course of a student's loss weights."""
    return None if method is None else curriculum_of(method).schedule(until=epochs)
