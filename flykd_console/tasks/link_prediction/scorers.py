"""What is measured, whatever it is made of: anything that scores listed pairs, and every head with every tail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch

from flykd_console.heuristics.base import listed
from flykd_console.model.distmult import pair_logits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.distill.pairs.pair_space import PairSpace
    from flykd_console.distill.teacher import Teacher
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.heuristics.base import Heuristic
    from flykd_console.model.encoded import Encoded

    Nodes = NDArray[np.int64]
    Floats = NDArray[np.floating]

# Tails that are scored with every head at a time; bounds the memory.
_TAILS = 1024


class Scorer(ABC):
    """Scores of pairs of a head and a tail under a target relation; an order, not a probability."""

    @abstractmethod
    def block(self, target: EdgeType, tails: Nodes, heads: Nodes) -> Floats:
        """Scores of each of some tails with each of some heads, float32 or float64 [tails, heads]; int64 indices."""

    @abstractmethod
    def pairs(self, target: EdgeType, heads: Nodes, tails: Nodes) -> NDArray[np.float32]:
        """Scores of listed pairs, float32 [n]; heads and tails int64 [n]."""


class EmbeddingScorer(Scorer):
    """DistMult over embedding tables on the CPU, of every head and every tail."""

    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded

    def block(self, target: EdgeType, tails: Nodes, heads: Nodes) -> Floats:
        encoded, relation = self._encoded, target.relation
        head = encoded.head.numpy()[heads] * encoded.relation[relation].numpy()
        scores: Floats = encoded.tails[relation].numpy()[tails] @ head.T
        return scores

    def pairs(self, target: EdgeType, heads: Nodes, tails: Nodes) -> NDArray[np.float32]:
        encoded, relation = self._encoded, target.relation
        head, tail = encoded.head[torch.from_numpy(heads)], encoded.tails[relation][torch.from_numpy(tails)]
        logits: NDArray[np.float32] = pair_logits(head, encoded.relation[relation], tail).numpy()
        return logits


class HeuristicScorer(Scorer):
    """A heuristic, asked for the pairs that are wanted alone."""

    def __init__(self, heuristic: Heuristic) -> None:
        self._heuristic = heuristic

    def block(self, target: EdgeType, tails: Nodes, heads: Nodes) -> Floats:
        return self._heuristic.block(target, tails, heads)

    def pairs(self, target: EdgeType, heads: Nodes, tails: Nodes) -> NDArray[np.float32]:
        return self._heuristic.pairs(target, heads, tails).astype(np.float32)


class ListScorer(Scorer):
    """The lists that a teacher holds around tails; nodes outside of its space score 0, as where nothing is known."""

    def __init__(self, teacher: Teacher, space: PairSpace) -> None:
        self._teacher, self._space = teacher, space
        self._numbers = {pairs.relation: number for number, pairs in enumerate(space.relations)}

    def block(self, target: EdgeType, tails: Nodes, heads: Nodes) -> Floats:
        number = self._numbers[target.relation]
        columns, listed = _positions(self._space.tails[target.relation], tails)
        rows, encoded = _positions(self._space.heads, heads)
        scores = np.zeros((len(tails), len(heads)), np.float32)
        found = np.flatnonzero(listed)
        for start in range(0, len(found), _TAILS):
            some = found[start : start + _TAILS]
            lists = self._teacher.lists(number, torch.from_numpy(columns[some])).cpu().numpy()
            scores[np.ix_(some, encoded)] = lists[:, rows[encoded]]
        return scores

    def pairs(self, target: EdgeType, heads: Nodes, tails: Nodes) -> NDArray[np.float32]:
        return listed(lambda rows, columns: self.block(target, rows, columns), heads, tails).astype(np.float32)


def _positions(nodes: Nodes, asked: Nodes) -> tuple[Nodes, NDArray[np.bool_]]:
    """Where each asked node stands among some distinct nodes, int64 [n], and whether it does, bool [n]."""
    order = np.argsort(nodes)
    place = np.minimum(np.searchsorted(nodes[order], asked), len(nodes) - 1)
    at: Nodes = order[place]
    return at, nodes[at] == asked
