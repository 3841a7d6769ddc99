"""Link prediction between the heads and tails of the target relations: FlyKD's task, drugs and diseases in PrimeKG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from flykd_console.distill.inputs import DistillInputs
from flykd_console.distill.method import Method, check_files, check_structure, check_teacher
from flykd_console.model.encoded import Encoded, Encoder, mean_of
from flykd_console.model.link_model import LinkModel, link_model
from flykd_console.model.message_graph import Hidden
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.seeding import torch_rng
from flykd_console.tasks.base import Log, Objective, Task, Trainable
from flykd_console.tasks.link_prediction import files, words
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.evaluator import Evaluator
from flykd_console.tasks.link_prediction.metrics import Scored, score
from flykd_console.tasks.link_prediction.objectives import Distilled, Supervised
from flykd_console.tasks.link_prediction.pretraining import Pretraining, steps_of

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import KnowledgeGraph, Targets
    from flykd_console.profile.distill import Distill
    from flykd_console.profile.models import ModelSpec
    from flykd_console.profile.schema import Profile
    from flykd_console.runs.directory import RunDirectory
    from flykd_console.runs.results import Scores

# Parts whose pairs every model is scored on; the test's file is the last that a seed leaves.
SCORED = ("validation", "test")


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
        # By part and model the stored pairs' labels and logits.
        self._scored: dict[str, dict[str, dict[str, Scored]]] = {part: {} for part in SCORED}

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
        return Pretraining(self.data, _rgcn(model), stage)

    def supervised(self, model: Trainable, stage: str) -> Objective:
        return Supervised(self.data, link_model(model), stage)

    def distilled(self, spec: ModelSpec, model: Trainable, teachers: Sequence[Trainable], log: Log) -> Objective:
        assert spec.distill is not None
        inputs = self.distill_inputs(spec.distill, spec.name)
        method = Method(spec.distill, inputs, link_model(model), [_rgcn(teacher) for teacher in teachers])
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
            if spec.distill is not None:
                inputs = self.distill_inputs(spec.distill, spec.name)
                check_structure(spec.distill, inputs)
                check_files(spec.distill, inputs)

    def check_teachers(self, specs: Sequence[ModelSpec], teachers: Sequence[Trainable]) -> None:
        for spec in specs:
            if spec.distill is not None:
                inputs = self.distill_inputs(spec.distill, spec.name)
                check_teacher(spec.distill, inputs, [_rgcn(teacher) for teacher in teachers])

    # What is measured and left behind.

    def evaluator(self, model: Trainable) -> Callable[[], Scores]:
        links = link_model(model)
        by_pairs = Evaluator(self.data, links, "validation")
        if not words.ranks(self.headline):
            return lambda: score(by_pairs.logits(links))

        def ranked() -> Scores:
            ranking = files.rank_part(self.data, self.data.encode_all(links), "validation")
            return score(by_pairs.logits(links), ranking)

        return ranked

    def assess(self, name: str, models: Sequence[Trainable]) -> tuple[Scores, Scores]:
        encoded = mean_of([self.data.encode_all(link_model(model)) for model in models])
        for part, scored in self._scored.items():
            scored[name] = files.score_part(self.data, encoded, part)
        return self._part_scores(name, encoded, "test"), self._part_scores(name, encoded, "validation")

    def _part_scores(self, name: str, encoded: Encoded, part: str) -> Scores:
        """What a part says of a model whose pairs are scored; nothing where the split has no such part."""
        return score(self._scored[part][name], files.rank_part(self.data, encoded, part))

    def keep(self, directory: RunDirectory, name: str, model: Trainable) -> None:
        files.save_embeddings(self.data, directory, name, self.data.encode_all(link_model(model)))

    def open(self, directory: RunDirectory, log: Log) -> None:
        for message, level in words.opening(self.data):
            log(message, level)
        files.save_labels(self.data, directory)
        files.save_evaluation_pairs(self.data, directory)

    def close(self, directory: RunDirectory) -> None:
        for part, scored in self._scored.items():
            files.save_scores(self.data, directory, part, scored)


def _rgcn(model: Trainable) -> HeteroRGCN:
    """What teaches, and what is pretrained, is a network."""
    assert isinstance(model, HeteroRGCN)
    return model
