"""The tables of a profile but for `[distill]`, as pydantic models; every default is the paper's."""

from __future__ import annotations

import difflib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from flykd_console.dates import FORMS, number_of
from flykd_console.profile.conditions import Condition
from flykd_console.profile.distill import Distill, Plateau
from flykd_console.profile.rooms import heuristics
from flykd_console.profile.section import FilePath, IsPath, Section

HEURISTICS = heuristics()
# Values of `graph.source` that are no path.
GRAPHS = ("embedded", "synthetic", "primekg")
GRAPHS_HINT = "Graphs are embedded, synthetic, primekg, or the path of a file, archive or folder that holds one."


def graph_hint(path: Path) -> str:
    """What to do about a graph file that is not there: take the graph whose name it nearly is, or look at the list."""
    near = difflib.get_close_matches(path.name, GRAPHS, n=1)
    return f"Did you mean {near[0]}?" if near else GRAPHS_HINT


LayerKind = Literal["rgcn", "rgat"]
# A network's kind of layers, or free embeddings without any.
ModelKind = Literal["rgcn", "rgat", "table"]
# What has a bias under each relation.
Biases = Literal["head", "tail", "both"]
# What a relation's mean message is multiplied by at a node of so many neighbours.
Aggregation = Literal["mean", "sum", "log"]
# AUPRC and AUROC against stored negatives; AUPRC where the head was replaced, uniformly or by its training degree; all
# drugs of each disease ranked; all diseases of each drug ranked. Means over the relations.
Metric = Literal[
    "macro_auprc", "macro_auroc", "micro_auprc", "micro_auroc",
    "macro_auprc_head", "macro_auprc_head_degree",
    "macro_ap", "macro_mrr", "macro_hits_at_10", "macro_recall_at_10", "macro_recall_at_20", "macro_recall_at_50",
    "macro_recall_at_100", "macro_ranking_auroc",
    "macro_tail_ap", "macro_tail_mrr", "macro_tail_hits_at_10", "macro_tail_recall_at_10", "macro_tail_recall_at_20",
    "macro_tail_recall_at_50", "macro_tail_recall_at_100", "macro_tail_auroc",
]  # fmt: skip
MODEL_NAME = r"^[a-z][a-z0-9_-]*$"


def is_path(area: str) -> bool:
    """Whether `split.area` names a file and not an area."""
    return area.lower().endswith((".csv", ".tsv")) or "/" in area


MOST_SEEDS = 1000


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
    models: list[str] = Field(
        [],
        description="which are trained: teacher, baseline, student, or the NAME of a table [models.NAME]; []: all; "
        '["none"]: none, so that the run is of heuristics alone',
    )

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed is named twice")
        if len(seeds) > MOST_SEEDS:
            raise ValueError(f"at most {MOST_SEEDS} seeds are trained in one run")
        return seeds


class Pooling(Section):
    """Similar-disease pooling (TxGNN): which relations make a tail's profile, and its constants."""

    enabled: bool = Field(True, description="whether tails borrow from similar ones that have drugs")
    relations: list[str] = Field(
        ["disease_disease", "disease_protein"],
        description="whose neighbours say how similar two tails are; as in targets",
    )
    all_relations: bool = Field(
        False, description="besides these, every training relation that touches tails and is no target"
    )
    weights: Literal["none", "rarity"] = Field(
        "none",
        description="none: every neighbour counts alike; rarity: by log(1 + tails / those that share it), each "
        "relation of one length, as the heuristic neighbours does",
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

    source: Annotated[str, IsPath(lambda source: source not in GRAPHS)] = Field(
        "embedded",
        min_length=1,
        description="embedded, synthetic, primekg (fetched before), or a file, archive or folder in a known layout",
    )
    targets: list[str] = Field(
        ["contraindication", "indication"],
        min_length=1,
        description="relations that are learnt and scored; one that stands between several types: README.md",
    )
    scale: float = Field(0.1, gt=0.0, description="size of the synthetic graph; 1.0 is full PrimeKG")
    where: list[str] = Field(
        [],
        description="which rows are read, by their columns of time and evidence: [RELATION:] COLUMN OPERATOR VALUE "
        "[or missing], such as publication_year <= 2015 or missing; operators = != < <= > >=",
    )
    time_column: str | None = Field(
        None,
        min_length=1,
        description="column of edges with the year or date since when each is known, for split.kind = by_time",
    )
    pooling: Pooling = Pooling()

    @field_validator("where")
    @classmethod
    def _conditions(cls, where: list[str]) -> list[str]:
        for text in where:
            Condition.parse(text)
        return where

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
    "by_time": "is cut at split.train_until and split.validate_until",
}


