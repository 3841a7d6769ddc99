"""What no single key of a profile can tell: settings that contradict each other, or that could never act."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from flykd_console.profile.distill import SOURCES, RandomGraph
from flykd_console.profile.rooms import heuristics, structure_losses
from flykd_console.runs.directory import KEY_COLUMNS

if TYPE_CHECKING:
    from flykd_console.profile.distill import Distill, Plateau
    from flykd_console.profile.sections import Finetune, Graph, Model, Shape, Split


def check(
    graph: Graph,
    split: Split,
    teacher: Shape,
    student: Shape,
    finetune: Finetune,
    distill: Distill,
    models: Mapping[str, Model],
) -> None:
    """Refuse tables of a profile that do not fit together.

    Raises:
        ValueError: The first contradiction, beginning with the key.
    """
    if split.kind == "by_time" and graph.time_column is None:
        raise ValueError("split.kind = 'by_time' needs graph.time_column, the column of years or dates")
    _check_shape("teacher", teacher)
    _check_shape("student", student)
    for name, model in models.items():
        _check_shape(f"models.{name}", model)
    for prefix, method, shape in _methods(student, distill, models):
        _check_weights(prefix, method)
        _check_composition(prefix, method)
        _check_structure(prefix, method, teacher, shape, graph.pooling.relations)
        _check_random_graph(prefix, method)
        _check_student(prefix, method)
        _check_rate(prefix, method, finetune)
    _check_plateau("finetune.plateau", finetune.plateau, "finetune.lr", finetune.lr)
    _check_patience(finetune, distill)
    for name, model in models.items():
        # A model's name is part of file names; those of stages are taken.
        if name in ("baseline", "student", "student-table", "none") or name.startswith(("pretrain", "teacher")):
            raise ValueError(f"models.{name}: the name is taken; choose another one")
        if name in KEY_COLUMNS:
            raise ValueError(f"models.{name}: files of scores have a column of that name; choose another one")
        if name in heuristics():
            raise ValueError(f"models.{name}: a heuristic is called so; choose another name")
        if model.distill.teachers != distill.teachers:
            raise ValueError(f"models.{name}.distill.teachers: all students learn from those of distill.teachers")


# Tables that act under one kind of task alone; the others act under all.
OF_LINKS = ("graph", "split", "teacher", "student", "pretrain", "negatives", "finetune", "distill", "mutual", "models",
            "evaluation")  # fmt: skip
OF_CLASSES = ("data", "cohort")


def _methods(student: Shape, distill: Distill, models: Mapping[str, Model]) -> Iterator[tuple[str, Distill, Shape]]:
    """Every method of a profile: its dotted table, itself, and the shape of the student that learns by it."""
    yield "distill", distill, student
    for name, model in models.items():
        if model.role != "baseline":
            yield f"models.{name}.distill", model.distill, model


def _check_shape(key: str, shape: Shape) -> None:
    if shape.kind == "table":
        for name in shape.network_keys:
            raise ValueError(f"{key}.{name} is a network's, but {key}.kind = 'table' is none: leave it out")
    if shape.kind == "rgat" and shape.aggregation != "mean":
        raise ValueError(f"{key}.aggregation = {shape.aggregation!r} needs kind = 'rgcn': attention weighs means")
    if shape.popularity != 0.0 and shape.biases not in ("head", "both"):
        raise ValueError(f"{key}.popularity is a head's bias, but {key}.biases = {shape.biases!r}: set it to 'head'")


def _check_weights(prefix: str, distill: Distill) -> None:
    curriculum, sources = distill.curriculum, distill.sources
    breaks = [fraction for source in sources for fraction, _ in curriculum.points(source)]
    for fraction in sorted({0.0, 1.0, *breaks}):
        if sum(curriculum.weight(source, fraction) for source in sources) <= 0.0:
            raise ValueError(f"{prefix}.curriculum: at {fraction:.0%} of the epochs every loss weight is 0")


def _check_composition(prefix: str, distill: Distill) -> None:
    for source in SOURCES:
        if source in distill.sources:
            continue
        if distill.curriculum.points(source) != type(distill.curriculum).model_fields[source].default:
            raise ValueError(
                f"{prefix}.curriculum.{source} is set, but {source} is not among {prefix}.sources: "
                "add it there, or leave the curriculum out"
            )
    if "pseudo_random" in distill.sources:
        return
    for key, is_set in (
        ("min_logit", distill.random_graph.min_logit is not None),
        ("unseen", distill.random_graph.unseen > 0.0),
    ):
        if is_set:
            raise ValueError(
                f"{prefix}.random_graph.{key} is set, but pseudo_random is not among {prefix}.sources: add it there"
            )


def _check_structure(
    prefix: str, distill: Distill, teacher: Shape, student: Shape, pooling_relations: Sequence[str]
) -> None:
    for key, table in distill.structure.items():
        if not table.takes_part:
            continue
        table.check(teacher.layers, student.layers, pooling_relations)
        if structure_losses()[key].needs_layers and distill.networks == 0:
            raise ValueError(f"{prefix}.{key} compares layers, but no teacher of {prefix}.teachers is a network")
        if structure_losses()[key].asks_for_layers and student.kind == "table":
            raise ValueError(f"{prefix}.{key} looks at layers, but a student of kind = 'table' has none")


def _check_random_graph(prefix: str, distill: Distill) -> None:
    graphs = distill.random_graph
    usual = RandomGraph.model_fields["refresh_every"].default
    if graphs.sampler == "exact" and graphs.refresh_every != usual:
        raise ValueError(
            f"{prefix}.random_graph.refresh_every = {graphs.refresh_every} does not apply: sampler = 'exact' draws "
            "no graphs (leave it at 1)"
        )


def _check_rate(prefix: str, distill: Distill, finetune: Finetune) -> None:
    """A student's rate against the plateau that acts on it: its own, or that of all."""
    own = distill.plateau is not None
    if distill.lr_end is not None:
        if own:
            raise ValueError(
                f"{prefix}.plateau never acts: with {prefix}.lr_end the rate falls by plan (leave one out)"
            )
        return
    plateau = distill.plateau or finetune.plateau
    lr_key = "finetune.lr" if distill.lr is None else f"{prefix}.lr"
    _check_plateau(f"{prefix}.plateau" if own else "finetune.plateau", plateau, lr_key, distill.lr or finetune.lr)


def _check_plateau(key: str, plateau: Plateau, lr_key: str, lr: float) -> None:
    if plateau.stop_below == 0.0:
        return
    if plateau.stop_below >= lr:
        raise ValueError(f"{key}.stop_below = {plateau.stop_below:g} ends a stage at once: {lr_key} is {lr:g}")
    if plateau.last_epochs == 0:
        raise ValueError(f"{key}.stop_below can never act: {key}.last_epochs = 0 keeps the rate")


def _check_patience(finetune: Finetune, distill: Distill) -> None:
    longest = max(finetune.epochs, distill.epochs)
    waits = finetune.patience * finetune.validate_every
    if waits >= longest:
        raise ValueError(
            f"finetune.patience = {finetune.patience} can never end a stage: with a validation every "
            f"{finetune.validate_every} epochs it waits {waits} of {longest}"
        )


def _check_student(prefix: str, distill: Distill) -> None:
    if distill.epochs > 0:
        return
    for key in distill.structure_weights:
        raise ValueError(f"{prefix}.{key} is above 0, but {prefix}.epochs = 0 leaves the student out")
    if distill.networks > 1:
        raise ValueError(f"{prefix}.teachers are averaged for a student, but {prefix}.epochs = 0 leaves it out")
