"""What true labels are told from, and by which loss: the table `[negatives]`; every default is the paper's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from flykd_console.profile.section import Section

# Keys that act under some values of another one alone: (key, the other key, its values).
_ACT_UNDER: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("candidates", "replace", ("head", "both")),
    ("power", "distribution", ("degree",)),
    ("margin", "loss", ("margin", "self_adversarial")),
    ("temperature", "loss", ("softmax", "self_adversarial")),
)


class Negatives(Section):
    """What a true label is told from, and by which loss, of teachers, baselines and the student's true labels."""

    replace: Literal["tail", "head", "both"] = Field(
        "tail", description="which end of an edge is replaced: tail (disease), head (drug), or each in turn"
    )
    ratio: int = Field(1, ge=1, le=4096, description="negatives of an edge for each end that is replaced")
    distribution: Literal["uniform", "degree"] = Field(
        "uniform", description="how candidates are drawn; degree: by their training edges of the relation, at least 1"
    )
    power: float = Field(0.75, ge=0.0, description="degree: by the degree to this power (word2vec: 0.75)")
    candidates: Literal["relation", "linked"] = Field(
        "relation",
        description="heads that may stand in for one: those of the relation's training edges, or of any training edge; "
        "tails are always the relation's, for of others no label is trained on",
    )
    loss: Literal["bce", "softmax", "self_adversarial", "margin"] = Field(
        "bce",
        description="binary cross-entropy; softmax of an edge among its negatives (InfoNCE); self-adversarial negative "
        "sampling (RotatE); margin ranking: docs/methods.md",
    )
    margin: float = Field(1.0, ge=0.0, description="gamma of margin and of self_adversarial, in logits")
    temperature: float = Field(
        1.0,
        gt=0.0,
        description="softmax: what logits are divided by; self_adversarial: 1 / alpha, by which negatives are weighed",
    )

    @property
    def ends(self) -> tuple[str, ...]:
        """Which ends are replaced, in the order in which they are drawn."""
        if self.replace == "both":
            return ("tail", "head")
        return (self.replace,)

    @model_validator(mode="after")
    def _acts(self) -> Negatives:
        for key, other, values in _ACT_UNDER:
            given = getattr(self, key) != type(self).model_fields[key].default
            if given and getattr(self, other) not in values:
                needed = " or ".join(repr(value) for value in values)
                raise ValueError(
                    f"negatives.{key} does not act under {other} = {getattr(self, other)!r}: it needs {needed}"
                )
        if self.loss == "margin" and self.margin == 0.0:
            raise ValueError("negatives.margin = 0 lets all scores be equal under loss = 'margin': give it above 0")
        return self
