"""What a ranking is held against: how popular a node is, and what the nearest neighbours say of the pair.

Two scorers without training that a reviewer tries first (`flykd_console.heuristics`), for one node that is asked for:

    popularity(o)    = training pairs of the relation that o is in
    neighbours(i, o) = Σ_j sim(i, j) [o in j's training pairs]      over the tails j most similar to tail i

`NearestTails` holds the similarities, which follow from the graph; the pairs are those of the relation. numpy alone:
the scorer of a bundle shares it with the exploring of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class NearestTails:
    """The trained tails most similar to each tail of one relation, as compressed sparse rows.

    Attributes:
        indptr: int64 [N_tail + 1]: where each tail's entries begin and end.
        index: Tails with training pairs of the relation, int64 [n].
        similarity: float32 [n].
    """

    indptr: Rows
    index: Rows
    similarity: NDArray[np.float32]

    @cached_property
    def rows(self) -> Rows:
        """The tail that each entry belongs to, int64 [n]."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    @classmethod
    def of(cls, rows: Rows, index: Rows, similarity: NDArray[np.float32], tails: int) -> NearestTails:
        """From entries in any order of their rows, int64 [n], int64 [n], float32 [n]; a row's keep theirs."""
        order = np.argsort(rows, kind="stable")
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=tails))]).astype(np.int64)
        return cls(indptr, index[order].astype(np.int64), similarity[order].astype(np.float32))


def popularity(train: Rows, side: str, counts: tuple[int, int]) -> Rows:
    """Training pairs of every node at a side, int64 [N_side].

    Args:
        train: The relation's training pairs (head, tail), int64 [n, 2].
        side: `head` or `tail`: whose nodes are counted.
        counts: Numbers of heads and of tails.
    """
    place = 0 if side == "head" else 1
    return np.bincount(train[:, place], minlength=counts[place])


def neighbour_scores(nearest: NearestTails, train: Rows, side: str, row: int, counts: tuple[int, int]) -> Values:
    """Neighbours' scores of every node with the one asked for, float64 [N_other].

    Args:
        train: The relation's training pairs (head, tail), int64 [n, 2].
        side: Of the node asked for: of a `tail` heads are scored, of a `head` tails.
        row: The node.
        counts: Numbers of heads and of tails.
    """
    heads, tails = counts
    if side == "head":
        theirs = np.zeros(tails, dtype=np.bool_)
        theirs[train[train[:, 0] == row, 1]] = True
        held = theirs[nearest.index]
        return _sums(nearest.rows[held], nearest.similarity[held], tails)
    similarity = np.zeros(tails)
    mine = slice(nearest.indptr[row], nearest.indptr[row + 1])
    np.add.at(similarity, nearest.index[mine], nearest.similarity[mine])
    held = similarity[train[:, 1]] > 0.0
    return _sums(train[held, 0], similarity[train[held, 1]], heads)


def _sums(rows: Rows, weights: NDArray[np.floating], count: int) -> Values:
    """The sum of the weights of every row, float64 [count]."""
    return np.bincount(rows, weights=weights, minlength=count).astype(np.float64)


@dataclass(frozen=True)
class RivalRanks:
    """How a rival orders the same candidates.

    Attributes:
        rank: From 1, equal scores share the first of their ranks; 0 where the rival says nothing (score 0). int64 [n].
        shared: The mean of the ranks that equal scores share, those of score 0 too, float64 [n].
    """

    rank: Rows
    shared: Values

    @classmethod
    def of(cls, scores: NDArray[np.int64] | Values) -> RivalRanks:
        """From the scores of the candidates, [n], none below 0."""
        values, group, sizes = np.unique(-np.asarray(scores), return_inverse=True, return_counts=True)
        first = np.cumsum(sizes) - sizes + 1
        rank = np.where(values[group] < 0, first[group], 0).astype(np.int64)
        return cls(rank, (first + (sizes - 1) / 2.0)[group])


def gain_of_rank(rank: Rows, rival: RivalRanks) -> Values:
    """How many times higher a model ranks each candidate than a rival does: the rival's rank / the model's, [n].

    What a recommendation adds to a primitive predictor's (Ge, Delgado-Battenfeld and Jannach 2010, Beyond accuracy).
    The ratio weighs the top of the list: from 2000 to 5 counts more than from 4000 to 2000, though the difference does
    not. Candidates that the rival cannot tell apart share the mean of their ranks.
    """
    gain: Values = rival.shared / rank
    return gain
