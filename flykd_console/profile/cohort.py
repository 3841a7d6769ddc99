"""Several models trained in one stage: `[cohort]`, which tasks of classes have instead of teacher and student.

Members learn from labels; from each other (`[cohort.mutual]`); from a teacher that was trained before them
(`[cohort.distill]`). Every one of the three may be left out, so that a model alone, a deep ensemble, mutual learning
and a teacher with its student are settings of one table.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from flykd_console.profile.section import Section

NetworkKind = Literal["gcn", "sage", "gat", "gin", "mlp", "rgcn"]
ClassMetric = Literal["accuracy", "macro_f1", "rarest_class"]
# What is done to a graph at test time; `data/perturb.py` says how.
PERTURBATIONS = ("edges_removed", "edges_added", "features_masked", "feature_noise")
BreakPoint = tuple[Annotated[float, Field(ge=0.0, le=1.0)], Annotated[float, Field(ge=0.0)]]
LayerPair = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class Network(Section):
    """A network over nodes with features, and how it is optimised."""

    kind: NetworkKind = Field(
        "gcn",
        description="gcn, sage (GraphSAGE, mean), gat (attention), gin, mlp, which sees no edge, or "
        "rgcn, which tells relations of nodes' edges apart",
    )
    dim: int = Field(64, ge=1, le=4096, description="width of a hidden layer; of gat: of each head")
    layers: int = Field(2, ge=1, le=16, description="how many layers")
    heads: int = Field(8, ge=1, le=64, description="gat: heads of a hidden layer")
    dropout: float = Field(0.5, ge=0.0, lt=1.0, description="of every layer's input; of gat: of the attention, too")
    residual: bool = Field(False, description="whether hidden layers of equal widths add their input")
    lr: float = Field(0.01, gt=0.0, description="learning rate (Adam)")
    weight_decay: float = Field(5e-4, ge=0.0, description="L2 penalty, added to the gradient")

    @property
    def network_keys(self) -> dict[str, Any]:
        """Every key with its value."""
        return self.model_dump()


class Member(Network):
    """A member of the cohort."""


class CohortTeacher(Network):
    """The large network that is trained first, where `[cohort.distill]` asks for one."""

    kind: NetworkKind = Field("gat", description="as a member's")
    dim: int = Field(16, ge=1, le=4096, description="width of a hidden layer; of gat: of each head")
    layers: int = Field(6, ge=1, le=16, description="how many layers")
    heads: int = Field(4, ge=1, le=64, description="gat: heads of a hidden layer")
    residual: bool = Field(True, description="whether hidden layers of equal widths add their input")
    lr: float = Field(0.005, gt=0.0, description="learning rate (Adam)")


class LogitWeighting(Section):
    """The adaptive logit weighting unit, one a member (after Agbaje et al. 2025); it begins as plain DML."""

    kind: Literal["none", "pooled", "sample"] = Field(
        "none", description="none; pooled: a weight a class; sample: a weight a sample and class"
    )
    width: int = Field(16, ge=1, description="inner width")
    bound: float = Field(
        0.5, ge=0.0, lt=1.0, description="weights lie within 1 ± bound; 0: softmax, positive and of mean 1"
    )
    gradient: Literal["learner", "both"] = Field(
        "learner", description="whether a unit learns as its member learns, or from those that it teaches as well"
    )


class Mutual(Section):
    """What members learn from each other; weight 0: nothing."""

    target: Literal["peers", "mean", "min_logit", "gate"] = Field(
        "peers",
        description="peers: each of the others (DML); mean, min_logit: one teacher of all logits (KDCL); gate: their "
        "learnt mixture (ONE)",
    )
    weight: float = Field(0.0, ge=0.0, description="of the divergence from the target")
    temperature: float = Field(1.0, gt=0.0, description="of both softmaxes")
    on: Literal["all", "labelled"] = Field(
        "all", description="samples compared: all without a label's help, or training ones"
    )
    entropy: float = Field(0.0, ge=0.0, description="γ: how far the members' entropy is raised (a confidence penalty)")
    entropy_on: Literal["all", "labelled"] = Field("all", description="samples whose entropy is raised")
    update: Literal["together", "in_turn"] = Field(
        "together", description="in_turn: a member sees what those before it have just become"
    )
    peers: Literal["eval", "train"] = Field("eval", description="the target's logits: without dropout, or with it")
    logit_weighting: LogitWeighting = LogitWeighting()


class TeacherLessons(Section):
    """What members learn from a teacher; all weights 0: there is none."""

    alpha: float = Field(
        0.0, ge=0.0, le=1.0, description="response: share of the divergence from the teacher; the labels have the rest"
    )
    temperature: float = Field(4.0, gt=0.0, description="of both softmaxes")
    on: Literal["all", "labelled"] = Field("all", description="samples on which responses are compared")
    hidden_weight: float = Field(0.0, ge=0.0, description="of the distance between hidden rows (FitNets)")
    hidden_layers: Literal["every"] | list[LayerPair] = Field(
        "every", description="[[teacher's layer, member's], ...] counted from 1; every: spread evenly"
    )
    structure_weight: float = Field(0.0, ge=0.0, description="of the divergence between local structures (LSP)")
    structure_target: Literal["similarity", "attention", "gradient"] = Field(
        "similarity",
        description="what a neighbour counts to the teacher: likeness of rows, its attention, or the gradient of its "
        "answer",
    )

    @property
    def takes_part(self) -> bool:
        """Whether a teacher is needed."""
        return max(self.alpha, self.hidden_weight, self.structure_weight) > 0.0


class CohortCurriculum(Section):
    """Weights over the epochs: break points are [fraction of the epochs, weight], linear between."""

    labels: list[BreakPoint] = Field([(0.0, 1.0)], min_length=1, description="factor of the labels' loss")
    peers: list[BreakPoint] = Field([(0.0, 1.0)], min_length=1, description="factor of mutual.weight")

    @field_validator("labels", "peers")
    @classmethod
    def _ascending(cls, points: list[BreakPoint]) -> list[BreakPoint]:
        if any(later[0] < earlier[0] for earlier, later in itertools.pairwise(points)):
            raise ValueError("break points must ascend")
        return points


Shares = list[Annotated[float, Field(gt=0.0, le=1.0)]]


class Robustness(Section):
    """Graphs changed at random when trained models are tested; every list empty: none are."""

    edges_removed: Shares = Field([], description="shares of the edges that are left out")
    edges_added: Shares = Field([], description="so many random edges more, as shares of those there")
    features_masked: Shares = Field([], description="shares of the features' values that are set to 0")
    feature_noise: list[Annotated[float, Field(gt=0.0, le=100.0)]] = Field(
        [], description="Gaussian noise of so many times the features' root mean square"
    )
    draws: int = Field(3, ge=1, le=100, description="random changes of each strength, over which accuracy is averaged")

    @property
    def strengths(self) -> list[tuple[str, float]]:
        """Every kind of change with each of its strengths."""
        return [(kind, strength) for kind in PERTURBATIONS for strength in getattr(self, kind)]


class Cohort(Section):
    """Models that are trained together to classify, what each learns from whom, and what they are held against."""

    method: str = Field("cohort", min_length=1, max_length=24, description="the method's name in tables")
    epochs: int = Field(200, ge=1, description="of every stage")
    batch: int = Field(0, ge=0, description="graphs a step; 0: all at once (nodes are always taken at once)")
    headline: ClassMetric = Field("accuracy", description="the metric that comes first and by which epochs are chosen")
    validate_every: int = Field(1, ge=1, description="epochs between two validations")
    select: Literal["last", "best"] = Field("best", description="which epoch's weights stay; best on validation")
    patience: int = Field(0, ge=0, description="validations without a better one that end a stage; 0: never")
    alone: bool = Field(True, description="whether each member is trained alone as well: its fair rival")
    ensemble: bool = Field(True, description="whether the mean of the members is measured, and of those alone")
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0, description="of the members' labels")
    members: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], Member] = Field(
        {}, description="the members by name"
    )
    teacher: CohortTeacher = CohortTeacher()
    distill: TeacherLessons = TeacherLessons()
    mutual: Mutual = Mutual()
    curriculum: CohortCurriculum = CohortCurriculum()
    robustness: Robustness = Robustness()
