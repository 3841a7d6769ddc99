"""The stages of one seed, in order: teacher (pretrained, finetuned), baseline and student (pretrained once).

A profile may ask for several teachers, which differ in their initialisation and whose logits are averaged, or for no
student at all.

A finished stage of this run or another one is loaded instead of trained again; an unfinished one goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from flykd_console.distill.teachers import mean_of
from flykd_console.graph.split.negatives import true_negatives
from flykd_console.model.link_encoder import Encoded
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Log, StageExtended, StageFinished, StageStarted
from flykd_console.runs.log import EventWriter
from flykd_console.runs.results import ModelResult, Scores
from flykd_console.seeding import torch_rng
from flykd_console.tasks.link_prediction import files as artifacts
from flykd_console.tasks.link_prediction.metrics import Scored, score
from flykd_console.tasks.link_prediction.task import Evaluator, Task
from flykd_console.training.guidance import neighbourhood
from flykd_console.training.loops.distill import check_min_logit, curriculum_of, distill
from flykd_console.training.loops.finetune import finetune
from flykd_console.training.loops.pretrain import pretrain, steps_of
from flykd_console.training.orders import ControlDesk
from flykd_console.training.plan import stage_epochs, teacher_stages
from flykd_console.training.resources import peak_bytes, reset_peak
from flykd_console.training.reuse import FinishedStage, StageStore, stage_key
from flykd_console.training.selection import Selection
from flykd_console.training.session import StageSession, evaluation_event
from flykd_console.words import grouped

# A relation with fewer true test pairs has an AUPRC that one of them can move by points.
_FEW_PAIRS = 20
# Above this share of stored test negatives that are true pairs after all, the AUPRC of even a perfect model is low.
_DOUBTFUL = 0.2

# Where several teachers are averaged: the mean of their logits among the results and the test scores.
TEACHER_MEAN = "teacher-mean"

# Parts whose pairs every model is scored on; the test's file is the last that a seed leaves.
_SCORED = ("validation", "test")

Train = Callable[[HeteroRGCN, StageSession], None]


@dataclass
class SeedStages:
    """Runs the stages of one seed and leaves weights, embeddings, scores and labels in the run directory."""

    task: Task
    directory: RunDirectory
    events: EventWriter
    control: ControlDesk
    store: StageStore
    _told: set[str] = field(default_factory=set)
    # By part and model the stored pairs' labels and logits.
    _scored: dict[str, dict[str, dict[str, Scored]]] = field(default_factory=lambda: {part: {} for part in _SCORED})

    def run(self) -> dict[str, ModelResult]:
        """Train (or load) teachers, baseline and student; results by model."""
        task, profile = self.task, self.task.profile
        self._say_pooling()
        self._say_split()
        # What the structure losses need of the graph is asked for before hours of teachers.
        neighbourhood(task)
        artifacts.save_labels(task, self.directory)
        artifacts.save_evaluation_pairs(task, self.directory)

        def finetuned(model: HeteroRGCN, session: StageSession) -> None:
            finetune(task, model, profile.finetune, session)

        def distilled(model: HeteroRGCN, session: StageSession) -> None:
            distill(task, teachers, model, session)

        results: dict[str, ModelResult] = {}
        teachers = []
        for stage in teacher_stages(profile):
            teacher, results[stage] = self._model(stage, "teacher", finetuned)
            teachers.append(teacher)
        # Whether a threshold leaves the student nothing is known now, and not only after the baseline.
        check_min_logit(task, teachers)
        _, results["baseline"] = self._model("baseline", "student", finetuned)
        if len(teachers) > 1:
            results[TEACHER_MEAN] = self._assess_mean(teachers, [results[stage] for stage in teacher_stages(profile)])
        if profile.distill.epochs:
            _, results["student"] = self._model("student", "student", distilled)
        for part, scored in self._scored.items():
            artifacts.save_scores(task, self.directory, part, scored)
        return results

    def _model(self, stage: str, size: str, train: Train) -> tuple[HeteroRGCN, ModelResult]:
        """One model: loaded, or brought from its pretrained weights to the epoch that stays."""
        # Every teacher is drawn from a stream of its own; baseline and student begin from the same weights.
        stream = stage if size == "teacher" else size
        model = self.task.new_model(size, stream)
        finished = self.store.load(self.task, stage, model)
        if finished is not None:
            if stage != "baseline" or not self.task.profile.distill.epochs:
                # The last model that could have needed this pretraining is there already.
                self._tell_unneeded(f"pretrain-{stream}", finished)
            self._tell_reuse(stage, model, finished)
            result = self._assess(stage, model, finished)
        else:
            self._pretrained(f"pretrain-{stream}", model)
            # The decoder is drawn anew, alike for baseline and student, which then differ by their losses alone.
            model.reset_decoder(torch_rng(self.task.seed, f"decoder/{stream}"))
            session = self._session(stage, model)
            settings = self.task.profile.distill
            since = settings.epochs * settings.settled if stage == "student" else 0
            session.selection = Selection(self.task.profile.finetune, since)
            evaluator = Evaluator(self.task, model, "validation")
            session.evaluate = lambda: score(evaluator.logits(model))
            session.tell_extended = lambda added: self._tell_extended(session, added)
            self._tell_start(session)
            train(model, session)
            finished = self._finished(session)
            result = self._assess(stage, model, finished)
            self.store.save(self.task, stage, model, finished)
        self._tell_end(stage, finished)
        return model, result

    def _pretrained(self, stage: str, model: HeteroRGCN) -> None:
        """Bring a fresh model to its pretrained weights."""
        settings = self.task.profile.pretrain
        if steps_of(self.task, settings) == 0:
            return
        finished = self.store.load(self.task, stage, model)
        if stage in self._told:
            return
        if finished is not None:
            self._tell_reuse(stage, model, finished)
        else:
            session = self._session(stage, model)
            self._tell_start(session)
            pretrain(self.task, model, settings, session)
            finished = self._finished(session)
            self.store.save(self.task, stage, model, finished)
        self._tell_end(stage, finished)

    def _finished(self, session: StageSession) -> FinishedStage:
        seconds = round(session.seconds, 3)
        return FinishedStage(
            epochs=session.done,
            seconds=seconds,
            run=self.directory.name,
            kept_epoch=session.kept_epoch,
            added_epochs=session.added_epochs,
        )

    def _assess(self, stage: str, model: HeteroRGCN, finished: FinishedStage) -> ModelResult:
        """Leave the model's embeddings and measure it from them, on validation and test."""
        encoded = artifacts.encode_all(self.task, model)
        artifacts.save_embeddings(self.task, self.directory, stage, encoded)
        self._score_parts(stage, encoded)
        test = self._part_scores(stage, encoded, "test")
        if test.macro_auprc is not None:
            self.events.write(evaluation_event(self.task.seed, stage, finished.epochs, "test", test))
        return ModelResult(
            dim=model.dim,
            layers=model.layers,
            layer_kind=model.kind,
            parameters=model.parameter_count,
            epochs=finished.epochs,
            seconds=finished.seconds,
            test=test,
            validation=self._part_scores(stage, encoded, "validation"),
            reused_from=None if finished.run == self.directory.name else finished.run,
            kept_epoch=finished.kept_epoch,
            added_epochs=finished.added_epochs,
        )

    def _assess_mean(self, teachers: list[HeteroRGCN], results: list[ModelResult]) -> ModelResult:
        """Measure what the student learns from where teachers are averaged: the mean of their logits."""
        mean = mean_of([artifacts.encode_all(self.task, teacher) for teacher in teachers])
        self._score_parts(TEACHER_MEAN, mean)
        result = ModelResult(
            dim=teachers[0].dim,
            layers=teachers[0].layers,
            layer_kind=teachers[0].kind,
            parameters=sum(result.parameters for result in results),
            epochs=max(result.epochs for result in results),
            seconds=sum(result.seconds for result in results),
            test=self._part_scores(TEACHER_MEAN, mean, "test"),
            validation=self._part_scores(TEACHER_MEAN, mean, "validation"),
        )
        if result.test.macro_auprc is not None:
            self._log(f"mean of {len(teachers)} teachers: test AUPRC {100 * result.test.macro_auprc:.2f}")
        return result

    def _score_parts(self, stage: str, encoded: Encoded) -> None:
        for part, scored in self._scored.items():
            scored[stage] = artifacts.score_part(self.task, encoded, part)

    def _part_scores(self, stage: str, encoded: Encoded, part: str) -> Scores:
        """What a part says of a model whose pairs are scored; nothing where the split has no such part."""
        scores = score(self._scored[part][stage])
        return msgspec.structs.replace(scores, ranking=artifacts.rank_part(self.task, encoded, part))

    def _session(self, stage: str, model: HeteroRGCN) -> StageSession:
        profile = self.task.profile
        return StageSession(
            directory=self.directory,
            events=self.events,
            control=self.control,
            seed=self.task.seed,
            stage=stage,
            epochs_total=stage_epochs(profile, steps_of(self.task, profile.pretrain))[stage],
            model=model,
            key=stage_key(self.task, stage),
            validate_every=profile.finetune.validate_every,
            log_every=profile.engine.log_every,
            checkpoint_every=profile.engine.checkpoint_every,
        )

    def _tell_start(self, session: StageSession) -> None:
        self._start_event(session.stage, session.model, session.epochs_total, session.first_epoch)

    def _tell_reuse(self, stage: str, model: HeteroRGCN, finished: FinishedStage) -> None:
        self._start_event(stage, model, finished.epochs, finished.epochs)
        where = "in this run" if finished.run == self.directory.name else f"in {finished.run}"
        self._log(f"{stage}: trained before {where} under the same graph, split, seed and settings; not trained again")

    def _start_event(self, stage: str, model: HeteroRGCN, epochs: int, first_epoch: int) -> None:
        reset_peak()
        self.events.write(
            StageStarted(
                seed=self.task.seed,
                stage=stage,
                epochs=epochs,
                first_epoch=first_epoch,
                dim=model.dim,
                layers=model.layers,
                layer_kind=model.kind,
                parameters=model.parameter_count,
                schedule=self._schedule(stage, epochs),
            )
        )
        self._told.add(stage)

    def _tell_extended(self, session: StageSession, added: int) -> None:
        self.events.write(
            StageExtended(
                seed=session.seed,
                stage=session.stage,
                epochs=session.epochs_total,
                added=added,
                planned=session.planned,
                schedule=self._schedule(session.stage, session.epochs_total),
            )
        )

    def _schedule(self, stage: str, epochs: int) -> dict[str, list[tuple[float, float]]] | None:
        return curriculum_of(self.task.profile).schedule(until=epochs) if stage == "student" else None

    def _tell_end(self, stage: str, finished: FinishedStage, reused: bool = False) -> None:
        self.events.write(
            StageFinished(
                seed=self.task.seed,
                stage=stage,
                epochs=finished.epochs,
                seconds=finished.seconds,
                peak_rss=peak_bytes(),
                reused_from=finished.run if reused or finished.run != self.directory.name else None,
                kept_epoch=finished.kept_epoch,
            )
        )

    def _tell_unneeded(self, stage: str, because: FinishedStage) -> None:
        """Close a planned pretraining that nobody needs, since the model that would begin from it is loaded whole."""
        epochs = stage_epochs(self.task.profile, steps_of(self.task, self.task.profile.pretrain)).get(stage, 0)
        if epochs and stage not in self._told:
            self._told.add(stage)
            self._tell_end(stage, FinishedStage(epochs=epochs, seconds=0.0, run=because.run), reused=True)

    def _say_pooling(self) -> None:
        if self.task.pooling is None and self.task.profile.graph.pooling.enabled:
            names = ", ".join(self.task.profile.graph.pooling.relations)
            self._log(f"disease pooling is off: the graph has no training edges of {names}", "warning")

    def _say_split(self) -> None:
        split = self.task.split
        self._log(split.in_words)
        for note in split.notes:
            self._log(note)
        if not any(len(split.test[target][0]) for target in split.targets):
            self._log("no test part: models are measured on validation alone")
            return
        told = total = 0
        for target, pairs in zip(split.targets, self.task.evaluation("test"), strict=True):
            doubtful, count = true_negatives(self.task.graph, target, pairs)
            told, total = told + doubtful, total + count
            if doubtful > _DOUBTFUL * count:
                self._log(
                    f"{pairs.relation}: {doubtful} of {count} stored test negatives are true pairs"
                    + (
                        ", since nothing else can take their place"
                        if self.task.profile.split.filter_negatives
                        else "; split.filter_negatives = true draws others"
                        if target not in split.negatives.get("test", {})
                        else ""
                    ),
                    "warning",
                )
            if pairs.positives == 0:
                self._log(f"{pairs.relation} has no test pairs: the macro mean leaves it out", "warning")
            elif pairs.positives < _FEW_PAIRS:
                self._log(f"{pairs.relation} has {pairs.positives} test pairs: its AUPRC says little", "warning")
        self._log(f"test: {grouped(told)} of {grouped(total)} stored negatives are true pairs of their relation")

    def _log(self, message: str, level: str = "info") -> None:
        self.events.write(Log(level=level, message=message, seed=self.task.seed))
