"""How a student learns: the table `[distill]`, to which the files of `flykd_console/distill/` add.

A label source there has a key in the curriculum, a structure loss a table, a kind of teacher an entry of `teachers`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    SerializeAsAny,
    Tag,
    create_model,
    field_validator,
    model_validator,
)

from flykd_console.profile.rooms import label_sources, structure_losses, teacher_kinds
from flykd_console.profile.section import ByKind, Section, StructureSettings, TeacherSettings

SOURCES = label_sources()
# Tables that say something of one source alone.
TABLES_OF_SOURCES = {"random_graph": "pseudo_random", "lists": "pseudo_lists"}
BreakPoint = tuple[Annotated[float, Field(ge=0.0, le=1.0)], Annotated[float, Field(ge=0.0)]]


class Plateau(Section):
    """ReduceLROnPlateau on the training loss, in the last epochs only (the paper's text); 0 epochs: never."""

    factor: float = Field(0.8, gt=0.0, lt=1.0, description="what the learning rate is multiplied by")
    patience: int = Field(10, ge=0, description="epochs without a lower loss that are waited for")
    last_epochs: int = Field(400, ge=0, description="only in the last so many epochs; 0: the rate never falls")
    stop_below: float = Field(
        0.0,
        ge=0.0,
        description="a learning rate below this ends a stage, in which nothing moves any more; 0: never",
    )


class RandomGraph(Section):
    """Algorithm 1: random pairs that the teacher labels."""

    labels_per_relation: int = Field(100_000, ge=1, description="the paper's k")
    sampler: Literal["pairs", "blocks", "exact"] = Field(
        "pairs", description="pairs as Algorithm 1; blocks of heads by tails; exact: the expectation over all pairs"
    )
    degree_power: float = Field(1.0, ge=0.0, description="nodes are drawn by their degree to this power")
    refresh_every: int = Field(1, ge=0, description="epochs that a random graph is kept; 0: drawn once")
    min_logit: float | None = Field(None, description="keep only pairs that the teacher scores above this logit")
    unseen: float = Field(
        0.0, ge=0.0, le=1.0, description="share of the tails that is drawn from those without an edge of the relation"
    )


class Lists(Section):
    """What a teacher's lists around tails and around heads are made into: pseudo_lists."""

    sharpness: float = Field(
        8.0, gt=0.0, description="the student is to give the softmax of so many times the teacher's scores of all heads"
    )
    tails: int = Field(
        1024, ge=0, description="tails (diseases) whose lists of heads are drawn per relation and epoch; 0: none"
    )
    unseen: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="share of them that is drawn from every tail with an edge of any relation, and not of this one",
    )
    own: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="share of a tail's list that is its own training edges, each alike, and not the teacher's",
    )
    held_from: float = Field(
        1.0,
        ge=0.0,
        le=1.0,
        description="fraction of the epochs from which on heads are held, and lists are those of all tails in turn, "
        "with edges or without; 1: never",
    )
    heads: int = Field(
        0,
        ge=0,
        description="heads (drugs) with an edge of the relation whose lists of tails are drawn per relation and epoch; "
        "0: none",
    )
    head_weight: float = Field(1.0, gt=0.0, description="what lists around heads weigh beside those around tails")
    head_sharpness: float = Field(8.0, gt=0.0, description="the sharpness of lists around heads")

    @model_validator(mode="after")
    def _some(self) -> Lists:
        if not self.tails and not self.heads:
            raise ValueError("tails and heads are both 0: lists around one of them are needed")
        if self.held_from < 1.0 and not self.tails:
            raise ValueError("held_from does not act without lists around tails: tails is 0")
        return self


