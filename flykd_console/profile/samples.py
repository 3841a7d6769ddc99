"""What is classified: the tables `[task]` and `[data]`, which say nothing of knowledge graphs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flykd_console.profile.section import IsPath, Section

TaskKind = Literal["link_prediction", "node_classification", "graph_classification"]
# Values of `data.source` that are no path.
EMBEDDED = "embedded"
# Of nodes alone: with edges of several relations.
EMBEDDED_TYPED = "embedded-typed"


class TaskChoice(Section):
    """What is learnt."""

    kind: TaskKind = Field(
        "link_prediction",
        description="link_prediction: drugs and diseases of a knowledge graph; the others: classes of nodes or graphs",
    )


class Data(Section):
    """Nodes or graphs with features and classes; link prediction has `[graph]` and `[split]` instead."""

    source: Annotated[str, IsPath(lambda source: source not in (EMBEDDED, EMBEDDED_TYPED))] = Field(
        EMBEDDED,
        min_length=1,
        description="embedded, embedded-typed (edges of several relations), or a file of arrays (.npz); of graphs "
        "a text in TU form",
    )
    split: Literal["given", "per_class", "folds", "by_time"] = Field(
        "given",
        description="given: by the file; per_class: so many nodes a class, by seed; folds: seed K tests fold K + 1; "
        "by_time: by the nodes' years",
    )
    per_class: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = Field(
        (20, 30), description="per_class: training and validation nodes of each class; the rest is the test"
    )
    cuts: tuple[int, int] | None = Field(
        None, description="by_time: the last year of training, the last year of validation"
    )
    normalise_features: bool = Field(True, description="whether a node's features are divided by their sum")

    @model_validator(mode="after")
    def _what_the_split_needs(self) -> Data:
        if self.split == "by_time" and self.cuts is None:
            raise ValueError("split = 'by_time' needs data.cuts, such as [2000, 2004]")
        if self.split != "by_time" and self.cuts is not None:
            raise ValueError(f"data.cuts belongs to split = 'by_time', but the split is {self.split!r}")
        if self.cuts is not None and self.cuts[0] >= self.cuts[1]:
            raise ValueError("data.cuts must ascend")
        return self