class Split(Section):
    """How edges are divided into train, validation and test."""

    kind: Literal["complex_disease", "random", "disease_area", "disease", "full_graph", "files", "by_time"] = Field(
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
    area: Annotated[str, IsPath(is_path)] | None = Field(
        None, min_length=1, description="disease_area: an area's name, or a CSV of its diseases"
    )
    diseases: list[str] = Field([], description="disease: ids or names whose drug edges are the test")
    hops: int = Field(
        0,
        ge=0,
        description="labels of other tails within so many steps of a tested one, over every relation between tails, "
        "leave training and validation; 0: they stay",
    )
    train_until: str | None = Field(
        None, description="by_time: last year or date (2015, 2015-06-30) of what is trained on, of every relation"
    )
    validate_until: str | None = Field(
        None, description="by_time: last year or date of what validates; what is later is the test"
    )
    undated: Literal["background", "oldest", "out"] = Field(
        "background",
        description="by_time: edges without a date. background: they count as oldest, but those between heads and "
        "tails (labels) are in no part; oldest: these count as oldest, too; out: none is in any part",
    )
    train: FilePath | None = Field(None, description="files: kg-form CSV of the training edges")
    validation: FilePath | None = Field(None, description="files: kg-form CSV, may hold stored negatives")
    test: FilePath | None = Field(
        None,
        description="files: kg-form CSV, may hold stored negatives; without the other two a list of pairs, maybe with "
        "outcomes",
    )
    later: FilePath | None = Field(
        None, description="files: instead of these, a later release of the graph, whose new target pairs are the test"
    )

    @field_validator("fractions")
    @classmethod
    def _sum_to_one(cls, fractions: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(fractions) <= 0.0 or abs(sum(fractions) - 1.0) > 1e-6:
            raise ValueError("train, validation and test must each be above 0 and sum to 1")
        return fractions

    @field_validator("train_until", "validate_until", mode="before")
    @classmethod
    def _a_date(cls, value: object) -> object:
        """A year as a number, or TOML's own date, as text."""
        if isinstance(value, date) or (isinstance(value, int) and not isinstance(value, bool)):
            value = str(value)
        if isinstance(value, str):
            try:
                number_of(value)
            except ValueError as error:
                raise ValueError(f"{error}. {FORMS}") from None
        return value

    def _check_dates(self) -> None:
        if self.train_until is None or self.validate_until is None:
            return
        if number_of(self.train_until) >= number_of(self.validate_until):
            raise ValueError(
                f"split.train_until = {self.train_until!r} is not before split.validate_until = {self.validate_until!r}"
            )

    def _needed_files(self) -> tuple[str, ...]:
        """All three parts, or a list or a later release to test alone."""
        if self.later is not None:
            if self.train or self.validation or self.test:
                raise ValueError("split.later takes no split.train, split.validation and split.test: leave them out")
            return ("later",)
        return ("train", "validation", "test") if self.train or self.validation or not self.test else ("test",)

    @model_validator(mode="after")
    def _what_the_kind_needs(self) -> Split:
        needed = {
            "disease_area": ("area",),
            "disease": ("diseases",),
            "files": self._needed_files(),
            "by_time": ("train_until", "validate_until"),
        }
        for kind, keys in needed.items():
            for key in keys:
                given = bool(getattr(self, key))
                if self.kind == kind and not given:
                    raise ValueError(f"kind = {kind!r} needs split.{key}")
                if self.kind != kind and given:
                    raise ValueError(f"split.{key} belongs to kind = {kind!r}, but the kind is {self.kind!r}")
        self._check_dates()
        if self.undated != "background" and self.kind != "by_time":
            raise ValueError(f"split.undated belongs to kind = 'by_time', but the kind is {self.kind!r}")
        if self.hops and self.kind not in TAIL_SPLITS:
            kinds = ", ".join(TAIL_SPLITS)
            raise ValueError(f"split.hops is for splits that keep tails for the test ({kinds}), not for {self.kind!r}")
        if self.kind in FIXED_SPLITS and self.fractions != type(self).model_fields["fractions"].default:
            raise ValueError(f"split.fractions does not apply: kind = {self.kind!r} {FIXED_SPLITS[self.kind]}")
        return self


# Kinds of split whose test tails have no label in training.
TAIL_SPLITS = ("complex_disease", "disease_area", "disease")

# What a network can have, and a table has not or has of itself.
NETWORK_KEYS = ("biases", "popularity", "aggregation", "self_loop", "inputs", "degrees")


class Shape(Section):
    """Width, depth and kind of a model, and what else it can represent."""

    dim: int = Field(80, ge=2, le=4096, description="width of inputs, layers and embeddings")
    layers: int = Field(2, ge=1, le=4, description="how many layers")
    kind: ModelKind = Field(
        "rgcn",
        description="rgcn adds up relations, rgat weighs them by attention; table: no network, a free embedding a node "
        "and a bias a head",
    )
    biases: Literal["none", "head", "tail", "both"] = Field(
        "none", description="which ends have a bias under each relation: one more column each (matrix factorisation)"
    )
    popularity: float = Field(
        0.0, description="a fresh head's bias is so many times log(1 + its training edges of the relation)"
    )
    aggregation: Aggregation = Field(
        "mean",
        description="of a relation's messages at a node of n neighbours: their mean, their sum, or (PNA) log2(1 + n) "
        "times their mean",
    )
    self_loop: bool = Field(False, description="whether a node hears itself, with weights for its type (R-GCN)")
    inputs: Literal["fixed", "learnt"] = Field(
        "fixed", description="random inputs of the first layer: as they were drawn, or trained with the model"
    )
    degrees: bool = Field(
        False, description="whether the first columns of the inputs are log(1 + degree) under each edge type"
    )

    @property
    def network_keys(self) -> dict[str, Any]:
        """The keys of networks that are not the paper's, with their values."""
        usual = {key: type(self).model_fields[key].default for key in NETWORK_KEYS}
        return {key: getattr(self, key) for key in NETWORK_KEYS if getattr(self, key) != usual[key]}


class Teacher(Shape):
    """The large model."""

    dim: int = Field(130, ge=2, le=4096, description="width of inputs, layers and embeddings")
    kind: LayerKind = Field("rgcn", description="rgcn adds up relations, rgat weighs them by attention")


class Student(Shape):
    """The small model, and the baseline trained without a teacher."""


class Pretrain(Section):
    """Link prediction over every relation before finetuning; 0 epochs leaves it out."""

    epochs: int = Field(1, ge=0, description="passes over all training edges; 0: no pretraining")
    batch_size: int = Field(1024, ge=1, description="edges a step")
    lr: float = Field(1e-3, gt=0.0, description="learning rate")
    weight_decay: float = Field(0.0, ge=0.0, description="decoupled (AdamW); the published code uses 0.01")


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


class Evaluation(Section):
    """What models are measured and chosen by."""

    headline: Metric = Field(
        "macro_auprc", description="the metric that tables put first, and by which finetune.select and patience decide"
    )
    heuristics: list[str] = Field(
        list(HEURISTICS),
        description="scorers without training that every model is shown beside; []: none",
        json_schema_extra={"items": {"type": "string", "enum": list(HEURISTICS)}},
    )
    matrix: bool = Field(
        False,
        description="whether all pairs of a relation are ranked together as well: recall, entropy and commonality at n",
    )

    @field_validator("heuristics")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in HEURISTICS:
                near = difflib.get_close_matches(name, HEURISTICS, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(HEURISTICS)}"
                raise ValueError(f"there is no heuristic {name!r} ({hint})")
        if len(set(names)) != len(names):
            raise ValueError("a heuristic is named twice")
        return names


class Model(Shape):
    """One more model, of the student's size and method but for what its table says."""

    role: Literal["student", "candidate", "baseline"] = Field(
        "student", description="student and candidate learn from the teachers, a baseline from labels alone"
    )
    distill: Distill = Distill()


class Engine(Section):
    """How the arithmetic is carried out; never what is computed."""

    propagation: Literal["auto", "dgl"] = Field("auto", description="dgl: the slow oracle, message by message")
    messages: Literal["auto", "dgl", "torch"] = Field(
        "auto", description="who carries attention among nodes with features; auto: dgl on a CPU, torch on a GPU"
    )
    threads: int = Field(
        0, ge=0, description="CPU threads throughout; 0: all the process may use, fewer while others use the machine"
    )
    precision: Literal["float32", "tf32", "bf16"] = Field("float32", description="of the large matrix products")
    cuda_graphs: bool = Field(True, description="replay an epoch as one CUDA graph where the device is a GPU")
    log_every: int = Field(1, ge=1, description="epochs between two epoch events")
    checkpoint_every: int = Field(200, ge=1, description="epochs between two checkpoints")

    @field_validator("propagation", mode="before")
    @classmethod
    def _former_name(cls, value: object) -> object:
        # What profiles that finished runs keep call `auto`.
        return "auto" if value == "planned" else value
