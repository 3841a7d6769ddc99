"""LSP (Yang et al. 2020): the student keeps the teacher's similarities to neighbours.

    L_lsp = mean over tails v with neighbours of KL(p_v of the teacher || p_v of the student) / |N(v)|

with p_v the softmax of the similarities of v's row to its neighbours' rows: `distill.matching.local_structure`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from flykd_console.distill.structure.base import StructureLoss
from flykd_console.errors import UserError
from flykd_console.profile.section import StructureSettings

if TYPE_CHECKING:
    from torch import Tensor

    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.matching.layer_rows import LayerRows, Reader
    from flykd_console.distill.matching.local_structure import Neighbourhood
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded
    from flykd_console.model.propagation.base import Layers


class LocalStructureSettings(StructureSettings):
    """LSP (Yang et al. 2020): the student keeps the teacher's similarities to neighbours; weight 0: left out."""

    weight: float = Field(0.0, ge=0.0, description="the paper: 500")
    layers: list[Annotated[int, Field(ge=1)]] = Field([2], min_length=1, description="which layers are compared")
    kernel: Literal["rbf", "cosine", "l2", "polynomial"] = Field("rbf", description="how similar two rows are")
    sigma: list[Annotated[float, Field(gt=0.0)]] = Field([3.0], description="rbf: one for each of the layers")
    neighbourhood: Literal["partial", "full"] = Field("partial", description="partial: the pooling relations only")

    def check(self, teacher_layers: int, student_layers: int, pooling_relations: Sequence[str]) -> None:
        if len(set(self.layers)) != len(self.layers):
            raise ValueError("distill.lsp.layers names a layer twice")
        check_depth("distill.lsp.layers", "teacher", self.layers, teacher_layers)
        check_depth("distill.lsp.layers", "student", self.layers, student_layers)
        if self.kernel == "rbf" and len(self.sigma) != len(self.layers):
            raise ValueError("distill.lsp.sigma needs one value for each of distill.lsp.layers")
        if self.neighbourhood == "partial" and not pooling_relations:
            raise ValueError("distill.lsp.neighbourhood = 'partial' means graph.pooling.relations, and there are none")


class LocalStructureLoss(StructureLoss):
    """`lsp`."""

    settings = LocalStructureSettings
    position = 10
    words: ClassVar = {"lsp": ("LSP", "lsp")}
    needs_layers = True

    def __init__(self, settings: LocalStructureSettings, inputs: DistillInputs) -> None:
        super().__init__(settings, inputs)
        self._settings, self._device = settings, inputs.device
        self._neighbourhood = _neighbourhood(settings, inputs)
        self.weights = {"lsp": settings.weight}

    @classmethod
    def check_graph(cls, settings: StructureSettings, inputs: DistillInputs) -> None:
        assert isinstance(settings, LocalStructureSettings)
        _neighbourhood(settings, inputs)

    def ask(self, student: LayerRows, teachers: Sequence[LayerRows]) -> None:
        self._student = self._readers(student)
        self._teachers = [self._readers(rows) for rows in teachers]

    def _readers(self, rows: LayerRows) -> list[Reader]:
        return [rows.ask(layer, self._neighbourhood.nodes) for layer in self._settings.layers]

    def prepare(self, student_dim: int, layers: Sequence[Layers], teacher: Teacher) -> None:
        from flykd_console.distill.matching.layer_rows import read
        from flykd_console.distill.matching.local_structure import LocalStructure

        settings, targets = self._settings, read(self._teachers, layers)
        sigmas = settings.sigma if settings.kernel == "rbf" else [1.0] * len(settings.layers)
        self._loss = LocalStructure(self._neighbourhood, targets, self._device, settings.kernel, sigmas)

    def __call__(self, encoded: Encoded, layers: Layers) -> dict[str, Tensor]:
        return {"lsp": self._loss([rows(layers) for rows in self._student])}


def check_depth(key: str, size: str, layers: Sequence[int], depth: int) -> None:
    """Refuse layers that a model does not have.

    Raises:
        ValueError: The first of them.
    """
    for layer in layers:
        if not 1 <= layer <= depth:
            raise ValueError(f"{key} names layer {layer}, but the {size} has {depth}: layers count from 1")


def _neighbourhood(settings: LocalStructureSettings, inputs: DistillInputs) -> Neighbourhood:
    """The neighbours that are compared.

    Raises:
        UserError: No tail has a neighbour under the profile's choice.
    """
    from flykd_console.distill.matching.local_structure import Neighbourhood

    relations = inputs.pooling_relations if settings.neighbourhood == "partial" else None
    found = Neighbourhood(inputs.train, inputs.targets.tail, relations)
    if found.tail_count == 0:
        raise UserError(
            f"no {inputs.targets.tail} has a neighbour in the training edges of {', '.join(inputs.pooling_relations)}",
            "distill.lsp.neighbourhood",
            'Use neighbourhood = "full", or name relations of this graph in graph.pooling.relations.',
        )
    return found


LOSS = LocalStructureLoss
