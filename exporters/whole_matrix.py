"""All pairs of a relation, list after list: what `Scorer.rank_heads` says of one tail, said of every one.

Ranks are among the same candidates as there: heads with an embedding, without known pairs where that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.answers import Order
from exporters.matrix_ranks import MatrixRanks
from exporters.numpy_engine import probabilities
from exporters.scorer import Scorer
from exporters.sorting import descending
from flykd_console.errors import UserError
from flykd_console.explore.rivals import RivalRanks, gain_of_rank

Rows = NDArray[np.int64]
# Pairs after which a block is handed out.
_PAIRS = 1 << 20


@dataclass(frozen=True)
class Wanted:
    """What of a relation's matrix.

    Attributes:
        top: How many of each list; None: all.
        exclude_known: Leave out every true pair of the graph.
        order: As a ranking's.
    """

    top: int | None
    exclude_known: bool
    order: Order


class WholeMatrix:
    """One relation's lists.

    Attributes:
        tails: Rows of the tails with an embedding that are listed, int64 [n]; `through` keeps those that are joined.

    Raises:
        UserError: The bundle lacks what was asked for.
    """

    def __init__(self, scorer: Scorer, relation: str, wanted: Wanted) -> None:
        self._scorer, self._relation, self._wanted = scorer, scorer.relation(relation), wanted
        tables = scorer.tables
        self._among = tables.candidates("head", self._relation)
        self._heads = self._among.rows
        self._all_tails = tables.embedded("tail", self._relation)
        self._train = tables.pairs(self._relation, "train")
        self._nearest = tables.nearest(self._relation)
        self._known = tables.known(self._relation)
        if wanted.order.get("beyond") == "neighbours" and self._nearest is None:
            raise UserError(
                "the bundle holds no nearest neighbours", str(scorer.path), "Leave --beyond neighbours out."
            )
        self._through, self.tails = self._reached()
        self._trained = {side: scorer.beside.training_pairs(self._relation, side) for side in ("head", "tail")}
        self._popular = RivalRanks.of(self._trained["head"][self._heads])

    @property
    def pairs(self) -> int:
        """How many pairs the blocks hold at most."""
        most = len(self._heads) if self._wanted.top is None else min(self._wanted.top, len(self._heads))
        return most * len(self.tails)

    def blocks(self) -> Iterator[tuple[int, Mapping[str, NDArray[Any]]]]:
        """Lists of some tails at a time: how many tails, and columns of equal length.

        `head`, `tail` (rows), `rank`, `logit`, `probability` (NaN without calibration), `popularity_rank` and
        `neighbours_rank` (0: none), `known` (a code of `exporters.true_pairs.KNOWN`), `head_trained`, `tail_trained`,
        and where asked for `adjusted` and `beyond`.
        """
        corrected = self._correction() if self._wanted.order.get("adjust") else None
        table = self._scorer.tables.embeddings("tail", self._relation)
        parts: list[Mapping[str, NDArray[Any]]] = []
        held = tails = 0
        for row in self.tails.tolist():
            parts.append(self._list(row, self._among.scores(table[row]), corrected))
            held += len(parts[-1]["head"])
            tails += 1
            if held >= _PAIRS:
                yield tails, _joined(parts)
                parts, held, tails = [], 0, 0
        if parts:
            yield tails, _joined(parts)

    def _list(self, row: int, own: NDArray[np.float32], corrected: MatrixRanks | None) -> Mapping[str, NDArray[Any]]:
        wanted = self._wanted
        known = self._known_codes(row)
        adjusted = None
        if corrected is not None:
            adjusted = corrected.scores(int(np.searchsorted(self._all_tails, row)), own)
        left = np.flatnonzero(known == 0) if wanted.exclude_known else np.arange(len(own))
        kept = left[descending(own[left])]
        rank = np.arange(1, len(kept) + 1, dtype=np.int32)
        popular, near = self._rivals(row, kept)
        columns: dict[str, NDArray[Any]] = {"rank": rank, "popularity_rank": popular.rank, "neighbours_rank": near.rank}
        if adjusted is not None:
            columns["adjusted"] = adjusted[kept]
        if asked := wanted.order.get("beyond"):
            columns["beyond"] = gain_of_rank(rank.astype(np.int64), popular if asked == "popularity" else near)
        place = np.arange(len(kept))
        if self._through is not None:
            place = place[self._through[kept]]
        key = columns.get("beyond", columns.get("adjusted"))
        if key is not None:
            place = place[np.argsort(-key[place], kind="stable")]
        place = place[: wanted.top]
        if len(place) < len(kept) or key is not None:
            columns = {name: values[place] for name, values in columns.items()}
        chosen = kept[place]
        heads = self._heads[chosen].astype(np.int32)
        return columns | {
            "head": heads,
            "tail": np.full(len(heads), row, np.int32),
            "logit": own[chosen],
            "probability": probabilities(self._scorer, self._relation, own[chosen]),
            "known": known[chosen],
            "head_trained": self._trained["head"][heads] > 0,
            "tail_trained": np.full(len(heads), self._trained["tail"][row] > 0),
        }

    def _rivals(self, row: int, kept: Rows) -> tuple[RivalRanks, RivalRanks]:
        """How popularity and neighbours rank the kept candidates, in their order."""
        popular = self._popular
        if len(kept) < len(self._heads):
            popular = RivalRanks.of(self._trained["head"][self._heads[kept]])
        else:
            popular = RivalRanks(popular.rank[kept], popular.shared[kept])
        if self._nearest is None or self._nearest.indptr[row] == self._nearest.indptr[row + 1]:
            return popular, RivalRanks.of(np.zeros(len(kept)))
        scores = self._known.neighbour_scores(self._nearest, row)[self._heads[kept]]
        if self._wanted.order.get("beyond") == "neighbours":
            return popular, RivalRanks.of(scores)
        # Most candidates score 0, and without an order by neighbours only the ranks of the others are asked for.
        some = np.flatnonzero(scores)
        near = RivalRanks(np.zeros(len(kept), np.int64), np.empty(0))
        near.rank[some] = RivalRanks.of(scores[some]).rank
        return popular, near

    def _known_codes(self, row: int) -> NDArray[np.uint8]:
        heads, codes = self._known.of("tail", row)
        inside = np.isin(heads, self._heads)
        found = np.zeros(len(self._heads), np.uint8)
        found[self._among.places(heads[inside])] = codes[inside]
        return found

    def _correction(self) -> MatrixRanks:
        inside = np.isin(self._train[:, 0], self._heads) & np.isin(self._train[:, 1], self._all_tails)
        ends = self._train[inside]
        return MatrixRanks(
            self._among.table,
            self._scorer.tables.embeddings("tail", self._relation)[self._all_tails],
            (np.searchsorted(self._heads, ends[:, 0]), np.searchsorted(self._all_tails, ends[:, 1])),
        )

    def _reached(self) -> tuple[NDArray[np.bool_] | None, Rows]:
        """Which candidates are shown, bool [n] (None: all), and of which tails lists are made."""
        through = self._wanted.order.get("through")
        if not through:
            return None, self._all_tails
        heads, tails = (self._scorer.reached(through, side) for side in ("head", "tail"))
        return np.isin(self._heads, heads), self._all_tails[np.isin(self._all_tails, tails)]


def _joined(parts: list[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
