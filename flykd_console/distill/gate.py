"""Several teachers as one whose weights are learnt on validation pairs: a gate.

A relation's tail i hears teacher k with the weight

    g_k(i) = softmax_k(b_k + w_k c_k(i)),     c_k(i) = 1 - H(softmax_h(a t_k(h, i))) / log m

over m heads: c is 0 where the teacher holds all heads alike, and 1 where it is sure of one (a mixture of experts;
Jordan and Jacobs 1994). b and w are fitted for each relation by the cross-entropy between the true heads of its
validation tails and softmax_h(a sum_k g_k(i) t_k(h, i)), with an L2 penalty that keeps them near the profile's weights.
With `gate = "relation"` w is 0. a is the sharpness of lists.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flykd_console.calibration import FEWEST
from flykd_console.distill.teacher import Teacher
from flykd_console.errors import UserError

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.pairs.pair_space import PairSpace

# Tails whose lists are in work at a time.
_TAILS = 1024
_STEPS = 300
_RATE = 0.05
_PENALTY = 1e-3


class GatedTeacher(Teacher):
    """The mean of teachers under weights that depend on the relation and perhaps on the tail.

    Args:
        gates: Per relation a weight for each teacher and tail, which sum to 1 over the teachers, float32 [k, n_r].
    """

    def __init__(self, space: PairSpace, teachers: Sequence[Teacher], gates: Sequence[Tensor]) -> None:
        self._space, self._teachers, self.gates = space, teachers, gates

    def logits(self, indices: list[Tensor]) -> list[Tensor]:
        total = [torch.zeros(len(index), device=index.device) for index in indices]
        for number, teacher in enumerate(self._teachers):
            for relation, found in enumerate(teacher.logits(indices)):
                tails = indices[relation] % self._space.relations[relation].tail_count
                total[relation] += self.gates[relation][number][tails] * found
        return total

    def lists(self, relation: int, columns: Tensor) -> Tensor:
        gates = self.gates[relation][:, columns].unsqueeze(2)
        return _mean([teacher.lists(relation, columns) for teacher in self._teachers], gates)

    def tail_lists(self, relation: int, rows: Tensor) -> Tensor:
        gates = self.gates[relation].unsqueeze(1)
        return _mean([teacher.tail_lists(relation, rows) for teacher in self._teachers], gates)

    def block(
        self, relation: int, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> Callable[[slice], Tensor]:
        gates = self.gates[relation] if columns is None else self.gates[relation][:, columns]
        blocks = [teacher.block(relation, rows, columns) for teacher in self._teachers]
        return lambda some: _mean([block(some) for block in blocks], gates.unsqueeze(1))

    def check_labels(self) -> None:
        for teacher in self._teachers:
            teacher.check_labels()


def gated(
    teachers: Sequence[Teacher],
    weights: Sequence[float],
    kind: Literal["relation", "tail"],
    sharpness: float,
    inputs: DistillInputs,
) -> GatedTeacher:
    """Teachers under a gate that is fitted to the validation pairs.

    Args:
        weights: From which the fit begins, above 0.
        sharpness: What lists' scores are multiplied by.

    Raises:
        UserError: A relation has too few validation pairs.
    """
    gates = []
    for number, pairs in enumerate(inputs.space.relations):
        begin = torch.tensor([math.log(weight / sum(weights)) for weight in weights], dtype=torch.float64)
        columns, truth = _validation(inputs, number)
        lists = torch.stack([teacher.lists(number, columns).double() for teacher in teachers])
        base, slope = _fitted(lists * sharpness, truth, begin, kind == "tail")
        parts = []
        for some in torch.arange(pairs.tail_count, device=pairs.edge_heads.device).split(_TAILS):
            sure = torch.stack([_sureness(teacher.lists(number, some).double() * sharpness) for teacher in teachers])
            parts.append((base[:, None] + slope[:, None] * sure).softmax(dim=0).float())
        gates.append(torch.cat(parts, dim=1).to(pairs.edge_heads.device))
    return GatedTeacher(inputs.space, teachers, gates)


def _validation(inputs: DistillInputs, relation: int) -> tuple[Tensor, Tensor]:
    """The validation tails of a relation in the space, by position, int64 [n], and their true heads' shares.

    Returns:
        float64 [n, heads of the space]: rows sum to 1.
    """
    target = inputs.targets[relation]
    known = next(pairs for pairs in inputs.calibration() if pairs.relation == target.relation)
    true = np.asarray(known.labels) == 1
    heads = _positions(inputs.space.heads, known.heads[true])
    tails = _positions(inputs.space.tails[target.relation], known.tails[true])
    inside = (heads >= 0) & (tails >= 0)
    if inside.sum() < FEWEST:
        raise UserError(
            f"{int(inside.sum())} validation pairs of {target.relation} that the teachers know are too few to learn "
            f"their weights from: at least {FEWEST} are needed",
            "distill.gate",
            'Take gate = "none", or validate on more pairs.',
        )
    columns, rows = np.unique(tails[inside], return_inverse=True)
    truth = np.zeros((len(columns), len(inputs.space.heads)))
    truth[rows, heads[inside]] = 1.0
    truth /= truth.sum(axis=1, keepdims=True)
    device = inputs.space.relations[relation].edge_heads.device
    return torch.from_numpy(columns).to(device), torch.from_numpy(truth).to(device)


def _positions(nodes: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where wanted nodes stand among distinct others, in any order, int64 [n]; -1 where they do not."""
    place = np.full(max(nodes.max(initial=0), wanted.max(initial=0)) + 1, -1, np.int64)
    place[nodes] = np.arange(len(nodes))
    found: NDArray[np.int64] = place[wanted]
    return found


def _fitted(lists: Tensor, truth: Tensor, begin: Tensor, by_tail: bool) -> tuple[Tensor, Tensor]:
    """b and w of a relation, float64 [k] each.

    Args:
        lists: a t of every teacher, float64 [k, n, m].
        truth: What the mean is to give, float64 [n, m].
        begin: The b that is gone out from, float64 [k].
    """
    sure = torch.stack([_sureness(mine) for mine in lists])
    base = begin.to(lists.device).clone().requires_grad_()
    slope = torch.zeros_like(base).requires_grad_()
    trained = [base, slope] if by_tail else [base]
    optimizer = torch.optim.Adam(trained, lr=_RATE)
    for _ in range(_STEPS):
        gates = (base[:, None] + slope[:, None] * sure).softmax(dim=0)
        loss = torch.nn.functional.cross_entropy((gates.unsqueeze(2) * lists).sum(dim=0), truth)
        moved = (base - begin.to(lists.device)).square().sum() + slope.square().sum()
        optimizer.zero_grad(set_to_none=True)
        (loss + _PENALTY * moved).backward()
        optimizer.step()
    return base.detach(), slope.detach()


def _sureness(lists: Tensor) -> Tensor:
    """1 less the share of the largest entropy that a list's softmax has, [n, m] -> [n]."""
    logarithms = lists.log_softmax(dim=1)
    entropy = -(logarithms.exp() * logarithms).sum(dim=1)
    return 1.0 - entropy / math.log(max(lists.shape[1], 2))


def _mean(parts: Sequence[Tensor], gates: Tensor) -> Tensor:
    """The sum of parts of one shape, each times its gate: gates [k, ...] broadcast against [...]."""
    total = parts[0].mul_(gates[0])
    for part, gate in zip(parts[1:], gates[1:], strict=True):
        total += gate * part
    return total
