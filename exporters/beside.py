"""What stands beside a model's ranking in a bundle: the rivals' ranks of the same nodes, and the adjusted scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.frequent_flyers import frequent_flyer_scores
from exporters.opened_tables import OpenedTables, other_side
from flykd_console.explore.rivals import RivalRanks, neighbour_scores

Rows = NDArray[np.int64]


class Beside:
    """Args: the tables of a bundle, and the numbers of heads and of tails."""

    def __init__(self, tables: OpenedTables, counts: tuple[int, int]) -> None:
        self._tables, self._counts = tables, counts

    def training_pairs(self, relation: str, side: str) -> Rows:
        """How many training pairs of the relation each node at a side has, int64 [N_side]."""
        return self._tables.known(relation).training[side]

    def ranks(self, side: str, row: int, relation: str, wanted: Rows, left_out: Rows) -> dict[str, Rows]:
        """As `rivals` gives the ranks, for a few nodes alone.

        Args:
            wanted: Rows of nodes of the other side, candidates and not left out, int64 [n].
            left_out: Rows that are not ranked, int64 [k], each once.
        """
        among = self._tables.candidates(other_side(side), relation)
        left_out = among.rows[among.places(left_out)]
        found = {}
        for name, scores in self.scores(side, row, relation).items():
            ranked = scores[among.rows]
            # Most score 0, and those have no rank.
            ascending = np.sort(ranked[ranked > 0])
            higher = len(ascending) - np.searchsorted(ascending, scores[wanted], side="right")
            if len(left_out):
                higher -= np.count_nonzero(scores[left_out] > scores[wanted][:, None], axis=1)
            found[name] = np.where(scores[wanted] > 0, higher + 1, 0)
        return found

    def rivals(self, side: str, row: int, relation: str, index: Rows) -> dict[str, RivalRanks]:
        """How the rivals order the nodes in `index` for a node at a side, by name; without those that the bundle lacks.

        Args:
            index: Rows of nodes of the other side, int64 [n].
        """
        return {name: RivalRanks.of(scores[index]) for name, scores in self.scores(side, row, relation).items()}

    def scores(self, side: str, row: int, relation: str) -> dict[str, NDArray[np.int64] | NDArray[np.float64]]:
        """The rivals' scores of every node of the other side, [N_other]; without those that the bundle lacks."""
        found: dict[str, NDArray[np.int64] | NDArray[np.float64]] = {}
        found["popularity"] = self.training_pairs(relation, other_side(side))
        nearest = self._tables.nearest(relation)
        if nearest is not None and side == "tail":
            found["neighbours"] = self._tables.known(relation).neighbour_scores(nearest, row)
        elif nearest is not None:
            train = self._tables.pairs(relation, "train")
            found["neighbours"] = neighbour_scores(nearest, train, side, row, self._counts)
        return found

    def adjusted(self, side: str, row: int, relation: str, index: Rows) -> NDArray[np.float64]:
        """Frequent-flyer scores of the nodes in `index`, float64 [n]; the matrix is of every node with an embedding."""
        place = 0 if side == "head" else 1
        ranked, alike = (self._tables.candidates(one, relation) for one in (other_side(side), side))
        train = self._tables.pairs(relation, "train")
        ends = train[:, 1 - place], train[:, place]
        inside = np.isin(ends[0], ranked.rows) & np.isin(ends[1], alike.rows)
        scores = frequent_flyer_scores(
            ranked.table,
            alike.table,
            int(np.searchsorted(alike.rows, row)),
            (np.searchsorted(ranked.rows, ends[0][inside]), np.searchsorted(alike.rows, ends[1][inside])),
        )
        return scores[np.searchsorted(ranked.rows, index)]