class _Curriculum(Section):
    """Three loss weights over the epochs: break points are (fraction of the epochs, weight), linear between."""

    shape: Literal["linear", "stepwise", "none"] = Field(
        "linear", description="linear between break points, in steps, or none: the last weights throughout"
    )
    original: list[BreakPoint] = Field(
        [(0.2, 1.0), (0.4, 0.05)], description="weight of the true labels: [fraction of the epochs, weight], ..."
    )
    pseudo_train: list[BreakPoint] = Field(
        [(0.2, 0.0), (0.4, 1.0)], description="weight of the teacher's labels on training pairs"
    )
    pseudo_random: list[BreakPoint] = Field(
        [(0.4, 0.0), (0.6, 1.0)], description="weight of the teacher's labels on random graphs"
    )

    @field_validator("*")
    @classmethod
    def _ascending(cls, points: Any) -> Any:
        if isinstance(points, str):
            return points  # the shape
        if not points:
            raise ValueError("needs at least one break point")
        if any(later[0] < earlier[0] for earlier, later in itertools.pairwise(points)):
            raise ValueError("break points must ascend")
        return points

    def points(self, source: str) -> list[tuple[float, float]]:
        """A source's break points."""
        found: list[tuple[float, float]] = getattr(self, source)
        return found

    def weight(self, source: str, fraction: float) -> float:
        """λ of a source before normalisation at a fraction of the epochs; constant outside the break points."""
        points = self.points(source)
        if self.shape == "none":
            return points[-1][1]
        following = next((i for i, (start, _) in enumerate(points) if fraction < start), len(points))
        if self.shape == "stepwise":
            # Each weight holds until the next one would begin to fade in, at the break point before it.
            return points[min(following, len(points) - 1)][1]
        if following in (0, len(points)):
            return points[max(0, following - 1)][1]
        (f0, w0), (f1, w1) = points[following - 1], points[following]
        return w0 + (w1 - w0) * (fraction - f0) / (f1 - f0)

    def weights(self, sources: Iterable[str], fraction: float) -> dict[str, float]:
        """Weights of some sources at a fraction of the epochs, so that they sum to 1; one of them is above 0 there."""
        raw = {source: self.weight(source, fraction) for source in sources}
        total = sum(raw.values())
        return {source: weight / total for source, weight in raw.items()}


def _curriculum_fields() -> dict[str, Any]:
    """The break points of sources that are not the paper's: weight 1 throughout, unless a profile says otherwise."""
    points = Field([(0.0, 1.0)], description="weight of this source's labels")
    return {name: (list[BreakPoint], points) for name in SOURCES if name not in _Curriculum.model_fields}


def _structure_fields() -> dict[str, Any]:
    return {key: (loss.settings, loss.settings()) for key, loss in structure_losses().items()}


def _teacher(value: Any) -> Any:
    """An entry of `teachers` under the settings of its kind."""
    if not isinstance(value, dict):
        return value
    settings = _settings_of(value)
    if settings is None:
        raise ValueError(f"a teacher needs a kind, one of {', '.join(teacher_kinds())}")
    return settings.model_validate_json(json.dumps(value), strict=True)


def _settings_of(value: Any) -> type[TeacherSettings] | None:
    """The class of an entry of `teachers`, as a profile gives it; None where it has no kind that there is."""
    if isinstance(value, TeacherSettings):
        return type(value)
    kind = value.get("kind") if isinstance(value, dict) else None
    known = teacher_kinds()
    return known[kind].settings if isinstance(kind, str) and kind in known else None


_Entry = SerializeAsAny[Annotated[TeacherSettings, BeforeValidator(_teacher), ByKind(_settings_of)]]
# In brackets: which of the two was meant, for pydantic alone; no message names it.
_Teachers = Annotated[
    Annotated[int, Field(ge=1, le=16), Tag("<number>")] | Annotated[list[_Entry], Tag("<list>")],
    Discriminator(lambda value: "<list>" if isinstance(value, list) else "<number>"),
]

if TYPE_CHECKING:
    Curriculum = _Curriculum
else:
    Curriculum = create_model("Curriculum", __base__=_Curriculum, __doc__=_Curriculum.__doc__, **_curriculum_fields())


