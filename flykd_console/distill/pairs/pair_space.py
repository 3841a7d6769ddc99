"""Where training pairs live: per relation the heads and tails with a training edge, and every pair's score.

Positives, their negatives and the random graphs of FlyKD all draw from this support, so a pair is one flat index
`head * tails + tail` and its logit one entry of a small matrix. An epoch that draws a large part of it computes it
whole: one matrix product, and two more for the gradient. On a CPU an epoch that draws few of its entries computes those
alone (`distill.pairs.sampled_scores`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from flykd_console.distill.pairs.sampled_scores import PAIR_COST, SampledPairs
from flykd_console.model.encoded import Encoded
from flykd_console.model.kernels import has_cpu_kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import Targets
    from flykd_console.graph.split.edge_split import Edges

# Above this many pairs of a relation, 4 bytes each, the matrix is not formed.
DENSE_LIMIT = 100_000_000


@dataclass(frozen=True)
class RelationPairs:
    """The training pairs of one relation.

    Attributes:
        heads: Rows of the encoder's heads that have an edge, and then of any others in the space, int64 [m].
        known_heads: How many have an edge.
        tail_count: n; the encoder's tails of this relation are those with an edge, and then any others in the space.
        known_count: How many of them have an edge.
        edge_heads, edge_tails: Per training edge the position in `heads` and in the tails, int64 [E] on the device.
    """

    relation: str
    heads: Tensor
    known_heads: int
    tail_count: int
    known_count: int
    edge_heads: Tensor
    edge_tails: Tensor

    @property
    def edge_count(self) -> int:
        return len(self.edge_heads)

    @property
    def unseen_count(self) -> int:
        """Tails without an edge of the relation."""
        return self.tail_count - self.known_count

    @property
    def area(self) -> int:
        """Number of pairs in the support."""
        return len(self.heads) * self.tail_count

    def flat(self, heads: Tensor, tails: Tensor) -> Tensor:
        """Flat indices of pairs, int64 [n]."""
        return heads * self.tail_count + tails

    def positives(self) -> Tensor:
        """Flat indices of the training edges, int64 [E]."""
        return self.flat(self.edge_heads, self.edge_tails)


class PairSpace:
    """The supports of all target relations.

    Args:
        also: Tails that are in every relation's space, whether they have an edge of it or not, ascending, int64.
        also_heads: Heads that are encoded, whether they have an edge of a target or not, ascending, int64.
        candidates: Heads that are in every relation's space, whether they have an edge of it or not, ascending, int64.

    Attributes:
        heads: Node indices of every head with a training edge in any target, and of the others that are encoded,
            ascending, int64 [m].
        tails: Per relation node indices of its tails, int64 [n_r]: those with an edge, ascending, and then the others.
        relations: Per relation its pairs, in the order of the targets.
    """

    def __init__(
        self,
        targets: Targets,
        train: Edges,
        device: torch.device,
        dense_limit: int = DENSE_LIMIT,
        also: NDArray[np.int64] | None = None,
        also_heads: NDArray[np.int64] | None = None,
        candidates: NDArray[np.int64] | None = None,
    ) -> None:
        self.dense_limit = dense_limit
        others = [nodes for nodes in (also_heads, candidates) if nodes is not None]
        self.heads: NDArray[np.int64] = np.unique(np.concatenate([*(train[target][0] for target in targets), *others]))
        self.tails: dict[str, NDArray[np.int64]] = {}
        self.relations: list[RelationPairs] = []
        for target in targets:
            heads, edge_heads = np.unique(train[target][0], return_inverse=True)
            tails, edge_tails = np.unique(train[target][1], return_inverse=True)
            unseen, further = _without(also, tails), _without(candidates, heads)
            self.tails[target.relation] = np.concatenate([tails, unseen])
            self.relations.append(
                RelationPairs(
                    relation=target.relation,
                    heads=torch.from_numpy(np.searchsorted(self.heads, np.concatenate([heads, further]))).to(device),
                    known_heads=len(heads),
                    tail_count=len(tails) + len(unseen),
                    known_count=len(tails),
                    edge_heads=torch.from_numpy(edge_heads).to(device),
                    edge_tails=torch.from_numpy(edge_tails).to(device),
                )
            )

    def logits(self, encoded: Encoded, indices: list[Tensor]) -> list[Tensor]:
        """Logits of pairs: per relation (in order) flat indices [n_r] -> float32 [n_r], differentiable."""
        results = []
        for pairs, index in zip(self.relations, indices, strict=True):
            results.append(self.scores(pairs, *self.ends(pairs, encoded), index))
        return results

    def ends(self, pairs: RelationPairs, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """The two sides of a relation's logits: heads times the relation's vector, [m, d], and tails, [n, d]."""
        heads = encoded.head.index_select(0, pairs.heads) * encoded.relation[pairs.relation]
        return heads, encoded.tails[pairs.relation]

    def scores(self, pairs: RelationPairs, heads: Tensor, tails: Tensor, index: Tensor) -> Tensor:
        """Inner products of the two sides at flat indices, int64 [n] -> float32 [n], differentiable."""
        if self._samples(pairs, index):
            return SampledPairs.of(index, len(pairs.heads), pairs.tail_count).logits(heads, tails)
        if pairs.area <= self.dense_limit:
            return (heads @ tails.T).view(-1).index_select(0, index)
        rows, columns = index // pairs.tail_count, index % pairs.tail_count
        return (heads.index_select(0, rows) * tails.index_select(0, columns)).sum(dim=-1)

    def _samples(self, pairs: RelationPairs, index: Tensor) -> bool:
        """Whether the listed pairs cost less than the whole matrix."""
        if not has_cpu_kernels(index.device) or self.dense_limit == 0 or pairs.area >= 2**31 or len(index) > pairs.area:
            return False
        return pairs.area > self.dense_limit or PAIR_COST * len(index) < pairs.area


def _without(nodes: NDArray[np.int64] | None, others: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the nodes that are not among the others, ascending; none where there are no nodes."""
    if nodes is None:
        return np.empty(0, np.int64)
    return np.setdiff1d(nodes, others)
