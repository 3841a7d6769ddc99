"""What the models of a cohort are together, once all of a kind are trained: their mean, and the one that is best."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flykd_console.profile.cohort_models import ALONE, BEST, BEST_ALONE, COHORT, DEEP_ENSEMBLE, ENSEMBLE
from flykd_console.runs.events import Log
from flykd_console.runs.results import ModelResult, Scores
from flykd_console.training.stage_loop import evaluation_event
from flykd_console.words import metric_words, per_cent

if TYPE_CHECKING:
    from flykd_console.runs.directory import RunDirectory
    from flykd_console.runs.log import EventWriter
    from flykd_console.runs.stage import Stage
    from flykd_console.tasks.base import Task, Trainable


@dataclass(frozen=True)
class Together:
    """Measures what several models are together.

    Attributes:
        models: The trained ones by name.
        results: What was measured of them, to which it adds.
        ensemble: Whether their mean is measured.
    """

    task: Task
    directory: RunDirectory
    events: EventWriter
    models: Mapping[str, Trainable]
    results: dict[str, ModelResult]
    ensemble: bool

    def measure(self, stage: Stage, members: Sequence[str], epochs: int) -> None:
        """After a stage of a cohort of these members: what they are together, where it was the last of its kind."""
        alone = [f"{ALONE}{name}" for name in members]
        if len(members) < 2:
            return
        if stage.name == COHORT:
            self._mean(members, ENSEMBLE, epochs, stage.name)
            self._best(members, BEST, epochs)
        elif stage.name == alone[-1]:
            self._mean(alone, DEEP_ENSEMBLE, epochs)
            self._best(alone, BEST_ALONE, epochs)

    def _mean(self, names: Sequence[str], ensemble: str, epochs: int, stage: str | None = None) -> None:
        """Measure the mean of models; `stage`: that they belong to, None: to none."""
        if not self.ensemble:
            return
        results, models = [self.results[name] for name in names], [self.models[name] for name in names]
        begun = time.perf_counter()
        test, validation = self.task.assess(ensemble, models)
        self.task.keep_mean(self.directory, ensemble, models)
        if stage is None:
            seconds = sum(result.seconds for result in results) + time.perf_counter() - begun
            self._tell(ensemble, ensemble, 0, "validation", validation)
        else:
            # Members that are trained together share their stage's time.
            seconds = max(result.seconds for result in results)
        self._tell(stage or ensemble, ensemble, epochs, "test", test)
        self.results[ensemble] = ModelResult(
            dim=None,
            parameters=sum(result.parameters for result in results),
            epochs=epochs,
            seconds=round(seconds, 3),
            test=test,
            validation=validation,
        )

    def _best(self, names: Sequence[str], best: str, epochs: int) -> None:
        """Take the model that validation puts first for the best."""
        first = self._first_by_validation(names)
        chosen = self.results[first]
        self.results[best] = chosen
        self.task.adopt(best, first)
        self.task.keep(self.directory, best, self.models[first])
        value = chosen.validation.value(self.task.headline)
        self._log(
            f"{best.replace('-', ' ')} by validation: {first}, {metric_words(self.task.headline)} {per_cent(value)}"
        )
        self._tell(best, best, 0, "validation", chosen.validation)
        self._tell(best, best, epochs, "test", chosen.test)

    def _first_by_validation(self, names: Sequence[str]) -> str:
        """The model that validation puts first; of equals the one that is listed first. No test is looked at."""
        values = {name: self.results[name].validation.value(self.task.headline) or 0.0 for name in names}
        return max(values, key=lambda name: values[name])

    def _tell(self, stage: str, model: str, epoch: int, part: str, scores: Scores) -> None:
        if scores.metrics:
            headline = self.task.headline
            self.events.write(evaluation_event(self.task.seed, stage, model, epoch, part, scores, headline))

    def _log(self, message: str) -> None:
        self.events.write(Log(level="info", message=message, seed=self.task.seed))
