"""A teacher: whatever gives a logit for any pair. A trained network is one kind (`distill.teachers`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


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

    @abstractmethod
    def lists(self, relation: int, columns: Tensor) -> Tensor:
        """How the teacher orders every head of the space around some tails of a relation, as it scores them.

        Args:
            relation: Its number in the space.
            columns: Positions among the relation's tails, int64 [n].

        Returns:
            float32 [n, m], a column a head of the space; a new tensor.
        """

    @abstractmethod
    def tail_lists(self, relation: int, rows: Tensor) -> Tensor:
        """How the teacher orders every tail of a relation in the space around some heads, as it scores them.

        Args:
            relation: Its number in the space.
            rows: Positions among the heads of the space, int64 [n].

        Returns:
            float32 [n, m], a column a tail of the relation in the space; a new tensor.
        """

    def check_labels(self) -> None:
        """Refuse to be asked for logits, before anything is trained.

        Raises:
            UserError: Why there are none.
        """

    def probabilities(self, indices: list[Tensor]) -> list[Tensor]:
        """Soft labels y = sigmoid(logit), per relation float32 [n_r]."""
        return [logits.sigmoid() for logits in self.logits(indices)]
