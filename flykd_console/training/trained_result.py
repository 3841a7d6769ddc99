"""What the results say of a model that a stage has trained."""

from __future__ import annotations

from flykd_console.profile.model_spec import ModelSpec
from flykd_console.runs.results import ModelResult, Scores
from flykd_console.tasks.base import Trainable
from flykd_console.training.reuse import FinishedStage


def trained_result(
    spec: ModelSpec, model: Trainable, finished: FinishedStage, run: str, test: Scores, validation: Scores
) -> ModelResult:
    """A model's shape, what its training took, and its scores; `run`: the name of the run that measures it."""
    return ModelResult(
        dim=spec.shape.dim,
        layers=spec.shape.layers,
        layer_kind=spec.shape.kind,
        parameters=model.parameter_count,
        epochs=finished.epochs,
        seconds=finished.seconds,
        test=test,
        validation=validation,
        reused_from=None if finished.run == run else finished.run,
        kept_epoch=finished.kept_epoch,
        added_epochs=finished.added_epochs,
    )
