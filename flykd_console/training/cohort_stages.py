"""The stages of one seed of a run that classifies: a teacher and every member alone, one by one; the members together.

A stage here trains one model or several, and is otherwise as `stages.py` has it: a finished one is loaded instead of
trained again, an unfinished one goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flykd_console.profile.cohort_models import (
    ENSEMBLE,
    cohort_specs,
    cohort_stages,
    network_of,
)
from flykd_console.profile.model_spec import ModelSpec
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Log
from flykd_console.runs.log import EventWriter
from flykd_console.runs.models import Role
from flykd_console.runs.results import ModelResult, Scores
from flykd_console.runs.stage import Phase, Stage
from flykd_console.tasks.base import Objective, Task, Trainable
from flykd_console.tasks.classification.course import WORDS as LOSS_WORDS
from flykd_console.training import stage_events
from flykd_console.training.adaptive_threads import FixedThreads
from flykd_console.training.checkpoint import Checkpointer
from flykd_console.training.loops.train import train_each
from flykd_console.training.orders import Orders
from flykd_console.training.resources import reset_peak
from flykd_console.training.reuse import FinishedStage, StageStore, stage_key
from flykd_console.training.selection import Selection
from flykd_console.training.stage_loop import Cadence, StageLoop, Watched, evaluation_event
from flykd_console.training.together import Together
from flykd_console.training.trained_result import trained_result

if TYPE_CHECKING:
    from flykd_console.profile.cohort import Cohort


@dataclass
class CohortStages:
    """Runs the stages of one seed and leaves weights and every sample's answers in the run directory."""

    task: Task
    directory: RunDirectory
    events: EventWriter
    orders: Orders
    store: StageStore
    threads: FixedThreads = field(default_factory=FixedThreads)
    _models: dict[str, Trainable] = field(default_factory=dict)
    _results: dict[str, ModelResult] = field(default_factory=dict)

    @property
    def _cohort(self) -> Cohort:
        return self.task.profile.cohort

    def run(self) -> dict[str, ModelResult]:
        """Train (or load) every model of the run; results by model."""
        specs = cohort_specs(self._cohort)
        planned = dict(cohort_stages(self._cohort))
        self.task.open(self.directory, self._log)
        self.task.check(specs)
        for stage, epochs in planned.items():
            trained = [spec for spec in specs if spec.trained and spec.name in stage.models]
            self._train(stage, trained, epochs)
        self.task.close(self.directory)
        # In the order of the list, whatever was measured first.
        return {spec.name: self._results[spec.name] for spec in specs}

    # One stage.

    def _train(self, stage: Stage, specs: Sequence[ModelSpec], epochs: int) -> None:
        """The models of a stage: loaded, or brought from their beginning to the epochs that stay."""
        models = {spec.name: self.task.new_model(spec) for spec in specs}
        keys = {spec.name: stage_key(self.task, spec, spec.training) for spec in specs}
        loaded = {spec.name: self._loaded(spec, models[spec.name]) for spec in specs}
        finished = {name: one for name, one in loaded.items() if one is not None}
        if len(finished) < len(specs):
            # Loaded weights of some are where they ended, and not where the others begin.
            models = {spec.name: self.task.new_model(spec) for spec in specs}
            finished = self._trained(stage, specs, models, keys, epochs)
        else:
            first = next(iter(finished.values()))
            self._tell_start(stage, models, first.epochs, first.epochs, None)
            where = "in this run" if first.run == self.directory.name else f"in {first.run}"
            self._log(f"{stage}: trained before {where} under the same data, split, seed and settings")
        self._models |= models
        for spec in specs:
            self._results[spec.name] = self._assess(stage, spec, models[spec.name], finished[spec.name])
            self.store.save(keys[spec.name], self.task, spec.training, models[spec.name], finished[spec.name])
        self.directory.state(self.task.seed, stage.name).unlink(missing_ok=True)
        self.directory.older_state(self.task.seed, stage.name).unlink(missing_ok=True)
        last = next(iter(finished.values()))
        self._measure_together(stage, last.epochs)
        self.events.write(stage_events.ended(self.task.seed, stage, last, last.run != self.directory.name))

    def _loaded(self, spec: ModelSpec, model: Trainable) -> FinishedStage | None:
        return self.store.load(self.task, spec, spec.training, model, self._log)

    def _trained(
        self,
        stage: Stage,
        specs: Sequence[ModelSpec],
        models: Mapping[str, Trainable],
        keys: Mapping[str, str],
        epochs: int,
    ) -> dict[str, FinishedStage]:
        objective = self._objective(stage, specs, models)
        course = objective.curriculum if stage.phase is Phase.DISTILL else None
        whole_key = hashlib.sha256("".join(keys.values()).encode()).hexdigest()
        cohort, seed = self._cohort, self.task.seed
        path, older = self.directory.state(seed, stage.name), self.directory.older_state(seed, stage.name)
        loop = StageLoop(
            self.task.seed,
            stage,
            epochs,
            self._watched(stage, models),
            Cadence(cohort.validate_every, self.task.profile.engine.log_every, self._checkpoint_every),
            self.task.headline,
            self.events,
            self.orders,
            Checkpointer(path, older, whole_key, self.task.device.type),
            lambda loop, added: self.events.write(stage_events.extended(loop, added, course)),
            self.threads,
        )
        self._tell_start(stage, models, loop.total, loop.first_epoch, objective)
        networks = {spec.name: network_of(spec) for spec in specs}
        train_each(objective, models, {name: (one.lr, one.weight_decay) for name, one in networks.items()}, loop)
        for line in objective.notes:
            loop.tell(line)
        return {
            spec.name: FinishedStage(
                epochs=loop.done,
                seconds=round(loop.recorder.seconds, 3),
                run=self.directory.name,
                kept_epoch=loop.kept_epoch(spec.name),
                added_epochs=loop.added_epochs,
            )
            for spec in specs
        }

    @property
    def _checkpoint_every(self) -> int:
        return self.task.profile.engine.checkpoint_every

    def _objective(self, stage: Stage, specs: Sequence[ModelSpec], models: Mapping[str, Trainable]) -> Objective:
        if stage.phase is Phase.FINETUNE:
            return self.task.supervised(models[stage.name], stage.name)
        teachers = [self._models[spec.name] for spec in cohort_specs(self._cohort) if spec.entry.role is Role.TEACHER]
        return self.task.taught_together(specs, models, teachers)

    def _watched(self, stage: Stage, models: Mapping[str, Trainable]) -> dict[str, Watched]:
        watched = {
            name: Watched(model, self.task.evaluator(model), Selection(self._cohort)) for name, model in models.items()
        }
        if ENSEMBLE in stage.models:
            watched[ENSEMBLE] = Watched(None, self.task.ensemble_evaluator(models))
        return watched

    # What is measured.

    def _assess(self, stage: Stage, spec: ModelSpec, model: Trainable, finished: FinishedStage) -> ModelResult:
        self.task.keep(self.directory, spec.name, model)
        test, validation = self.task.assess(spec.name, [model])
        self._tell_test(stage.name, spec.name, finished.epochs, test)
        return trained_result(spec, model, finished, self.directory.name, test, validation)

    def _measure_together(self, stage: Stage, epochs: int) -> None:
        """Once all models of a kind are trained: their mean, and the one that validation puts first."""
        together = Together(self.task, self.directory, self.events, self._models, self._results, self._cohort.ensemble)
        together.measure(stage, list(self._cohort.members), epochs)

    # What is told.

    def _tell_start(
        self, stage: Stage, models: Mapping[str, Trainable], epochs: int, first_epoch: int, objective: Objective | None
    ) -> None:
        reset_peak()
        largest = max(models.values(), key=lambda model: model.parameter_count)
        course = objective.curriculum if objective is not None and stage.phase is Phase.DISTILL else None
        words = {name: (name, name[:5]) for name in models}
        self.events.write(
            stage_events.started(self.task.seed, stage, largest, epochs, first_epoch, course, words | LOSS_WORDS)
        )

    def _tell_test(self, stage: str, model: str, epoch: int, test: Scores) -> None:
        headline = self.task.headline
        self.events.write(evaluation_event(self.task.seed, stage, model, epoch, "test", test, headline))

    def _log(self, message: str, level: str = "info") -> None:
        self.events.write(Log(level=level, message=message, seed=self.task.seed))
