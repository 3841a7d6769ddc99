"""Link prediction between the heads and tails of the target relations: FlyKD's task, drugs and diseases in PrimeKG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from flykd_console.distill.inputs import DistillInputs
from flykd_console.distill.method import Method, check_files, check_structure, check_teacher
from flykd_console.heuristics.find import heuristic
from flykd_console.model.degree_inputs import check_degrees
from flykd_console.model.encoded import Encoder, mean_of
from flykd_console.model.link_model import LinkModel, link_model, network
from flykd_console.model.message_graph import Hidden
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.seeding import torch_rng
from flykd_console.tasks.base import Log, Objective, Task, Trainable
from flykd_console.tasks.link_prediction import files, names, words
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.evaluator import Evaluator
from flykd_console.tasks.link_prediction.measure import Measured, measure
from flykd_console.tasks.link_prediction.metrics import score
from flykd_console.tasks.link_prediction.objectives import Distilled, Supervised
from flykd_console.tasks.link_prediction.pretraining import Pretraining, steps_of
from flykd_console.tasks.link_prediction.scorers import EmbeddingScorer, HeuristicScorer, Scorer

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import KnowledgeGraph, Targets
    from flykd_console.profile.distill import Distill
    from flykd_console.profile.models import ModelSpec
    from flykd_console.profile.schema import Profile
    from flykd_console.runs.directory import RunDirectory
    from flykd_console.runs.results import Scores


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

    # What stages depend on.

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"graph": self.data.graph.fingerprint, "split": self.data.split.fingerprint}

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
        return self.data.new_model(spec.shape, spec.begins)

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
            validation=lambda: data.evaluation("validation"),
        )

    def check(self, specs: Sequence[ModelSpec]) -> None:
        for spec in specs:
            if spec.shape.degrees:
                check_degrees(self.data.messages.edge_types, spec.shape.dim, spec.table)
            if spec.distill is not None:
                inputs = self.distill_inputs(spec.distill, spec.name)
                check_structure(spec.distill, inputs)
                check_files(spec.distill, inputs)

    def check_teachers(self, specs: Sequence[ModelSpec], teachers: Sequence[Trainable]) -> None:
        for spec in specs:
            if spec.distill is not None:
                inputs = self.distill_inputs(spec.distill, spec.name)
                check_teacher(spec.distill, inputs, [network(teacher) for teacher in teachers])

    # What is measured and left behind.

    def evaluator(self, model: Trainable) -> Callable[[], Scores]:
        links, metric = link_model(model), self.headline
        if names.of_pairs(metric):
            by_pairs = Evaluator(self.data, links, "validation")
            return lambda: score(by_pairs.logits(links))
        tails = names.ranks_tails(metric)

        def measured() -> Scores:
            scorer = EmbeddingScorer(self.data.encode_all(links))
            return measure(self.data, scorer, "validation", tails=tails).scores

        return measured

    def assess(self, name: str, models: Sequence[Trainable]) -> tuple[Scores, Scores]:
        return self._assess(name, EmbeddingScorer(mean_of([self.data.encode_all(link_model(m)) for m in models])))

    def assess_heuristic(self, name: str) -> tuple[Scores, Scores]:
        return self._assess(name, HeuristicScorer(heuristic(name, self.data.training)))

    def _assess(self, name: str, scorer: Scorer) -> tuple[Scores, Scores]:
        for part, measured in self._measured.items():
            measured[name] = measure(self.data, scorer, part)
        return self._measured["test"][name].scores, self._measured["validation"][name].scores

    def keep(self, directory: RunDirectory, name: str, model: Trainable) -> None:
        files.save_embeddings(self.data, directory, name, self.data.encode_all(link_model(model)))

    def open(self, directory: RunDirectory, log: Log) -> None:
        for message, level in words.opening(self.data):
            log(message, level)
        files.save_labels(self.data, directory)
        files.save_evaluation_pairs(self.data, directory)

    def close(self, directory: RunDirectory) -> None:
        for part, measured in self._measured.items():
            files.save_ranking(self.data, directory, part, measured)
            files.save_scores(self.data, directory, part, measured)
