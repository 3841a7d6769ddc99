"""What the seeds of a bundle agree on: each seed's own ranks of the same nodes, their mean and their spread.

A bundle of the mean of S seeds (`exporters.ensemble`) holds their tables side by side, so that each seed's logits are
those of its own columns; the vector's division by S changes no order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.opened_tables import other_side
from exporters.scorer import Scorer
from exporters.sorting import ranks_of
from exporters.true_pairs import KNOWN
from flykd_console.errors import UserError


@dataclass(frozen=True, slots=True)
class Agreed:
    """One line of a consensus.

    Attributes:
        rank: By the mean rank, from 1.
        index: Row of the node in its embedding table.
        mean_rank: Over seeds, of its ranks by each seed's model among the same nodes, from 1.
        spread: Their standard deviation, with n - 1.
        seed_ranks: The ranks, in the order of the bundle's seeds (of those that know the node asked for). A node that a
            seed knows nothing of shares the mean of the last places there.
        known: `train`, `validation` or `test` where the pair is a true one of the graph, else empty.
        trained: Whether the relation has a training pair of the node in any seed.
    """

    relation: str
    rank: int
    index: int
    id: str
    name: str
    mean_rank: float
    spread: float
    seed_ranks: tuple[float, ...]
    known: str
    trained: bool


def consensus(
    scorer: Scorer,
    side: str,
    node: str | int,
    relation: str | None = None,
    top: int = 20,
    exclude_known: bool = False,
) -> list[Agreed]:
    """The nodes of the other side that the seeds rank highest on average for a node at a side, best first.

    Raises:
        UserError: The bundle holds one seed, the node or the relation is not there, or no seed knows the node.
    """
    name, seeds = scorer.relation(relation), scorer.manifest.seeds
    if len(seeds) < 2:
        raise UserError(
            f"the bundle holds seed {seeds[0]} alone, and a consensus is of several",
            str(scorer.path),
            f"Export them together: flykd-console export {scorer.manifest.run} --ensemble",
        )
    nodes, others = (scorer.heads, scorer.tails) if side == "head" else (scorer.tails, scorer.heads)
    row = nodes.find(node) if isinstance(node, str) else node
    tables, vector = scorer.tables, scorer.tables.vector(name)
    query, table = tables.embeddings(side, name)[row] * vector, tables.embeddings(other_side(side), name)
    theirs, codes = tables.known(name).of(side, row)
    known = dict(zip(theirs.tolist(), codes.tolist(), strict=True))
    kept = np.asarray(table.any(axis=1))
    if exclude_known:
        kept[theirs] = False
    index = np.flatnonzero(kept)
    width = len(vector) // len(seeds)
    columns = [slice(place * width, (place + 1) * width) for place in range(len(seeds))]
    if not query.any():
        raise UserError(
            f"the model knows nothing of the {nodes.node_type} {nodes.names[row]!r}: no training edge leads to it",
            str(scorer.path),
            f"Ask for another {nodes.node_type}.",
        )
    # A seed that knows nothing of the node asked for has no order of its own.
    ranks = np.stack([_ranks(table[index, some], query[some]) for some in columns if query[some].any()])
    mean = ranks.mean(axis=0)
    spread = ranks.std(axis=0, ddof=1) if len(ranks) > 1 else np.zeros(len(index))
    trained = scorer.beside.training_pairs(name, other_side(side))
    return [
        Agreed(
            relation=name,
            rank=rank,
            index=int(index[place]),
            id=others.ids[index[place]],
            name=others.names[index[place]],
            mean_rank=float(mean[place]),
            spread=float(spread[place]),
            seed_ranks=tuple(ranks[:, place].tolist()),
            known=KNOWN[known.get(int(index[place]), 0)],
            trained=bool(trained[index[place]]),
        )
        for rank, place in enumerate(np.argsort(mean, kind="stable")[:top].tolist(), start=1)
    ]


def _ranks(table: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Ranks from 1 by one seed, float64 [n]; rows of zeros share the mean of the last places."""
    scores = np.where(table.any(axis=1), table @ query, -np.inf)
    ranks = ranks_of(scores).astype(np.float64)
    silent = ~np.isfinite(scores)
    if silent.any():
        ranks[silent] = ranks[silent].mean()
    return ranks
