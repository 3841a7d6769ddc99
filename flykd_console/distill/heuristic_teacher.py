"""A heuristic as a teacher: its scores as lists, and as logits once they are calibrated.

A heuristic's score is an order, not a probability. Around a tail or a head it stands as it is, divided by the largest
of the list. Where a label is wanted, Platt's logistic regression (1999) on validation pairs makes it a logit: a t + b,
a > 0. Half of the negatives replace the tail and half the head; together they weigh as much as the positives, so that
the probability is one of evens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from flykd_console.calibration import NotCalibratedError, fit_platt
from flykd_console.distill.teacher import Teacher
from flykd_console.errors import UserError
from flykd_console.heuristics.base import listed

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.heuristics.base import Heuristic

    Nodes = NDArray[np.int64]
    Floats = NDArray[np.float32]

# Tails in work at a time.
_ROWS = 1024


class HeuristicTeacher(Teacher):
    """Args: what a method is given of its task."""

    def __init__(self, inputs: DistillInputs) -> None:
        self._inputs, self._space = inputs, inputs.space
        self._calibrations: dict[int, tuple[float, float]] = {}

    @abstractmethod
    def scores(self, target: EdgeType, tails: Nodes) -> Floats:
        """Scores in [0, 1] of every head of the graph with some tails, the largest of a list 1; float32 [n, N_head]."""

    def lists(self, relation: int, columns: Tensor) -> Tensor:
        target = self._inputs.targets[relation]
        tails = self._space.tails[target.relation][columns.cpu().numpy()]
        scores = np.ascontiguousarray(self.scores(target, tails)[:, self._space.heads])
        return torch.from_numpy(scores).to(columns.device)

    def check_labels(self) -> None:
        for number in range(len(self._space.relations)):
            self._calibration(number)

    def logits(self, indices: list[Tensor]) -> list[Tensor]:
        found = []
        for number, (pairs, index) in enumerate(zip(self._space.relations, indices, strict=True)):
            flat = index.cpu().numpy()
            heads = pairs.heads.cpu().numpy()[flat // pairs.tail_count]
            slope, intercept = self._calibration(number)
            logits = slope * self._listed(number, heads, flat % pairs.tail_count) + intercept
            found.append(torch.from_numpy(logits.astype(np.float32)).to(index.device))
        return found

    def _listed(self, relation: int, heads: Nodes, columns: Nodes) -> Floats:
        """Scores of listed pairs, from positions among the space's heads and the relation's tails; float32 [n]."""

        def block(some: Nodes, rows: Nodes) -> Floats:
            return self.lists(relation, torch.from_numpy(some)).numpy()[:, rows]

        return listed(block, heads, columns).astype(np.float32)

    def block(
        self, relation: int, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> Callable[[slice], Tensor]:
        pairs = self._space.relations[relation]
        device = pairs.heads.device
        chosen = torch.arange(pairs.tail_count, device=device) if columns is None else columns
        heads = pairs.heads if rows is None else pairs.heads.index_select(0, rows)
        slope, intercept = self._calibration(relation)
        table = self.lists(relation, chosen).index_select(1, heads).T.mul(slope).add_(intercept)
        return lambda some: table[some].clone()

    def _calibration(self, relation: int) -> tuple[float, float]:
        """Slope and intercept of a relation's logits.

        Raises:
            UserError: Too few validation pairs of one class, or scores that do not tell them apart.
        """
        if relation not in self._calibrations:
            self._calibrations[relation] = self._calibrate(self._inputs.targets[relation])
        return self._calibrations[relation]

    def _calibrate(self, target: EdgeType) -> tuple[float, float]:
        known = next(pairs for pairs in self._inputs.calibration() if pairs.relation == target.relation)
        positives = int(known.labels.sum())
        scores = listed(lambda tails, heads: self.scores(target, tails)[:, heads], known.heads, known.tails)
        weights = np.where(known.labels == 1, 1.0, positives / max(len(known.labels) - positives, 1))
        try:
            fitted = fit_platt(scores, known.labels, weights)
        except NotCalibratedError as problem:
            raise UserError(
                f"a heuristic's scores cannot be made probabilities on the validation pairs of {target.relation}: "
                f"{problem}",
                "distill.teachers",
                "Take label sources without soft labels, such as pseudo_lists, or validate on more pairs.",
            ) from None
        if fitted.slope <= 0.0:
            raise UserError(
                f"a heuristic's scores of {target.relation} are no higher for true validation pairs than for others: "
                "no label can be made of them",
                "distill.teachers",
                "Leave that teacher out, or take label sources without soft labels, such as pseudo_lists.",
            )
        return fitted.slope, fitted.intercept


class NeighbourTeacher(HeuristicTeacher):
    """Nearest neighbours, which score few heads of a tail above 0: every list is kept, computed once."""

    def __init__(self, inputs: DistillInputs, heuristic: Heuristic) -> None:
        super().__init__(inputs)
        self._heuristic = heuristic
        self._kept: dict[EdgeType, sp.csr_array] = {}
        # Per target the largest score of every tail's list, float64 [N_tail], by which it was divided.
        self._most: dict[EdgeType, NDArray[np.float64]] = {}
        self._in_space: dict[int, sp.csr_array] = {}
        self._around_heads: dict[int, sp.csr_array] = {}

    def scores(self, target: EdgeType, tails: Nodes) -> Floats:
        dense: Floats = self._all(target)[tails].toarray()
        return dense

    def lists(self, relation: int, columns: Tensor) -> Tensor:
        if relation not in self._in_space:
            target = self._inputs.targets[relation]
            own = self._all(target)[self._space.tails[target.relation]]
            self._in_space[relation] = sp.csr_array(own[:, self._space.heads])
        return torch.from_numpy(self._in_space[relation][columns.cpu().numpy()].toarray()).to(columns.device)

    def tail_lists(self, relation: int, rows: Tensor) -> Tensor:
        if relation not in self._around_heads:
            target = self._inputs.targets[relation]
            tails = self._space.tails[target.relation]
            scaled = self._all(target)[tails]
            # Between tails the scores themselves are compared: a list's own scale would make all first heads alike.
            own = sp.diags_array(self._most[target][tails]) @ scaled
            around = sp.csr_array(sp.csr_array(own)[:, self._space.heads].T)
            most = np.asarray(around.max(axis=1).todense()).reshape(-1)
            lists = sp.diags_array(1.0 / np.where(most > 0.0, most, 1.0)) @ around
            self._around_heads[relation] = sp.csr_array(lists.astype(np.float32))
        return torch.from_numpy(self._around_heads[relation][rows.cpu().numpy()].toarray()).to(rows.device)

    def _all(self, target: EdgeType) -> sp.csr_array:
        """Scaled lists of every tail, float32 [N_tail, N_head]."""
        if target not in self._kept:
            tails = np.arange(self._heuristic.training.tails)
            blocks, most = [], []
            for start in range(0, len(tails), _ROWS):
                dense = self._heuristic.block(target, tails[start : start + _ROWS])
                blocks.append(sp.csr_array(_scaled(dense).astype(np.float32)))
                most.append(dense.max(axis=1, initial=0.0))
            self._kept[target] = sp.csr_array(sp.vstack(blocks, format="csr"))
            self._most[target] = np.concatenate(most)
        return self._kept[target]


class PopularityTeacher(HeuristicTeacher):
    """One list for every tail: log(1 + training degree). Around a head all tails are alike."""

    def __init__(self, inputs: DistillInputs, heuristic: Heuristic) -> None:
        super().__init__(inputs)
        self._heuristic = heuristic
        self._rows: dict[EdgeType, Floats] = {}

    def scores(self, target: EdgeType, tails: Nodes) -> Floats:
        return np.broadcast_to(self._row(target), (len(tails), len(self._row(target))))

    def lists(self, relation: int, columns: Tensor) -> Tensor:
        row = torch.from_numpy(self._row(self._inputs.targets[relation])[self._space.heads])
        return row.to(columns.device).expand(len(columns), -1).clone()

    def tail_lists(self, relation: int, rows: Tensor) -> Tensor:
        return torch.zeros(len(rows), self._space.relations[relation].tail_count, device=rows.device)

    def _row(self, target: EdgeType) -> Floats:
        """The list, float32 [N_head]."""
        if target not in self._rows:
            counts = self._heuristic.block(target, np.zeros(1, np.int64))
            self._rows[target] = _scaled(np.log1p(counts)).astype(np.float32)[0]
        return self._rows[target]


def _scaled(lists: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every row divided by its maximum, where that is above 0."""
    most = lists.max(axis=1, keepdims=True, initial=0.0)
    scaled: NDArray[np.float64] = lists / np.where(most > 0.0, most, 1.0)
    return scaled
