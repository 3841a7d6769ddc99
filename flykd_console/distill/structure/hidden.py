"""Feature distillation (FitNets, Romero et al. 2015): the student's layers match the teacher's through a learned map.

    mse     L = sum_v a_v |h_v M - g_v|² / sum_v a_v |g_v|²
    cosine  L = sum_v a_v (1 - cos(h_v M, g_v))

for rows h of the student and g of the teacher, per node type and pair of layers: `distill.matching.hidden_layers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from flykd_console.distill.structure.base import StructureLoss
from flykd_console.distill.structure.lsp import check_depth
from flykd_console.profile.section import StructureSettings

if TYPE_CHECKING:
    from torch import Tensor

    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.matching.layer_rows import LayerRows
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded
    from flykd_console.model.propagation.base import Layers


class HiddenSettings(StructureSettings):
    """Feature distillation: the teacher's hidden layers through a learned map; weight 0 leaves it out."""

    weight: float = Field(0.0, ge=0.0, description="of the loss")
    layers: list[tuple[int, int]] = Field([(1, 1), (2, 2)], min_length=1, description="[teacher layer, student layer]")
    loss: Literal["mse", "cosine"] = Field("mse", description="between mapped and teacher's rows")
    per_type: bool = Field(True, description="a map and a mean of its own for every node type")
    attention: Literal["none", "degree", "neighbourhood"] = Field(
        "none", description="which nodes count more: all alike, by degree, or matched after averaging over neighbours"
    )

    def check(self, teacher_layers: int, student_layers: int, pooling_relations: Sequence[str]) -> None:
        if len(set(self.layers)) != len(self.layers):
            raise ValueError("distill.hidden.layers names a pair twice")
        check_depth("distill.hidden.layers", "teacher", [theirs for theirs, _ in self.layers], teacher_layers)
        check_depth("distill.hidden.layers", "student", [mine for _, mine in self.layers], student_layers)


class HiddenLoss(StructureLoss):
    """`hidden`."""

    settings = HiddenSettings
    position = 20
    words: ClassVar = {"hidden": ("hidden layers", "hid")}
    needs_layers = True

    def __init__(self, settings: HiddenSettings, inputs: DistillInputs) -> None:
        super().__init__(settings, inputs)
        self._settings, self._inputs = settings, inputs
        self.weights = {"hidden": settings.weight}

    def ask(self, student: LayerRows, teachers: Sequence[LayerRows]) -> None:
        from flykd_console.distill.matching.hidden_layers import matched_nodes

        pairs = self._settings.layers
        inputs = self._inputs
        self._nodes = [matched_nodes(inputs.messages, inputs.targets, mine == student.depth) for _, mine in pairs]
        chosen = list(zip(pairs, self._nodes, strict=True))
        self._student = [student.ask(mine, nodes) for (_, mine), nodes in chosen]
        self._teachers = [[rows.ask(theirs, nodes) for (theirs, _), nodes in chosen] for rows in teachers]

    def prepare(self, student_dim: int, layers: Sequence[Layers], teacher: Teacher) -> None:
        from flykd_console.distill.matching.hidden_layers import HiddenMatching
        from flykd_console.distill.matching.layer_rows import read

        settings, inputs = self._settings, self._inputs
        self._loss = HiddenMatching(
            inputs.messages,
            self._nodes,
            scored=sorted({inputs.targets.head, inputs.targets.tail}),
            teachers=read(self._teachers, layers),
            dim=student_dim,
            generator=inputs.host_generator("hidden_map"),
            kind=settings.loss,
            per_type=settings.per_type,
            attention=settings.attention,
        )
        self.parameters = self._loss.parameters

    def __call__(self, encoded: Encoded, layers: Layers) -> dict[str, Tensor]:
        return {"hidden": self._loss([rows(layers) for rows in self._student])}

    def state_dict(self) -> dict[str, Tensor]:
        return self._loss.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._loss.load_state_dict(state)


LOSS = HiddenLoss
