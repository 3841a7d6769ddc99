"""What a teacher must give: a logit for any pair. A network is one kind; one file of this room is one kind.

The file's name is what an entry of `distill.teachers` calls its `kind`, `KIND` the class. It is read with every profile
that has such entries: what it imports at the top must not bring torch along.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from flykd_console.profile.section import TeacherSettings

if TYPE_CHECKING:
    from torch import Tensor

    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.model.link_encoder import Encoded


class Teacher(ABC):
    """Frozen labels of the pairs of a space, relation by relation in its order."""

    @abstractmethod
    def logits(self, indices: list[Tensor]) -> list[Tensor]:
        """Logits of listed pairs: per relation flat indices, int64 [n_r] -> float32 [n_r], without gradients."""

    @abstractmethod
    def block(
        self, relation: int, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> Callable[[slice], Tensor]:
        """Logits of some heads of a relation with some tails, a few heads at a time.

        Args:
            relation: Its number in the space.
            rows: Positions among the relation's heads, int64 [m]; None: all.
            columns: Positions among its tails, int64 [n]; None: all.

        Returns:
            From a slice of the m heads to their logits, float32 [slice, n]; the caller may overwrite them.
        """

    def probabilities(self, indices: list[Tensor]) -> list[Tensor]:
        """Soft labels y = sigmoid(logit), per relation float32 [n_r]."""
        return [logits.sigmoid() for logits in self.logits(indices)]


class TeacherKind(ABC):
    """Makes teachers from entries of a profile."""

    settings: ClassVar[type[TeacherSettings]] = TeacherSettings

    @classmethod
    @abstractmethod
    def build(cls, settings: TeacherSettings, inputs: DistillInputs, networks: Sequence[Encoded]) -> Teacher:
        """The teacher of an entry; `networks`: what the trained networks that it asked for encode.

        Raises:
            UserError: What it reads is missing or at fault.
        """
