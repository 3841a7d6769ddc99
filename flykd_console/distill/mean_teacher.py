"""Several teachers as one: the weighted mean of their logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from flykd_console.distill.teacher import Teacher


def mean_teacher(teachers: Sequence[Teacher], weights: Sequence[float]) -> Teacher:
    """The teacher whose logits are the mean of some teachers' logits under their weights; a single one as it is."""
    return teachers[0] if len(teachers) == 1 else _Mean(teachers, [weight / sum(weights) for weight in weights])


class _Mean(Teacher):
    def __init__(self, teachers: Sequence[Teacher], shares: Sequence[float]) -> None:
        self._teachers = list(zip(teachers, shares, strict=True))

    def logits(self, indices: list[Tensor]) -> list[Tensor]:
        (first, share), *others = self._teachers
        total = [share * logits for logits in first.logits(indices)]
        for teacher, part in others:
            for summed, logits in zip(total, teacher.logits(indices), strict=True):
                summed.add_(logits, alpha=part)
        return total

    def lists(self, relation: int, columns: Tensor) -> Tensor:
        return self._mean(lambda teacher: teacher.lists(relation, columns))

    def tail_lists(self, relation: int, rows: Tensor) -> Tensor:
        return self._mean(lambda teacher: teacher.tail_lists(relation, rows))

    def _mean(self, of: Callable[[Teacher], Tensor]) -> Tensor:
        """The weighted mean of new tensors of one shape."""
        (first, share), *others = self._teachers
        total = of(first).mul_(share)
        for teacher, part in others:
            total.add_(of(teacher), alpha=part)
        return total

    def block(
        self, relation: int, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> Callable[[slice], Tensor]:
        parts = [(teacher.block(relation, rows, columns), share) for teacher, share in self._teachers]

        def logits(some: slice) -> Tensor:
            (first, share), *others = parts
            total = first(some) * share
            for block, part in others:
                total.add_(block(some), alpha=part)
            return total

        return logits
