"""Linkless Link Prediction (Guo et al. 2023): ranks and distributions of the teacher around anchor nodes.

    distribution  L = mean over anchors of KL(softmax(t / temperature) || softmax(s / temperature))
    rank          L = mean of max(0, margin - (s_i - s_j)) over all contexts i, j of an anchor with t_i - t_j > margin

for an anchor's contexts with logits t of the teacher and s of the student: `distill.matching.anchors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from flykd_console.distill.structure.base import StructureLoss
from flykd_console.profile.section import StructureSettings

if TYPE_CHECKING:
    from torch import Tensor

    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded
    from flykd_console.model.propagation.base import Layers


class AnchorSettings(StructureSettings):
    """Linkless Link Prediction (Guo et al. 2023): ranks and distributions around anchor nodes; weights 0: left out."""

    rank_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of the rank loss: around a head, the student is to score two tails in the teacher's order; "
        "profiles/llp-rank.toml: 10",
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


class AnchorLoss(StructureLoss):
    """`anchor_rank` and `anchor_distribution`."""

    settings = AnchorSettings
    position = 30
    words: ClassVar = {
        "anchor_rank": ("anchor rank", "arank"),
        "anchor_distribution": ("anchor distribution", "adist"),
    }

    def __init__(self, settings: AnchorSettings, inputs: DistillInputs) -> None:
        super().__init__(settings, inputs)
        self._settings, self._inputs = settings, inputs
        self.weights = {
            "anchor_rank": settings.rank_weight,
            "anchor_distribution": settings.distribution_weight,
        }
        self.generators = {"anchors": inputs.generator("anchors")}

    def prepare(self, student_dim: int, layers: Sequence[Layers], teacher: Teacher) -> None:
        from flykd_console.distill.matching.anchors import AnchorContexts

        settings, draw = self._settings, self.generators["anchors"]
        self._contexts = AnchorContexts(self._inputs.space, teacher, settings.anchors, settings.contexts, draw)

    def __call__(self, encoded: Encoded, layers: Layers) -> dict[str, Tensor]:
        import torch

        from flykd_console.distill.matching.anchors import distribution_loss, rank_loss

        settings, drawn = self._settings, self._contexts.draw(encoded)
        losses = {}
        if settings.rank_weight > 0.0:
            each = [rank_loss(student, teacher, settings.margin) for student, teacher in drawn]
            losses["anchor_rank"] = torch.stack(each).mean()
        if settings.distribution_weight > 0.0:
            each = [distribution_loss(student, teacher, settings.temperature) for student, teacher in drawn]
            losses["anchor_distribution"] = torch.stack(each).mean()
        return losses


LOSS = AnchorLoss
