"""A method: what a student learns from its teachers, composed of label sources, a curriculum and structure losses.

    total = normalised λ . label sources + sum over structure losses of weight L

Teachers are run once, with the rows of every layer that a loss compares. The student's pass then gives its own rows of
those layers along with its embeddings; where no loss compares layers, it is the plain pass. What there is of sources,
structure losses and kinds of teachers is what lies in `labels/sources/`, `structure/` and `teachers/`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flykd_console.distill.curriculum import Curriculum
from flykd_console.distill.gate import gated
from flykd_console.distill.inputs import DistillInputs
from flykd_console.distill.labels.losses import losses
from flykd_console.distill.labels.strong_pairs import strong_pairs
from flykd_console.distill.matching.layer_rows import LayerRows
from flykd_console.distill.mean_teacher import mean_teacher

if TYPE_CHECKING:
    from flykd_console.distill.labels.base import LabelSource, SourceFile
    from flykd_console.distill.labels.random_graph import Redrawn
    from flykd_console.distill.structure.base import StructureLoss
    from flykd_console.distill.teacher import Teacher
    from flykd_console.distill.teachers.base import TeacherKind
    from flykd_console.model.encoded import Encoded
    from flykd_console.model.link_model import LinkModel
    from flykd_console.model.propagation.base import Layers
    from flykd_console.model.rgcn import HeteroRGCN
    from flykd_console.profile.distill import Distill

    Kept = Redrawn | StructureLoss


class Method:
    """The losses of one student under frozen teachers.

    Attributes:
        curriculum: Weights of the label sources over the epochs.
        parameters: What structure losses train besides the student.
        generators: What anything of the method draws from, by purpose.
        stateful: What a checkpoint keeps, by name.
        notes: Lines for the run's log.
    """

    def __init__(
        self, settings: Distill, inputs: DistillInputs, student: LinkModel, networks: Sequence[HeteroRGCN]
    ) -> None:
        self._space = inputs.space
        self._structure = structure_of(settings, inputs)
        mine, theirs = LayerRows(student.layers), [LayerRows(network.layers) for network in networks]
        for loss in self._structure.values():
            loss.ask(mine, theirs)
        encoded, layers = _frozen(inputs, networks, theirs)
        teacher = teacher_of(settings, inputs, encoded)
        for loss in self._structure.values():
            loss.prepare(student.dim, layers, teacher)
        self._has_layers = mine.hidden() is not None
        self._encode = inputs.encoder(student, mine.hidden())
        self._sources = {name: _source(name).build(settings, inputs, teacher) for name in settings.sources}

        self.curriculum = curriculum_of(settings)
        parts: list[LabelSource | StructureLoss] = [*self._sources.values(), *self._structure.values()]
        self.generators = {purpose: draw for part in parts for purpose, draw in part.generators.items()}
        self.parameters = [parameter for loss in self._structure.values() for parameter in loss.parameters]
        self._graphs = [source.graphs for source in self._sources.values() if source.graphs is not None]
        self.stateful: dict[str, Kept] = {f"graphs-{i}": graphs for i, graphs in enumerate(self._graphs)}
        self.stateful |= self._structure
        self.notes = [note for source in self._sources.values() for note in source.notes]

    def losses(self, student: LinkModel, epoch: int, weights: Mapping[str, float | Tensor]) -> dict[str, Tensor]:
        """Every loss, unweighted, and their weighted sum in `total`; sources of weight 0 are left out."""
        if self._has_layers:
            encoded, layers = self._encode.with_layers(student)
        else:
            encoded, layers = self._encode(student), []
        found = losses(self._space, encoded, self._sources, weights, epoch)
        return self._with_structure(found, encoded, layers)

    def _with_structure(self, labels: dict[str, Tensor], encoded: Encoded, layers: Layers) -> dict[str, Tensor]:
        structure: dict[str, Tensor] = {}
        weighted: list[Tensor] = []
        for loss in self._structure.values():
            found = loss(encoded, layers)
            structure |= found
            weighted += [loss.weights[name] * value for name, value in found.items()]
        if not structure:
            return labels
        total = labels.pop("total") + torch.stack(weighted).sum()
        return labels | structure | {"total": total}

    def redraws(self, epoch: int) -> bool:
        """Whether any random graph is drawn anew in an epoch, counted from 0."""
        return any(graphs.redraws(epoch) for graphs in self._graphs)


def curriculum_of(settings: Distill) -> Curriculum:
    """The weights of a method's label sources over its epochs."""
    return Curriculum(settings.curriculum, tuple(settings.sources), settings.epochs)


