"""What members of a cohort of students teach each other about pairs, whose answer is one logit.

    peers   y = 1/(K-1) sum_{k != j} sigmoid(z_k / T)                         Zhang et al. 2018 (DML)
    mean    y = sigmoid(1/(K T) sum_k z_k)                                    Guo et al. 2020 (KDCL)
    gate    y = sigmoid(1/T sum_k g_k z_k), g = softmax(W [z_1 ... z_K] + b)  Lan et al. 2018 (ONE)

A member's loss is T^2 BCE(z_j / T, y), y detached: up to the entropy of y, on which its gradient does not depend, that
is the mean over the others of T^2 KL(y_k || z_j), since the cross-entropy is linear in y.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from flykd_console.distill.soft_labels import SoftLabels
from flykd_console.distill.teacher import Teacher

if TYPE_CHECKING:
    from flykd_console.distill.pairs.pair_space import PairSpace
    from flykd_console.model.encoded import Encoded


class PairGate(nn.Module):
    """g = softmax(W [z_1 ... z_K] + b) of each pair; W and b are 0 at first, so that it begins as the mean."""

    def __init__(self, members: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(members, members))
        self.bias = nn.Parameter(torch.zeros(members))

    def mixed(self, logits: Sequence[Tensor]) -> Tensor:
        """sum_k g_k z_k, of the logits' shape; differentiable in the gate alone."""
        fixed = torch.stack([one.detach() for one in logits], dim=-1)
        shares = torch.softmax(fixed @ self.weight + self.bias, dim=-1)
        return (fixed * shares).sum(dim=-1)

    def loss(self, logits: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Binary cross-entropy of the mixture, by which the gate learns; labels float32, of the logits' shape."""
        return binary_cross_entropy_with_logits(self.mixed(logits), labels)


class PairTargets:
    """Whose labels a member learns.

    Args:
        target: `mutual.target`.
        temperature: T.
        gate: Needed by `gate`.
    """

    def __init__(self, target: str, temperature: float, gate: PairGate | None = None) -> None:
        self._target, self._temperature, self._gate = target, temperature, gate

    def teaching(self, learner: str, members: Sequence[str]) -> list[str]:
        """The members whose logits make a learner's labels."""
        return [name for name in members if name != learner or self._target != "peers"]

    @torch.no_grad()
    def of(self, logits: Sequence[Tensor]) -> Tensor:
        """T times the logit of the labels that the logits of those who teach make; of their shape."""
        if len(logits) == 1:
            return logits[0].detach()
        if self._gate is not None:
            return self._gate.mixed(logits)
        stacked = torch.stack([one.detach() for one in logits])
        if self._target == "mean":
            return stacked.mean(dim=0)
        return self._temperature * torch.logit(torch.sigmoid(stacked / self._temperature).mean(dim=0))


class Peers(Teacher):
    """A member's teacher: those who teach it, as they stand in the step in hand.

    Args:
        space: Of the pairs.
        targets: How their logits become one.
    """

    def __init__(self, space: PairSpace, targets: PairTargets) -> None:
        self._space, self._targets = space, targets
        self._now: list[SoftLabels] = []

    def stand(self, encoded: Mapping[str, Encoded], learner: str) -> None:
        """Take over what the members encode in this step."""
        teaching = self._targets.teaching(learner, list(encoded))
        self._now = [SoftLabels(self._space, encoded[name], tables=False) for name in teaching]

    def logits(self, indices: list[Tensor]) -> list[Tensor]:
        each = [one.logits(indices) for one in self._now]
        return [self._targets.of(of_relation) for of_relation in zip(*each, strict=True)]

    def block(
        self, relation: int, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> Callable[[slice], Tensor]:
        blocks = [one.block(relation, rows, columns) for one in self._now]
        return lambda some: self._targets.of([block(some) for block in blocks])

    def lists(self, relation: int, columns: Tensor) -> Tensor:
        return self._targets.of([one.lists(relation, columns) for one in self._now])

    def tail_lists(self, relation: int, rows: Tensor) -> Tensor:
        return self._targets.of([one.tail_lists(relation, rows) for one in self._now])
