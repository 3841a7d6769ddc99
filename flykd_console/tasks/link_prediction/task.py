"""Link prediction between the heads and tails of the target relations: FlyKD's task, drugs and diseases in PrimeKG."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from flykd_console.distill.inputs import DistillInputs
from flykd_console.distill.method import Method, check_files, check_structure, check_teacher, teacher_of
from flykd_console.heuristics.find import heuristic
from flykd_console.model.degree_inputs import check_degrees
from flykd_console.model.encoded import Encoded, Encoder, mean_of
from flykd_console.model.link_model import LinkModel, link_model, network
from flykd_console.model.message_graph import Hidden
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.runs.events import AGREEMENT
from flykd_console.runs.likeness import RANK_CORRELATION
from flykd_console.runs.results import LeftOutLabels
from flykd_console.seeding import torch_rng
from flykd_console.tasks.base import Log, Objective, Task, Trainable
from flykd_console.tasks.link_prediction import files, names, top_pairs, words
from flykd_console.tasks.link_prediction.agreement import mean_logits, rank_correlation
from flykd_console.tasks.link_prediction.cohort import StudentsObjective
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.evaluator import Evaluator
from flykd_console.tasks.link_prediction.matrix import last_part, rank_matrix, with_commonality
from flykd_console.tasks.link_prediction.measure import Measured, measure, stored_pairs
from flykd_console.tasks.link_prediction.metrics import score
from flykd_console.tasks.link_prediction.objectives import Distilled, Supervised
from flykd_console.tasks.link_prediction.pretraining import Pretraining, steps_of
from flykd_console.tasks.link_prediction.ranking import rank_heads
from flykd_console.tasks.link_prediction.scorers import EmbeddingScorer, HeuristicScorer, ListScorer, Scorer

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import KnowledgeGraph, Targets
    from flykd_console.profile.distill import Distill
    from flykd_console.profile.model_spec import ModelSpec
    from flykd_console.profile.schema import Profile
    from flykd_console.runs.directory import RunDirectory
    from flykd_console.runs.results import MatrixScores, Scores


# Validations of a stage at which heads are ranked though the headline does not ask for it.
_RANKINGS = 10


class LinkPrediction(Task):
    """One seed of a run on one graph.

    Attributes:
        data: Graph, split, and what is derived from them.
    """

    def __init__(
        self, profile: Profile, graph: KnowledgeGraph, targets: Targets, seed: int, device: torch.device
    ) -> None:
        super().__init__(profile, seed, device)
        self.data = LinkData(profile, graph, targets, seed, device)
        # By part and model.
        self._measured: dict[str, dict[str, Measured]] = {part: {} for part in names.SCORED}
        # Where lists of first pairs are kept, once there is a directory.
        self._directory: RunDirectory | None = None

    # What stages depend on.

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"graph": self.data.graph.fingerprint, "split": self.data.split.fingerprint}

    @property
    def left_out(self) -> LeftOutLabels | None:
        left = self.data.split.left_out
        if left is None:
            return None
        labels = {target.relation: len(heads) for target, (heads, _) in left.labels.items()}
        return LeftOutLabels(hops=left.hops, over=list(left.relations), tails=left.tails, labels=labels)

    def settings(self) -> dict[str, Any]:
        profile = self.profile
        return {
            "targets": profile.graph.targets,
            "pooling": profile.graph.pooling.model_dump(),
            "filter_negatives": profile.split.filter_negatives,
            "negatives": profile.negatives.model_dump(),
        }

    # Models and what they minimise.

    def new_model(self, spec: ModelSpec) -> LinkModel:
        return self.data.new_model(spec.link_shape, spec.begins)

    def reset_head(self, spec: ModelSpec, model: Trainable) -> None:
        """Draw the DistMult vectors anew, alike for models of one beginning: these differ by their losses alone."""
        if isinstance(model, HeteroRGCN):
            model.reset_decoder(torch_rng(self.seed, f"decoder/{spec.begins}"))

    def pretraining_steps(self) -> int:
        return steps_of(self.data.split.train, self.profile.pretrain)

    def pretraining(self, model: Trainable, stage: str) -> Objective:
        return Pretraining(self.data, network(model), stage)

    def supervised(self, model: Trainable, stage: str) -> Objective:
        return Supervised(self.data, link_model(model), stage)

    def distilled(self, spec: ModelSpec, model: Trainable, teachers: Sequence[Trainable], log: Log) -> Objective:
        assert spec.distill is not None
        inputs = self.distill_inputs(spec.distill, spec.name)
        method = Method(spec.distill, inputs, link_model(model), [network(teacher) for teacher in teachers])
        for line in method.notes:
            log(line, "info")
        return Distilled(method, link_model(model))

    def taught_together(
        self, specs: Sequence[ModelSpec], models: Mapping[str, Trainable], teachers: Sequence[Trainable]
    ) -> Objective:
        profile = self.profile
        students = {name: link_model(model) for name, model in models.items()}

        def inputs_of(stream: str) -> DistillInputs:
            return self.distill_inputs(profile.distill, stream)

        return StudentsObjective(profile.distill, profile.mutual, inputs_of, students, self.seed)

    def distill_inputs(self, distill: Distill, stage: str) -> DistillInputs:
        """What a method is given of this task."""
        data = self.data
        space = data.distilling_space(distill)

        def encoder(model: LinkModel, hidden: Hidden | None) -> Encoder:
            return data.space_encoder(model, space, hidden)

        return DistillInputs(
            space=space,
            targets=data.targets,
            train=data.split.train,
            messages=data.messages,
            pooling_relations=self.profile.graph.pooling.relations,
            filter_negatives=self.profile.split.filter_negatives,
            negatives=self.profile.negatives,
            device=self.device,
            encoder=encoder,
            generator=lambda purpose: self.generator(f"{stage}/{purpose}"),
            host_generator=lambda purpose: torch_rng(self.seed, f"{stage}/{purpose}"),
            node_ids=data.graph.ids,
            training=lambda: data.training,
            calibration=lambda: data.calibration,
        )

    def check(self, specs: Sequence[ModelSpec]) -> None:
        for spec in specs:
            if spec.link_shape.degrees:
                check_degrees(self.data.messages.edge_types, spec.shape.dim, spec.table)
            if spec.trained and spec.distill is not None:
                inputs = self.distill_inputs(spec.distill, spec.name)
                check_structure(spec.distill, inputs)
                check_files(spec.distill, inputs)

    def check_teachers(self, specs: Sequence[ModelSpec], teachers: Sequence[Trainable]) -> None:
        for spec in specs:
            if spec.trained and spec.distill is not None:
                inputs = self.distill_inputs(spec.distill, spec.name)
                check_teacher(spec.distill, inputs, [network(teacher) for teacher in teachers])

    # What is measured and left behind.

    def evaluator(self, model: Trainable) -> Callable[[], Scores]:
        links, metric = link_model(model), self.headline
        if names.of_pairs(metric):
            return self._by_pairs(links)
        tails = names.ranks_tails(metric)

        def measured() -> Scores:
            scorer = EmbeddingScorer(self.data.encode_all(links))
            return measure(self.data, scorer, "validation", tails=tails).scores

        return measured

    def _by_pairs(self, model: LinkModel) -> Callable[[], Scores]:
        """Scores by stored pairs; some ten times in a stage by rankings, too, which take longer."""
        data, finetune = self.data, self.profile.finetune
        by_pairs = Evaluator(data, model, "validation")
        validations = math.ceil(finetune.epochs / finetune.validate_every)
        # Counted so that the last of a stage as long as finetuning is one of them.
        calls = itertools.count(1 - validations)

        def measured() -> Scores:
            ranked = {}
            if next(calls) % math.ceil(validations / _RANKINGS) == 0:
                found = rank_heads(data.split, "validation", EmbeddingScorer(data.encode_all(model)), data.seed)
                ranked = {relation: one.scores for relation, one in found.items()}
            return score(by_pairs.logits(model), ranked)

        return measured

    def ensemble_evaluator(self, models: Mapping[str, Trainable]) -> Callable[[], Scores]:
        """Of the mean of logits, with how alike the models order the stored pairs."""
        data, members = self.data, [link_model(model) for model in models.values()]
        tails = names.ranks_tails(self.headline)
        by_pairs = [(Evaluator(data, model, "validation"), model) for model in members]

        def measured() -> Scores:
            each = [evaluator.logits(model) for evaluator, model in by_pairs]
            if names.of_pairs(self.headline):
                scores = score(mean_logits(each))
            else:
                mean = mean_of([data.encode_all(model) for model in members])
                scores = measure(data, EmbeddingScorer(mean), "validation", tails=tails).scores
            return _with_metric(scores, AGREEMENT, rank_correlation(each))

        return measured

    def assess(self, name: str, models: Sequence[Trainable]) -> tuple[Scores, Scores]:
        """Of several the mean of logits: under their weights where they teach, else alike."""
        encoded = [self.data.encode_all(link_model(model)) for model in models]
        if self.profile.mutual.takes_part or len(models) == 1:
            scores = self._assess(name, EmbeddingScorer(mean_of(encoded)))
        else:
            scores = self._assess(name, EmbeddingScorer(mean_of(encoded, self.profile.distill.network_weights)))
        if not self.profile.mutual.takes_part or len(models) == 1:
            return scores
        test, validation = (
            _with_metric(of, RANK_CORRELATION, self._agreement(encoded, part))
            for of, part in zip(scores, ("test", "validation"), strict=True)
        )
        return test, validation

    def _agreement(self, encoded: Sequence[Encoded], part: str) -> float | None:
        """How alike models order the stored pairs of a part."""
        return rank_correlation([stored_pairs(self.data, EmbeddingScorer(one), part) for one in encoded])

    def adopt(self, name: str, other: str) -> None:
        for measured in self._measured.values():
            measured[name] = measured[other]

    def assess_heuristic(self, name: str) -> tuple[Scores, Scores]:
        return self._assess(name, HeuristicScorer(heuristic(name, self.data.training)))

    def assess_lists(self, spec: ModelSpec, teachers: Sequence[Trainable]) -> tuple[Scores, Scores]:
        assert spec.distill is not None
        inputs = self.distill_inputs(spec.distill, spec.name)
        encoded = [inputs.encoder(network(teacher), None)(network(teacher)) for teacher in teachers]
        return self._assess(spec.name, ListScorer(teacher_of(spec.distill, inputs, encoded), inputs.space))

    def _assess(self, name: str, scorer: Scorer) -> tuple[Scores, Scores]:
        for part, measured in self._measured.items():
            measured[name] = measure(self.data, scorer, part)
        scores = {part: measured[name].scores for part, measured in self._measured.items()}
        last = last_part(self.data.split)
        if self.profile.evaluation.matrix and last is not None:
            matrix = self._matrix(name, scorer, last)
            scores[last] = msgspec.structs.replace(scores[last], matrix=matrix)
        return scores["test"], scores["validation"]

    def _matrix(self, name: str, scorer: Scorer, part: str) -> dict[str, MatrixScores]:
        """All pairs ranked together; leaves the first new ones, and compares them with those of the seeds before."""
        data = self.data
        ranked = rank_matrix(data.graph, data.split, part, scorer, self.seed)
        found = {relation: matrix.scores for relation, matrix in ranked.items()}
        if self._directory is None:
            return found
        table = top_pairs.table_of({relation: matrix.new for relation, matrix in ranked.items()})
        top_pairs.save(table, self._directory.top_pairs(self.seed, name))
        for seed in self.profile.run.seeds[: self.profile.run.seeds.index(self.seed)]:
            other = top_pairs.read(self._directory.top_pairs(seed, name))
            if other is not None:
                found = with_commonality(found, seed, top_pairs.shared(table, other))
        return found

    def keep(self, directory: RunDirectory, name: str, model: Trainable) -> None:
        files.save_embeddings(self.data, directory, name, self.data.encode_all(link_model(model)))

    def keep_mean(self, directory: RunDirectory, name: str, models: Sequence[Trainable]) -> None:
        encoded = [self.data.encode_all(link_model(model)) for model in models]
        files.save_embeddings(self.data, directory, name, mean_of(encoded))

    def open(self, directory: RunDirectory, log: Log) -> None:
        self._directory = directory
        for message, level in words.opening(self.data):
            log(message, level)
        files.save_labels(self.data, directory)
        files.save_evaluation_pairs(self.data, directory)

    def close(self, directory: RunDirectory) -> None:
        for part, measured in self._measured.items():
            files.save_ranking(self.data, directory, part, measured)
            files.save_scores(self.data, directory, part, measured)
        files.save_neighbours(self.data, directory)
        files.save_profiles(self.data, directory)
        if not directory.connections.is_file():
            files.save_connections(self.data.told, self.data.targets, directory)


def _with_metric(scores: Scores, name: str, value: float | None) -> Scores:
    """The scores and one number more, where there is one."""
    if value is None or not scores.metrics:
        return scores
    return msgspec.structs.replace(scores, metrics=scores.metrics | {name: value})
