"""The profile as data: pydantic models of every section; every default is the paper's.

Reading a TOML file, `--set` overrides and writing the resolved profile live in `flykd_console.profile.load`.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Source = Literal["original", "pseudo_train", "pseudo_random"]
SOURCES: tuple[Source, ...] = ("original", "pseudo_train", "pseudo_random")
# Values of `graph.source` that are no path.
GRAPHS = ("embedded", "synthetic", "primekg")
LayerKind = Literal["rgcn", "rgat"]
BreakPoint = tuple[Annotated[float, Field(ge=0.0, le=1.0)], Annotated[float, Field(ge=0.0)]]


class Section(BaseModel):
    """A table of the profile: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Run(Section):
    """Who and where: the run's name, its seeds and its device."""

    name: str = Field(
        "flykd",
        min_length=1,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="what the run's folder begins with: letters, digits, dots, dashes, underscores",
    )
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(
        [45, 46, 47, 48, 49], min_length=1, description="one split, initialisation and training each"
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="auto, cpu, cuda or cuda:N; auto: a GPU where there is one",
    )

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed is named twice")
        return seeds


class Pooling(Section):
    """Similar-disease pooling (TxGNN): which relations make a tail's profile, and its constants."""

    enabled: bool = Field(True, description="whether tails borrow from similar ones that have drugs")
    relations: list[str] = Field(
        ["disease_disease", "disease_protein"], description="whose neighbours say how similar two tails are"
    )
    direction: Literal["either", "published"] = Field(
        "either",
        description="either: neighbours whichever way a relation runs; published: as the published code, to which one "
        "that leaves the tails gives tail i the neighbours of node i of the other type",
    )
    neighbours: int = Field(3, ge=1, description="how many similar tails one borrows from")
    decay: float = Field(
        0.7,
        ge=0.0,
        description="a tail with n training edges of the relation borrows decay exp(-decay n) + floor of its embedding",
    )
    floor: float = Field(0.2, ge=0.0, le=1.0, description="what it borrows in any case")


class Graph(Section):
    """Which knowledge graph, and which of its relations are learnt and scored."""

    source: str = Field(
        "embedded", min_length=1, description="embedded, synthetic, primekg (fetched before), or a file in kg form"
    )
    targets: list[str] = Field(
        ["contraindication", "indication"], min_length=1, description="relations that are learnt and scored"
    )
    scale: float = Field(0.1, gt=0.0, description="size of the synthetic graph; 1.0 is full PrimeKG")
    pooling: Pooling = Pooling()

    @field_validator("targets")
    @classmethod
    def _distinct(cls, targets: list[str]) -> list[str]:
        if len(set(targets)) != len(targets):
            raise ValueError("a relation is named twice")
        return targets


# Kinds of split that take no fractions, and why.
FIXED_SPLITS = {
    "disease": "validates on 5 % of the drug edges that it leaves",
    "full_graph": "trains on 95 % and validates on 5 %",
    "files": "has its parts given",
}


