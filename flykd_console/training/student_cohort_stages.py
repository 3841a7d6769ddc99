"""The stages of one seed of students that teach each other: every member alone, and then all of them in one stage.

Each is as `stages.py` has it; a member and its rival begin from the same pretrained weights, and are trained by the
same rate for the same epochs, of which the same ones can stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flykd_console.distill.method import loss_words_of
from flykd_console.profile.cohort_models import COHORT, ENSEMBLE
from flykd_console.profile.model_spec import ModelSpec
from flykd_console.profile.models import models_of, stage_epochs
from flykd_console.runs.results import ModelResult
from flykd_console.runs.stage import Stage
from flykd_console.tasks.base import Objective, Trainable
from flykd_console.training import stage_events
from flykd_console.training.checkpoint import Checkpointer
from flykd_console.training.loops.train import train
from flykd_console.training.resources import reset_peak
from flykd_console.training.reuse import FinishedStage, stage_key
from flykd_console.training.selection import Selection
from flykd_console.training.stage_loop import Cadence, StageLoop, Watched
from flykd_console.training.stages import SeedStages
from flykd_console.training.together import Together


@dataclass
class StudentCohortStages(SeedStages):
    """Runs the stages of one seed of a cohort of students."""

    def run(self) -> dict[str, ModelResult]:
        """Train (or load) every model of the run; results by model."""
        profile = self.task.profile
        specs = models_of(profile)
        self.task.open(self.directory, self._log)
        self.task.check(specs)
        plan = stage_epochs(profile, specs, self.task.pretraining_steps())
        self._planned = {stage.name: (stage, epochs) for stage, epochs in plan}
        for name in profile.evaluation.heuristics:
            self._measure_heuristic(name)
        for spec in specs:
            if spec.trained and not spec.together:
                self._train(spec, specs)
                self._measure_together(spec.training, self._results[spec.name].epochs)
        self._train_together([spec for spec in specs if spec.together])
        self.task.close(self.directory)
        # In the order of the list, whatever was measured first.
        return {name: self._results[name] for name in (*profile.evaluation.heuristics, *(s.name for s in specs))}

    # The stage of all members.

    def _train_together(self, specs: Sequence[ModelSpec]) -> None:
        """The members: loaded, or brought from their beginnings to the epochs that stay."""
        stage, _ = self._planned[COHORT]
        models = {spec.name: self.task.new_model(spec) for spec in specs}
        loaded = {
            spec.name: self.store.load(self.task, spec, spec.training, models[spec.name], self._log) for spec in specs
        }
        finished = {name: one for name, one in loaded.items() if one is not None}
        if len(finished) < len(specs):
            # Loaded weights of some are where they ended, and not where the others begin.
            models = {spec.name: self.task.new_model(spec) for spec in specs}
            for spec in specs:
                self._pretrained(spec, models[spec.name])
                self.task.reset_head(spec, models[spec.name])
            keys = {spec.name: stage_key(self.task, spec, spec.training) for spec in specs}
            finished = self._train_stage_of_all(stage, specs, models, keys)
            self._assess_all(specs, models, finished)
            for spec in specs:
                model = models[spec.name]
                self.store.save(keys[spec.name], self.task, spec.training, model, finished[spec.name])
        else:
            for spec in specs:
                self._tell_unneeded(spec.pretraining, finished[spec.name])
            epochs = next(iter(finished.values())).epochs
            self._tell_start_of_all(stage, models, epochs, epochs, None)
            self._log(f"{stage}: trained before in this run under the same graph, split, seed and settings")
            self._assess_all(specs, models, finished)
        self.directory.state(self.task.seed, stage.name).unlink(missing_ok=True)
        self.directory.older_state(self.task.seed, stage.name).unlink(missing_ok=True)
        last = next(iter(finished.values()))
        self._measure_together(stage, last.epochs)
        self._tell_end(stage, last)

    def _train_stage_of_all(
        self, stage: Stage, specs: Sequence[ModelSpec], models: Mapping[str, Trainable], keys: Mapping[str, str]
    ) -> dict[str, FinishedStage]:
        profile, seed = self.task.profile, self.task.seed
        objective = self.task.taught_together(specs, models, [])
        path, older = self.directory.state(seed, stage.name), self.directory.older_state(seed, stage.name)
        finetune, engine = profile.finetune, profile.engine
        loop = StageLoop(
            seed,
            stage,
            profile.distill.epochs,
            self._watched_together(stage, models),
            Cadence(
                finetune.validate_every, engine.log_every, engine.checkpoint_every, finetune.plateau.stop_below
            ),
            self.task.headline,
            self.events,
            self.orders,
            Checkpointer(path, older, hashlib.sha256("".join(keys.values()).encode()).hexdigest(),
                         self.task.device.type),
            lambda loop, added: self.events.write(stage_events.extended(loop, added, objective.curriculum)),
        )  # fmt: skip
        self._tell_start_of_all(stage, models, loop.total, loop.first_epoch, objective)
        # Weights of relations are read back after every step.
        weighs = profile.mutual.logit_weighting.kind != "none"
        replay = engine.cuda_graphs and profile.distill.on_the_device and not weighs
        train(objective, models, finetune.lr, finetune.plateau, profile.distill.epochs, replay, loop)
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

    def _watched_together(self, stage: Stage, models: Mapping[str, Trainable]) -> dict[str, Watched]:
        watched = {
            name: Watched(model, self.task.evaluator(model), self._selection()) for name, model in models.items()
        }
        if ENSEMBLE in stage.models:
            watched[ENSEMBLE] = Watched(None, self.task.ensemble_evaluator(models))
        return watched

    def _watched(self, spec: ModelSpec, stage: Stage, model: Trainable) -> Watched:
        """A member alone: of its epochs the same ones can stay as of a member's."""
        if stage.pretrains:
            return Watched(model)
        return Watched(model, self.task.evaluator(model), self._selection())

    def _selection(self) -> Selection:
        """Validations count from where the curriculum of the members stands still."""
        distill = self.task.profile.distill
        return Selection(self.task.profile.finetune, distill.epochs * distill.settled)

    # What is measured.

    def _assess_all(
        self, specs: Sequence[ModelSpec], models: Mapping[str, Trainable], finished: Mapping[str, FinishedStage]
    ) -> None:
        for spec in specs:
            model = models[spec.name]
            self._models[spec.name] = model
            self._results[spec.name] = self._assess(spec, model, finished[spec.name], COHORT)

    def _measure_together(self, stage: Stage, epochs: int) -> None:
        mutual = self.task.profile.mutual
        together = Together(self.task, self.directory, self.events, self._models, self._results, mutual.ensemble)
        together.measure(stage, list(mutual.members), epochs)

    # What is told.

    def _tell_start_of_all(
        self, stage: Stage, models: Mapping[str, Trainable], epochs: int, first_epoch: int, objective: Objective | None
    ) -> None:
        reset_peak()
        largest = max(models.values(), key=lambda model: model.parameter_count)
        course = None if objective is None else objective.curriculum
        words = loss_words_of(self.task.profile.distill)
        self.events.write(stage_events.started(self.task.seed, stage, largest, epochs, first_epoch, course, words))
        self._told.add(stage.name)
