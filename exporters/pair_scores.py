"""Pairs of a bundle's nodes with their scores and what the graph knows of them: as columns, and line by line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exporters.answers import ScoredPair
from exporters.engine import Engine
from exporters.opened_bundle import OpenedBundle
from exporters.true_pairs import KNOWN

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class PairTable:
    """Scored pairs in the order they were asked for, [n] each.

    Attributes:
        relation: Places in the bundle's relations, int64.
        head: Rows, int64; `tail` likewise.
        logit: float32.
        probability: float32, NaN where the relation has no calibration.
        known: Codes of `exporters.true_pairs.KNOWN`, uint8.
        head_trained: Whether the relation has a training pair of the head; `tail_trained` of the tail.
    """

    relation: Rows
    head: Rows
    tail: Rows
    logit: Floats
    probability: Floats
    known: NDArray[np.uint8]
    head_trained: Flags
    tail_trained: Flags

    def __len__(self) -> int:
        return len(self.head)

    def lines(self, bundle: OpenedBundle) -> list[ScoredPair]:
        """The same line by line, with ids and names."""
        heads, tails = bundle.heads, bundle.tails
        columns = (
            self.relation.tolist(),
            self.head.tolist(),
            self.tail.tolist(),
            self.logit.tolist(),
            self.probability.tolist(),
            self.known.tolist(),
            self.head_trained.tolist(),
            self.tail_trained.tolist(),
        )
        return [
            ScoredPair(
                relation=bundle.relations[relation],
                head_id=heads.ids[head],
                head_name=heads.names[head],
                tail_id=tails.ids[tail],
                tail_name=tails.names[tail],
                logit=logit,
                # NaN is unequal to itself.
                probability=probability if probability == probability else None,
                known=KNOWN[known],
                head_trained=head_trained,
                tail_trained=tail_trained,
            )
            for relation, head, tail, logit, probability, known, head_trained, tail_trained in zip(
                *columns, strict=True
            )
        ]


def pair_table(bundle: OpenedBundle, engine: Engine, relation: Rows, heads: Rows, tails: Rows) -> PairTable:
    """Score pairs of rows, each under the relation at its place in the bundle's; int64 [n] each."""
    columns: dict[str, NDArray[Any]] = {
        "logit": np.empty(len(heads), np.float32),
        "probability": np.empty(len(heads), np.float32),
        "known": np.empty(len(heads), np.uint8),
        "head_trained": np.empty(len(heads), np.bool_),
        "tail_trained": np.empty(len(heads), np.bool_),
    }
    for place, name in enumerate(bundle.relations):
        where = np.flatnonzero(relation == place)
        if not len(where):
            continue
        some = slice(None) if len(where) == len(heads) else where
        true = bundle.tables.known(name)
        columns["logit"][some], columns["probability"][some] = engine.pairs(name, heads[some], tails[some])
        columns["known"][some] = true.codes(heads[some], tails[some])
        columns["head_trained"][some] = (true.training["head"] > 0)[heads[some]]
        columns["tail_trained"][some] = (true.training["tail"] > 0)[tails[some]]
    return PairTable(relation, heads, tails, **columns)


def pair_scores(
    bundle: OpenedBundle, engine: Engine, heads: ArrayLike, tails: ArrayLike, relation: str | None = None
) -> tuple[Floats, Floats]:
    """Logits and probabilities, float32 [n] each, of pairs given as rows of the embedding tables, int [n] each.

    Without a calibration of the relation the probabilities are NaN.

    Raises:
        ValueError: There are not as many heads as tails.
        IndexError: A row is none of the tables'.
    """
    name = bundle.relation(relation)
    rows = [np.asarray(side, dtype=np.int64).reshape(-1) for side in (heads, tails)]
    if len(rows[0]) != len(rows[1]):
        raise ValueError(f"{len(rows[0])} heads and {len(rows[1])} tails")
    for side, nodes in zip(rows, (bundle.heads, bundle.tails), strict=True):
        if side.size and (side.min() < 0 or side.max() >= len(nodes)):
            raise IndexError(f"a row of {nodes.node_type} is outside 0 to {len(nodes) - 1}")
    return engine.pairs(name, rows[0], rows[1])


def described_pairs(
    bundle: OpenedBundle, engine: Engine, pairs: Sequence[tuple[str | int, str | int]], relation: str | None = None
) -> list[ScoredPair]:
    """Score (head, tail) pairs, each node by its row, id, name or beginning of its name, in the order given."""
    place = bundle.relations.index(bundle.relation(relation))
    heads = np.array([bundle.row("head", head) for head, _ in pairs], dtype=np.int64)
    tails = np.array([bundle.row("tail", tail) for _, tail in pairs], dtype=np.int64)
    return pair_table(bundle, engine, np.full(len(pairs), place), heads, tails).lines(bundle)
