"""What is measured, whatever it is made of: anything that scores listed pairs, and every head with every tail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch

from flykd_console.model.distmult import pair_logits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.heuristics.base import Heuristic
    from flykd_console.model.encoded import Encoded

    Nodes = NDArray[np.int64]
    Floats = NDArray[np.floating]


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