class _Distill(Section):
    """How the student learns from the teacher: label sources, random graphs, curriculum, structure losses."""

    method: str = Field("flykd", min_length=1, description="what tables call the student")
    epochs: int = Field(2000, ge=0, description="0: no student, teacher and baseline only")
    teachers: _Teachers = Field(
        1,
        description="teachers of different initialisation whose logits are averaged; or a list of tables, each with a "
        "kind and a weight: docs/methods.md",
    )
    gate: Literal["none", "relation", "tail"] = Field(
        "none",
        description="what several teachers weigh: as they say; or learnt on the validation pairs, for each relation, "
        "or for each of its tails by how sure they are of it",
    )
    sources: list[str] = Field(
        ["original", "pseudo_train", "pseudo_random"],
        min_length=1,
        description="what the student learns from",
        json_schema_extra={"items": {"type": "string", "enum": list(SOURCES)}},
    )
    pseudo_negatives: Literal["student", "teacher", "none"] = Field(
        "student", description="who scores the negative pairs of pseudo_train; none: there are none"
    )
    temperature: float = Field(1.0, gt=0.0, description="of the soft labels; their loss is multiplied by its square")
    lr: float | None = Field(None, gt=0.0, description="the student's own learning rate; none: that of finetune")
    lr_end: float | None = Field(
        None, gt=0.0, description="the rate falls to it in a straight line, and no plateau acts; none: it does not"
    )
    plateau: Plateau | None = Field(
        None,
        description="The student's own plateau. By default there is none, and the student has that of finetune; "
        "where one key is given, the others are as here.",
    )
    random_graph: RandomGraph = RandomGraph()
    lists: Lists = Lists()
    curriculum: Curriculum = Curriculum()

    @field_validator("sources")
    @classmethod
    def _distinct(cls, sources: list[str]) -> list[str]:
        for source in sources:
            if source not in SOURCES:
                raise ValueError(f"there is no label source {source!r}, but {', '.join(SOURCES)}")
        if len(set(sources)) != len(sources):
            raise ValueError("a label source is named twice")
        return sources

    @field_validator("teachers")
    @classmethod
    def _some(cls, teachers: int | list[TeacherSettings]) -> int | list[TeacherSettings]:
        if not teachers:
            raise ValueError("needs at least one teacher")
        return teachers

    @model_validator(mode="after")
    def _several(self) -> _Distill:
        if self.gate != "none" and len(self.teacher_entries) == 1:
            raise ValueError(f"gate = {self.gate!r} does not act with one teacher: name several in teachers")
        return self

    @property
    def teacher_entries(self) -> list[TeacherSettings]:
        """The teachers as tables; a number means so many networks."""
        if isinstance(self.teachers, int):
            return [_teacher({"kind": "network", "count": self.teachers})]
        return self.teachers

    @property
    def networks(self) -> int:
        """How many networks are trained to teach."""
        return sum(entry.networks for entry in self.teacher_entries)

    @property
    def network_weights(self) -> list[float]:
        """What each of these networks weighs: those of one entry share its weight."""
        return [entry.weight / entry.networks for entry in self.teacher_entries for _ in range(entry.networks)]

    @property
    def on_the_device(self) -> bool:
        """Whether an epoch is arithmetic of the device alone, so that a GPU can replay it."""
        networks_alone = all(entry.networks for entry in self.teacher_entries)
        return networks_alone and self.lr_end is None and "pseudo_lists" not in self.sources

    @property
    def structure(self) -> dict[str, StructureSettings]:
        """The tables of the structure losses, in the order in which they are summed."""
        return {key: getattr(self, key) for key in structure_losses()}

    @property
    def structure_weights(self) -> dict[str, float]:
        """The structure losses that take part: dotted key of each weight above 0, and the weight."""
        found = {}
        for table, settings in self.structure.items():
            for key, weight in settings.weights().items():
                if weight > 0.0:
                    found[f"{table}.{key}"] = weight
        return found

    @property
    def settled(self) -> float:
        """Fraction of the epochs from which on the curriculum's weights stay as they are at the end."""
        breaks = sorted({0.0} | {f for source in self.sources for f, _ in self.curriculum.points(source)})
        final = [self.curriculum.weight(source, 1.0) for source in self.sources]
        moving = [f for f in breaks if [self.curriculum.weight(source, f) for source in self.sources] != final]
        return next((f for f in breaks if not moving or f > moving[-1]), 1.0)


if TYPE_CHECKING:
    Distill = _Distill
else:
    Distill = create_model("Distill", __base__=_Distill, __doc__=_Distill.__doc__, **_structure_fields())


def forget_absent_sources(table: Any, sources: Any) -> None:
    """Take out of a `distill` table what it says of label sources that are not among `sources`.

    What is no table, or no list, is left for validation to tell.
    """
    if not isinstance(table, dict) or not isinstance(sources, list):
        return
    curriculum, random_graph = table.get("curriculum"), table.get("random_graph")
    for source in SOURCES:
        if source not in sources and isinstance(curriculum, dict):
            curriculum.pop(source, None)
    if "pseudo_random" not in sources and isinstance(random_graph, dict):
        for key in ("min_logit", "unseen"):
            random_graph.pop(key, None)
