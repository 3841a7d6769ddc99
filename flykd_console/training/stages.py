"""The stages of one seed, in order: each model is brought from its beginning to the epoch that stays, and measured.

A finished stage of this run or another one is loaded instead of trained again; an unfinished one goes on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from flykd_console.distill.method import curriculum_of, loss_words_of
from flykd_console.profile.distill import Distill
from flykd_console.profile.model_spec import ModelSpec
from flykd_console.profile.models import models_of, stage_epochs
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Log
from flykd_console.runs.log import EventWriter
from flykd_console.runs.models import Role
from flykd_console.runs.results import ModelResult, Scores
from flykd_console.runs.stage import Phase, Stage
from flykd_console.tasks.base import Task, Trainable
from flykd_console.training import environment, stage_events
from flykd_console.training.adaptive_threads import FixedThreads
from flykd_console.training.checkpoint import Checkpointer
from flykd_console.training.loops.train import pretrain, train
from flykd_console.training.orders import Orders
from flykd_console.training.resources import reset_peak
from flykd_console.training.reuse import FinishedStage, StageStore, stage_key
from flykd_console.training.selection import Selection
from flykd_console.training.stage_loop import Cadence, StageLoop, Watched, evaluation_event
from flykd_console.training.trained_result import trained_result
from flykd_console.words import metric_words


@dataclass
class SeedStages:
    """Runs the stages of one seed and leaves weights, embeddings, scores and labels in the run directory."""

    task: Task
    directory: RunDirectory
    events: EventWriter
    orders: Orders
    store: StageStore
    threads: FixedThreads = field(default_factory=FixedThreads)
    _models: dict[str, Trainable] = field(default_factory=dict)
    _results: dict[str, ModelResult] = field(default_factory=dict)
    # The stages of the plan by name, with their epochs.
    _planned: dict[str, tuple[Stage, int]] = field(default_factory=dict)
    # Stages that the log has told of.
    _told: set[str] = field(default_factory=set)

    def run(self) -> dict[str, ModelResult]:
        """Train (or load) every model of the run; results by model."""
        specs = models_of(self.task.profile)
        self.task.open(self.directory, self._log)
        self.task.check(specs)
        plan = stage_epochs(self.task.profile, specs, self.task.pretraining_steps())
        self._planned = {stage.name: (stage, epochs) for stage, epochs in plan}
        for name in self.task.profile.evaluation.heuristics:
            self._measure_heuristic(name)
        teachers_checked = False
        for spec in specs:
            if spec.entry.role is not Role.TEACHER and not teachers_checked:
                # Whether these teachers leave a student nothing is known now, and not only after the baseline.
                self.task.check_teachers(specs, self._teachers())
                teachers_checked = True
            if spec.trained:
                self._train(spec, specs)
            elif spec.distill is not None:
                self._measure_lists(spec)
            else:
                self._measure_mean(spec)
        self.task.close(self.directory)
        return self._results

    def _teachers(self) -> list[Trainable]:
        """The networks that teach, as far as they are trained."""
        names = [spec.name for spec in models_of(self.task.profile) if spec.entry.role is Role.TEACHER]
        return [self._models[name] for name in names if name in self._models]

    # One model.

    def _train(self, spec: ModelSpec, specs: list[ModelSpec]) -> None:
        """One model: loaded, or brought from its beginning to the epoch that stays."""
        stage, model = spec.training, self.task.new_model(spec)
        finished = self.store.load(self.task, spec, stage, model, self._log)
        if finished is None:
            self._pretrained(spec, model)
            self.task.reset_head(spec, model)
            key, finished = self._train_stage(spec, stage, model)
            self._results[spec.name] = self._assess(spec, model, finished)
            self.store.save(key, self.task, stage, model, finished)
        else:
            if self._is_last_of_its_beginning(spec, specs):
                self._tell_unneeded(spec.pretraining, finished)
            self._tell_reuse(stage, model, finished)
            self._results[spec.name] = self._assess(spec, model, finished)
        self._models[spec.name] = model
        self._tell_end(stage, finished)

    def _pretrained(self, spec: ModelSpec, model: Trainable) -> None:
        """Bring a fresh model to its pretrained weights."""
        stage = spec.pretraining
        if stage.name not in self._planned:
            return
        stage, _ = self._planned[stage.name]
        finished = self.store.load(self.task, spec, stage, model, self._log)
        if stage.name in self._told:
            return
        if finished is not None:
            self._tell_reuse(stage, model, finished)
        else:
            key, finished = self._train_stage(spec, stage, model)
            self.store.save(key, self.task, stage, model, finished)
        self._tell_end(stage, finished)

    def _train_stage(self, spec: ModelSpec, stage: Stage, model: Trainable) -> tuple[str, FinishedStage]:
        """Train one stage to its end; its key, from before the files that it reads can have changed, and what came."""
        key = stage_key(self.task, spec, stage)
        loop = self._loop(key, spec, stage, model)
        self._tell_start(stage, model, loop.total, loop.first_epoch, spec.distill)
        self._carry_out(spec, stage, model, loop)
        return key, FinishedStage(
            epochs=loop.done,
            seconds=round(loop.recorder.seconds, 3),
            run=self.directory.name,
            kept_epoch=loop.kept_epoch(spec.name),
            added_epochs=loop.added_epochs,
        )

    def _carry_out(self, spec: ModelSpec, stage: Stage, model: Trainable, loop: StageLoop) -> None:
        task, profile, models = self.task, self.task.profile, {spec.name: model}
        finetune, replay = profile.finetune, profile.engine.cuda_graphs
        if stage.pretrains:
            pretrain(task.pretraining(model, stage.name), models, profile.pretrain, loop)
        elif spec.distill is None:
            objective = task.supervised(model, stage.name)
            train(objective, models, finetune.lr, finetune.plateau, finetune.epochs, replay, loop)
        else:
            objective = task.distilled(spec, model, self._teachers(), loop.log)
            plateau = spec.distill.plateau or finetune.plateau
            lr = spec.distill.lr or finetune.lr
            replay = replay and spec.distill.on_the_device
            train(objective, models, lr, plateau, spec.distill.epochs, replay, loop, spec.distill.lr_end)

    def _loop(self, key: str, spec: ModelSpec, stage: Stage, model: Trainable) -> StageLoop:
        task, profile = self.task, self.task.profile
        path, older = self.directory.state(task.seed, stage.name), self.directory.older_state(task.seed, stage.name)
        return StageLoop(
            task.seed,
            stage,
            self._planned[stage.name][1],
            {spec.name: self._watched(spec, stage, model)},
            _cadence(profile, spec, stage),
            task.headline,
            self.events,
            self.orders,
            Checkpointer(path, older, key, task.device.type),
            lambda loop, added: self._tell_extended(loop, added, spec.distill),
            self.threads,
        )

    def _watched(self, spec: ModelSpec, stage: Stage, model: Trainable) -> Watched:
        """A model with what evaluates it and selects its epoch; pretraining has neither."""
        if stage.pretrains:
            return Watched(model)
        # A student's validations count from where its curriculum stands still.
        since = 0.0 if spec.distill is None else spec.distill.epochs * spec.distill.settled
        return Watched(model, self.task.evaluator(model), Selection(self.task.profile.finetune, since))

    def _is_last_of_its_beginning(self, spec: ModelSpec, specs: list[ModelSpec]) -> bool:
        """Whether no model after this one begins from the same pretraining."""
        return [other.name for other in specs if other.trained and other.begins == spec.begins][-1] == spec.name

    # What is measured.

    def _assess(
        self, spec: ModelSpec, model: Trainable, finished: FinishedStage, stage: str | None = None
    ) -> ModelResult:
        """Leave what exporters need of the model, and measure it on validation and test.

        Args:
            stage: That trained it; None: its own.
        """
        self.task.keep(self.directory, spec.name, model)
        test, validation = self.task.assess(spec.name, [model])
        self._tell_test(stage or spec.name, spec.name, finished.epochs, test)
        return trained_result(spec, model, finished, self.directory.name, test, validation)

    def _measure_heuristic(self, name: str) -> None:
        """Measure what nothing had to be trained for."""
        begun = time.perf_counter()
        test, validation = self.task.assess_heuristic(name)
        self._untrained(name, begun, test, validation)

    def _untrained(self, name: str, begun: float, test: Scores, validation: Scores) -> None:
        seconds = round(time.perf_counter() - begun, 3)
        if validation.metrics:
            headline = self.task.headline
            self.events.write(evaluation_event(self.task.seed, name, name, 0, "validation", validation, headline))
        self._tell_test(name, name, 0, test)
        self._results[name] = ModelResult(
            dim=None, parameters=0, epochs=0, seconds=seconds, test=test, validation=validation
        )

    def _tell_test(self, stage: str, model: str, epoch: int, test: Scores) -> None:
        """An event of a test's scores, where there is a test."""
        if test.metrics:
            headline = self.task.headline
            self.events.write(evaluation_event(self.task.seed, stage, model, epoch, "test", test, headline))

    def _measure_lists(self, spec: ModelSpec) -> None:
        """Measure the lists that a student is about to learn."""
        begun = time.perf_counter()
        test, validation = self.task.assess_lists(spec, self._teachers())
        self._untrained(spec.name, begun, test, validation)

    def _measure_mean(self, spec: ModelSpec) -> None:
        """Measure the networks that teach where there are several: the mean of their logits under their weights."""
        teachers = self._teachers()
        results = [result for name, result in self._results.items() if name in self._models]
        test, validation = self.task.assess(spec.name, teachers)
        self._results[spec.name] = ModelResult(
            dim=spec.shape.dim,
            layers=spec.shape.layers,
            layer_kind=spec.shape.kind,
            parameters=sum(result.parameters for result in results),
            epochs=max(result.epochs for result in results),
            seconds=sum(result.seconds for result in results),
            test=test,
            validation=validation,
        )
        value = test.value(self.task.headline)
        if value is not None:
            name = metric_words(self.task.headline)
            self._log(f"mean of {len(teachers)} teachers: test {name} {100 * value:.2f}")

    # What is told.

    def _tell_reuse(self, stage: Stage, model: Trainable, finished: FinishedStage) -> None:
        self._tell_start(stage, model, finished.epochs, finished.epochs)
        where = "in this run" if finished.run == self.directory.name else f"in {finished.run}"
        self._log(f"{stage}: trained before {where} under the same graph, split, seed and settings; not trained again")
        if other := self._lender(finished):
            found = environment.differences(self.directory, other)
            if found:
                self._log(f"{stage}: {'; '.join(found)}: trained here, its figures could differ")

    def _lender(self, finished: FinishedStage) -> RunDirectory | None:
        """The other run that a stage was trained in; None: this one."""
        if finished.run == self.directory.name:
            return None
        return RunDirectory(self.directory.path.parent / finished.run)

    def _tell_start(
        self, stage: Stage, model: Trainable, epochs: int, first_epoch: int, distill: Distill | None = None
    ) -> None:
        reset_peak()
        method = distill if stage.phase is Phase.DISTILL else None
        course = None if method is None else curriculum_of(method)
        words = None if method is None else loss_words_of(method)
        self.events.write(stage_events.started(self.task.seed, stage, model, epochs, first_epoch, course, words))
        self._told.add(stage.name)

    def _tell_extended(self, loop: StageLoop, added: int, distill: Distill | None) -> None:
        course = curriculum_of(distill) if distill is not None and loop.stage.phase is Phase.DISTILL else None
        self.events.write(stage_events.extended(loop, added, course))

    def _tell_end(self, stage: Stage, finished: FinishedStage, reused: bool = False) -> None:
        taken_over = reused or finished.run != self.directory.name
        self.events.write(stage_events.ended(self.task.seed, stage, finished, taken_over))

    def _tell_unneeded(self, stage: Stage, because: FinishedStage) -> None:
        """Close a planned pretraining that nobody needs, since the model that would begin from it is loaded whole."""
        if stage.name not in self._planned or stage.name in self._told:
            return
        self._told.add(stage.name)
        planned, epochs = self._planned[stage.name]
        self._tell_end(planned, FinishedStage(epochs=epochs, seconds=0.0, run=because.run), reused=True)

    def _log(self, message: str, level: str = "info") -> None:
        self.events.write(Log(level=level, message=message, seed=self.task.seed))


def _cadence(profile: Profile, spec: ModelSpec, stage: Stage) -> Cadence:
    plateau = profile.finetune.plateau
    if spec.distill is not None and spec.distill.plateau is not None:
        plateau = spec.distill.plateau
    # A rate that falls by plan falls to its end.
    planned = spec.distill is not None and spec.distill.lr_end is not None
    return Cadence(
        validate_every=profile.finetune.validate_every,
        log_every=profile.engine.log_every,
        checkpoint_every=profile.engine.checkpoint_every,
        stop_below=0.0 if stage.pretrains or planned else plateau.stop_below,
    )