class Split(Section):
    """How edges are divided into train, validation and test."""

    kind: Literal["complex_disease", "random", "disease_area", "disease", "full_graph", "files"] = Field(
        "complex_disease", description="what the test part is made of: docs/methods.md"
    )
    fractions: tuple[float, float, float] = Field(
        (0.83125, 0.11875, 0.05), description="train, validation and test; they sum to 1"
    )
    filter_negatives: bool = Field(False, description="never draw a true pair as a negative")
    validation_seed: int | None = Field(
        None,
        ge=0,
        lt=2**31,
        description="seed that cuts train from validation in relations that are no target; none: the run's",
    )
    area: str | None = Field(None, min_length=1, description="disease_area: an area's name, or a CSV of its diseases")
    diseases: list[str] = Field([], description="disease: ids or names whose drug edges are the test")
    train: str | None = Field(None, min_length=1, description="files: kg-form CSV of the training edges")
    validation: str | None = Field(None, min_length=1, description="files: kg-form CSV, may hold stored negatives")
    test: str | None = Field(None, min_length=1, description="files: kg-form CSV, may hold stored negatives")

    @field_validator("fractions")
    @classmethod
    def _sum_to_one(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(fractions) <= 0.0 or abs(sum(fractions) - 1.0) > 1e-6:
            raise ValueError("train, validation and test must each be above 0 and sum to 1")
        return fractions

    @model_validator(mode="after")
    def _what_the_kind_needs(self) -> Split:
        needed = {"disease_area": ("area",), "disease": ("diseases",), "files": ("train", "validation", "test")}
        for kind, keys in needed.items():
            for key in keys:
                given = bool(getattr(self, key))
                if self.kind == kind and not given:
                    raise ValueError(f"kind = {kind!r} needs split.{key}")
                if self.kind != kind and given:
                    raise ValueError(f"split.{key} belongs to kind = {kind!r}, but the kind is {self.kind!r}")
        if self.kind in FIXED_SPLITS and self.fractions != type(self).model_fields["fractions"].default:
            raise ValueError(f"split.fractions does not apply: kind = {self.kind!r} {FIXED_SPLITS[self.kind]}")
        return self


class Teacher(Section):
    """The large model."""

    dim: int = Field(130, ge=2, le=4096, description="width of inputs, layers and embeddings")
    layers: int = Field(2, ge=1, le=4, description="how many layers")
    kind: LayerKind = Field("rgcn", description="rgcn adds up relations, rgat weighs them by attention")


class Student(Section):
    """The small model, and the baseline trained without a teacher."""

    dim: int = Field(80, ge=2, le=4096, description="width of inputs, layers and embeddings")
    layers: int = Field(2, ge=1, le=4, description="how many layers")
    kind: LayerKind = Field("rgcn", description="rgcn adds up relations, rgat weighs them by attention")


class Pretrain(Section):
    """Link prediction over every relation before finetuning; 0 epochs leaves it out."""

    epochs: int = Field(1, ge=0, description="passes over all training edges; 0: no pretraining")
    batch_size: int = Field(1024, ge=1, description="edges a step")
    lr: float = Field(1e-3, gt=0.0, description="learning rate")
    weight_decay: float = Field(0.0, ge=0.0, description="decoupled (AdamW); the published code uses 0.01")


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


class Finetune(Section):
    """Supervised training of teacher and baseline, and the optimiser that distilling shares."""

    epochs: int = Field(2000, ge=1, description="of teacher and baseline")
    lr: float = Field(5e-4, gt=0.0, description="learning rate, the student's too")
    plateau: Plateau = Plateau()
    validate_every: int = Field(20, ge=1, description="epochs between two validations")
    select: Literal["last", "best"] = Field(
        "last",
        description="which epoch's weights stay; best by validation AUPRC, a student's from the curriculum's last "
        "break point on",
    )
    patience: int = Field(
        0,
        ge=0,
        description="validations without a better AUPRC that end a stage, a student's counted like select's; 0: never",
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


class Curriculum(Section):
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

    @field_validator("original", "pseudo_train", "pseudo_random")
    @classmethod
    def _ascending(cls, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        if not points:
            raise ValueError("needs at least one break point")
        if any(b[0] < a[0] for a, b in itertools.pairwise(points)):
            raise ValueError("break points must ascend")
        return points

    def weight(self, source: Source, fraction: float) -> float:
        """λ of a source before normalisation at a fraction of the epochs; constant outside the break points."""
        points: list[tuple[float, float]] = getattr(self, source)
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


class LocalStructure(Section):
    """LSP (Yang et al. 2020): the student keeps the teacher's similarities to neighbours; weight 0: left out."""

    weight: float = Field(0.0, ge=0.0, description="the paper: 500")
    layers: list[Annotated[int, Field(ge=1)]] = Field([2], min_length=1, description="which layers are compared")
    kernel: Literal["rbf", "cosine", "l2", "polynomial"] = Field("rbf", description="how similar two rows are")
    sigma: list[Annotated[float, Field(gt=0.0)]] = Field([3.0], description="rbf: one for each of the layers")
    neighbourhood: Literal["partial", "full"] = Field("partial", description="partial: the pooling relations only")


class Hidden(Section):
    """Feature distillation: the teacher's hidden layers through a learned map; weight 0 leaves it out."""

    weight: float = Field(0.0, ge=0.0, description="of the loss")
    layers: list[tuple[int, int]] = Field([(1, 1), (2, 2)], min_length=1, description="[teacher layer, student layer]")
    loss: Literal["mse", "cosine"] = Field("mse", description="between mapped and teacher's rows")
    per_type: bool = Field(True, description="a map and a mean of its own for every node type")
    attention: Literal["none", "degree", "neighbourhood"] = Field(
        "none", description="which nodes count more: all alike, by degree, or matched after averaging over neighbours"
    )


class Anchor(Section):
    """Linkless Link Prediction (Guo et al. 2023): ranks and distributions around anchor nodes; weights 0: left out."""

    rank_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of the rank loss: around a head, the student is to score two tails in the teacher's order; "
        "profiles/best.toml: 10",
    )
    distribution_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of the divergence between the teacher's and the student's softmax over the tails",
    )
    anchors: int = Field(512, ge=1, description="heads (drugs) drawn per relation and epoch, at most as many as it has")
    contexts: int = Field(64, ge=2, description="tails (diseases) drawn around each head")
    margin: float = Field(
        0.1,
        ge=0.0,
        description="rank: two tails whose logits the teacher holds further apart than this are to be this far apart "
        "in the student",
    )
    temperature: float = Field(1.0, gt=0.0, description="distribution: of both softmaxes")


class Distill(Section):
    """How the student learns from the teacher: label sources, random graphs, curriculum, structure losses."""

    method: str = Field("flykd", min_length=1, description="what tables call the student")
    epochs: int = Field(2000, ge=0, description="0: no student, teacher and baseline only")
    teachers: int = Field(1, ge=1, le=16, description="teachers of different initialisation whose logits are averaged")
    sources: list[Source] = Field(
        ["original", "pseudo_train", "pseudo_random"], min_length=1, description="what the student learns from"
    )
    pseudo_negatives: Literal["student", "teacher", "none"] = Field(
        "student", description="who scores the negative pairs of pseudo_train; none: there are none"
    )
    temperature: float = Field(1.0, gt=0.0, description="of the soft labels; their loss is multiplied by its square")
    plateau: Plateau | None = Field(
        None,
        description="The student's own plateau. By default there is none, and the student has that of finetune; "
        "where one key is given, the others are as here.",
    )
    random_graph: RandomGraph = RandomGraph()
    curriculum: Curriculum = Curriculum()
    lsp: LocalStructure = LocalStructure()
    hidden: Hidden = Hidden()
    anchor: Anchor = Anchor()

    @field_validator("sources")
    @classmethod
    def _distinct(cls, sources: list[Source]) -> list[Source]:
        if len(set(sources)) != len(sources):
            raise ValueError("a label source is named twice")
        return sources

    @property
    def settled(self) -> float:
        """Fraction of the epochs from which on the curriculum's weights stay as they are at the end."""
        breaks = sorted({0.0} | {f for source in self.sources for f, _ in getattr(self.curriculum, source)})
        final = [self.curriculum.weight(source, 1.0) for source in self.sources]
        moving = [f for f in breaks if [self.curriculum.weight(source, f) for source in self.sources] != final]
        return next((f for f in breaks if not moving or f > moving[-1]), 1.0)


class Engine(Section):
    """How the arithmetic is carried out; never what is computed."""

    propagation: Literal["auto", "dgl"] = Field("auto", description="dgl: the slow oracle, message by message")
    threads: int = Field(0, ge=0, description="CPU threads; 0: all the process may use")
    precision: Literal["float32", "tf32", "bf16"] = Field("float32", description="of the large matrix products")
    cuda_graphs: bool = Field(True, description="replay an epoch as one CUDA graph where the device is a GPU")
    log_every: int = Field(1, ge=1, description="epochs between two epoch events")
    checkpoint_every: int = Field(200, ge=1, description="epochs between two checkpoints")

    @field_validator("propagation", mode="before")
    @classmethod
    def _former_name(cls, value: object) -> object:
        # What `auto` was called in profiles of earlier versions, and in those that finished runs keep.
        return "auto" if value == "planned" else value


class Profile(Section):
    """A whole profile. Running a resolved profile again repeats the run."""

    run: Run = Run()
    graph: Graph = Graph()
    split: Split = Split()
    teacher: Teacher = Teacher()
    student: Student = Student()
    pretrain: Pretrain = Pretrain()
    finetune: Finetune = Finetune()
    distill: Distill = Distill()
    engine: Engine = Engine()

    @model_validator(mode="after")
    def _some_weight_everywhere(self) -> Profile:
        curriculum, sources = self.distill.curriculum, self.distill.sources
        fractions = sorted({0.0, 1.0} | {f for s in sources for f, _ in getattr(curriculum, s)})
        for fraction in fractions:
            if sum(curriculum.weight(s, fraction) for s in sources) <= 0.0:
                raise ValueError(f"distill.curriculum: at {fraction:.0%} of the epochs every loss weight is 0")
        return self

    @model_validator(mode="after")
    def _composition_fits(self) -> Profile:
        distill = self.distill
        for source in SOURCES:
            if source in distill.curriculum.model_fields_set and source not in distill.sources:
                raise ValueError(
                    f"distill.curriculum.{source} is set, but {source} is not among distill.sources: "
                    "add it there, or leave the curriculum out"
                )
        if distill.random_graph.min_logit is not None and "pseudo_random" not in distill.sources:
            raise ValueError(
                "distill.random_graph.min_logit is set, but pseudo_random is not among distill.sources: add it there"
            )
        if distill.random_graph.unseen > 0.0 and "pseudo_random" not in distill.sources:
            raise ValueError(
                "distill.random_graph.unseen is set, but pseudo_random is not among distill.sources: add it there"
            )
        if distill.lsp.weight > 0.0:
            layers = distill.lsp.layers
            if len(set(layers)) != len(layers):
                raise ValueError("distill.lsp.layers names a layer twice")
            self._layers_exist("distill.lsp.layers", layers, layers)
            if distill.lsp.kernel == "rbf" and len(distill.lsp.sigma) != len(layers):
                raise ValueError("distill.lsp.sigma needs one value for each of distill.lsp.layers")
            if distill.lsp.neighbourhood == "partial" and not self.graph.pooling.relations:
                raise ValueError(
                    "distill.lsp.neighbourhood = 'partial' means graph.pooling.relations, and there are none"
                )
        if distill.hidden.weight > 0.0:
            pairs = distill.hidden.layers
            if len(set(pairs)) != len(pairs):
                raise ValueError("distill.hidden.layers names a pair twice")
            self._layers_exist("distill.hidden.layers", [t for t, _ in pairs], [s for _, s in pairs])
        return self

    @model_validator(mode="after")
    def _settings_can_act(self) -> Profile:
        graphs, finetune = self.distill.random_graph, self.finetune
        if graphs.sampler == "exact" and graphs.refresh_every != RandomGraph.model_fields["refresh_every"].default:
            raise ValueError(
                f"distill.random_graph.refresh_every = {graphs.refresh_every} does not apply: sampler = 'exact' draws "
                "no graphs (leave it at 1)"
            )
        for key, plateau in (("finetune.plateau", finetune.plateau), ("distill.plateau", self.distill.plateau)):
            if plateau is not None and plateau.stop_below > 0.0:
                if plateau.stop_below >= finetune.lr:
                    raise ValueError(
                        f"{key}.stop_below = {plateau.stop_below:g} ends every stage at once: "
                        f"finetune.lr is {finetune.lr:g}"
                    )
                if plateau.last_epochs == 0:
                    raise ValueError(f"{key}.stop_below can never act: {key}.last_epochs = 0 keeps the rate")
        longest = max(finetune.epochs, self.distill.epochs)
        if finetune.patience * finetune.validate_every >= longest:
            raise ValueError(
                f"finetune.patience = {finetune.patience} can never end a stage: with a validation every "
                f"{finetune.validate_every} epochs it waits {finetune.patience * finetune.validate_every} of {longest}"
            )
        return self

    @model_validator(mode="after")
    def _student_and_teachers_fit(self) -> Profile:
        distill = self.distill
        weighed = {
            "distill.lsp.weight": distill.lsp.weight,
            "distill.hidden.weight": distill.hidden.weight,
            "distill.anchor.rank_weight": distill.anchor.rank_weight,
            "distill.anchor.distribution_weight": distill.anchor.distribution_weight,
        }
        for key, weight in weighed.items():
            if weight > 0.0 and distill.epochs == 0:
                raise ValueError(f"{key} is above 0, but distill.epochs = 0 leaves the student out")
        if distill.teachers > 1 and distill.epochs == 0:
            raise ValueError("distill.teachers are averaged for a student, but distill.epochs = 0 leaves it out")
        return self

    def _layers_exist(self, key: str, teacher: list[int], student: list[int]) -> None:
        for size, layers, depth in (
            ("teacher", teacher, self.teacher.layers),
            ("student", student, self.student.layers),
        ):
            for layer in layers:
                if not 1 <= layer <= depth:
                    raise ValueError(f"{key} names layer {layer}, but the {size} has {depth}: layers count from 1")
