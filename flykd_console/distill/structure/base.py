"""What a structure loss must give. One file of this room is one loss: its table, its words, its rows, its equation.

The file's name is the loss's table under `[distill]`, `LOSS` the class. It is read with every profile: what it imports
at the top must not bring torch along; what computes does so when it is built.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from flykd_console.profile.section import StructureSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.matching.layer_rows import LayerRows
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded
    from flykd_console.model.propagation.base import Layers


class StructureLoss(ABC):
    """A loss beside the labels, from the student's embeddings or from rows of its layers.

    Attributes:
        settings: Class of its table.
        position: Where it stands among the others, in sums and legends.
        words: What each of its losses is called, whole and in five letters, by the name that events give it.
        needs_layers: It compares the student's layers with the teacher's, so a teacher must be a network. One that
            looks at the student's layers alone asks for their rows and leaves it False.
        asks_for_layers: It asks for rows of layers, so the student must have some; true where it has an `ask`.
        weights: Of the losses that it returns, by name.
        parameters: What it trains besides the student.
        generators: What it draws from, by purpose.
    """

    settings: ClassVar[type[StructureSettings]] = StructureSettings
    position: ClassVar[int] = 100
    words: ClassVar[Mapping[str, tuple[str, str]]] = {}
    needs_layers: ClassVar[bool] = False
    asks_for_layers: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.asks_for_layers = cls.ask is not StructureLoss.ask

    def __init__(self, settings: StructureSettings, inputs: DistillInputs) -> None:
        self.weights: dict[str, float] = {}
        self.parameters: list[torch.nn.Parameter] = []
        self.generators: dict[str, torch.Generator] = {}

    @classmethod
    def check_graph(cls, settings: StructureSettings, inputs: DistillInputs) -> None:
        """Refuse a graph that leaves the loss nothing, before hours of teachers.

        Raises:
            UserError: What is missing.
        """

    def ask(self, student: LayerRows, teachers: Sequence[LayerRows]) -> None:
        """Ask for the rows of layers that are compared, of the student and of every network that teaches."""

    def prepare(self, student_dim: int, layers: Sequence[Layers], teacher: Teacher) -> None:
        """Take the frozen teachers' side: the layers of every network, and the label of every pair."""

    @abstractmethod
    def __call__(self, encoded: Encoded, layers: Layers) -> dict[str, Tensor]:
        """The losses by name, unweighted, from the student's embeddings and layers; differentiable."""

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of it."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