def loss_words_of(settings: Distill) -> dict[str, tuple[str, str]]:
    """What each loss of a method is called, whole and in five letters, by the name that events give it."""
    words = {name: _source(name).words for name in settings.sources}
    for key, table in settings.structure.items():
        if table.takes_part:
            words |= _loss(key).words
    return words


def teacher_of(settings: Distill, inputs: DistillInputs, networks: Sequence[Encoded]) -> Teacher:
    """What labels the pairs: the mean of the teachers that a profile names, under its weights or a gate.

    Raises:
        UserError: What a teacher reads is missing or at fault, or a gate has too few validation pairs.
    """
    remaining = list(networks)
    teachers, weights = [], []
    for entry in settings.teacher_entries:
        mine, remaining = remaining[: entry.networks], remaining[entry.networks :]
        teachers.append(_kind(entry.kind).build(entry, inputs, mine))
        weights.append(entry.weight)
    if settings.gate == "none":
        return mean_teacher(teachers, weights)
    return gated(teachers, weights, settings.gate, settings.lists.sharpness, inputs)


def structure_of(settings: Distill, inputs: DistillInputs) -> dict[str, StructureLoss]:
    """The structure losses that take part, by their table."""
    return {key: _loss(key)(table, inputs) for key, table in settings.structure.items() if table.takes_part}


def check_structure(settings: Distill, inputs: DistillInputs) -> None:
    """Refuse structure losses that this graph leaves nothing to compare.

    Raises:
        UserError: What is missing.
    """
    for key, table in settings.structure.items():
        if table.takes_part:
            _loss(key).check_graph(table, inputs)


def check_files(settings: Distill, inputs: DistillInputs) -> None:
    """Refuse teachers that cannot be read or asked: those without networks, before the networks of others are trained.

    Raises:
        UserError: A teacher's file is at fault, or its scores are none that a label could be made of.
    """
    soft = any(_source(name).soft for name in settings.sources) or bool(settings.structure_weights)
    for entry in settings.teacher_entries:
        if entry.networks == 0:
            teacher = _kind(entry.kind).build(entry, inputs, [])
            if soft:
                teacher.check_labels()
    if settings.gate != "none" and settings.networks == 0:
        teacher_of(settings, inputs, [])


@torch.no_grad()
def check_teacher(settings: Distill, inputs: DistillInputs, networks: Sequence[HeteroRGCN]) -> None:
    """Refuse a `min_logit` that the teachers' labels do not reach.

    Raises:
        UserError: No pair of a relation qualifies, or too many to be listed.
    """
    recipe = settings.random_graph
    if recipe.min_logit is None:
        return
    teacher = teacher_of(settings, inputs, [inputs.encoder(network, None)(network) for network in networks])
    strong_pairs(inputs.space, teacher, recipe, listed=recipe.sampler == "pairs")


def _source(name: str) -> SourceFile:
    source: SourceFile = importlib.import_module(f"flykd_console.distill.labels.sources.{name}").SOURCE
    return source


def _kind(name: str) -> type[TeacherKind]:
    kind: type[TeacherKind] = importlib.import_module(f"flykd_console.distill.teachers.{name}").KIND
    return kind


def _loss(key: str) -> type[StructureLoss]:
    loss: type[StructureLoss] = importlib.import_module(f"flykd_console.distill.structure.{key}").LOSS
    return loss


@torch.no_grad()
def _frozen(
    inputs: DistillInputs, networks: Sequence[HeteroRGCN], rows: Sequence[LayerRows]
) -> tuple[list[Encoded], list[Layers]]:
    """What each network encodes, and the rows of its layers that losses compare."""
    encoded: list[Encoded] = []
    layers: list[Layers] = []
    for network, asked in zip(networks, rows, strict=True):
        encode = inputs.encoder(network, asked.hidden())
        if asked.hidden() is None:
            encoded.append(encode(network))
            layers.append([])
        else:
            embeddings, outputs = encode.with_layers(network)
            encoded.append(embeddings)
            layers.append(outputs)
    return encoded, layers
