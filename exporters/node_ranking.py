"""The list of one node of a bundle: every node of the other type in the model's order, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.answers import RIVALS, Order, Ranked
from exporters.engine import Engine
from exporters.opened_bundle import OpenedBundle
from exporters.opened_tables import other_side
from exporters.true_pairs import KNOWN
from flykd_console.errors import UserError
from flykd_console.explore.rivals import RivalRanks, gain_of_rank

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Doubles = NDArray[np.float64]


def ranking_of(
    bundle: OpenedBundle,
    engine: Engine,
    side: str,
    node: str | int,
    relation: str | None,
    top: int,
    exclude_known: bool,
    order: Order,
) -> list[Ranked]:
    """The best nodes of the other side for one at `side`, best first; the rest as in `Scorer.rank_tails`.

    Raises:
        UserError: The node or the relation is not there, or is ambiguous; or the bundle lacks what is asked for.
    """
    name = bundle.relation(relation)
    if top < 1:
        raise UserError(f"{top} is not a number of results", "--top", "Give 1 or more.")
    row = bundle.row(side, node)
    if not bundle.tables.embeddings(side, name)[row].any():
        raise bundle.unknown(side, row)
    known = bundle.tables.known(name).of(side, row)
    left_out = known[0] if exclude_known else known[0][:0]
    if order.get("adjust") or order.get("beyond") is not None or order.get("through") is not None:
        lines = _reordered(bundle, engine, side, row, name, top, left_out, order)
    else:
        lines = _first(bundle, engine, side, row, name, top, left_out)
    return _described(bundle, side, name, lines, known)


@dataclass(frozen=True)
class _Lines:
    """What a list says of its nodes, [n] each; `adjusted` and `beyond` where they were asked for."""

    index: Rows
    rank: Rows
    logit: Floats
    probability: Floats
    rivals: Mapping[str, Rows]
    adjusted: Doubles | None = None
    beyond: Doubles | None = None


def _first(
    bundle: OpenedBundle, engine: Engine, side: str, row: int, relation: str, top: int, left_out: Rows
) -> _Lines:
    """The first nodes in the model's own order: nothing is worked out of the others."""
    index, logit, probability = engine.best(side, row, relation, left_out, top)
    rivals = bundle.beside.ranks(side, row, relation, index, left_out)
    return _Lines(index, np.arange(1, len(index) + 1), logit, probability, rivals)


def _reordered(
    bundle: OpenedBundle,
    engine: Engine,
    side: str,
    row: int,
    relation: str,
    top: int,
    left_out: Rows,
    order: Order,
) -> _Lines:
    """The first nodes of another order, or of a part of the list: all of it is ranked."""
    index, logit, probability = engine.best(side, row, relation, left_out, None)
    rank = np.arange(1, len(index) + 1)
    rivals = bundle.beside.rivals(side, row, relation, index)
    adjusted = bundle.beside.adjusted(side, row, relation, index) if order.get("adjust") else None
    asked = order.get("beyond")
    beyond = None if asked is None else gain_of_rank(rank, _rival(bundle, rivals, asked))
    kept = _kept(bundle, side, row, index, order.get("through"))
    key = beyond if beyond is not None else adjusted
    if key is not None:
        # Of equals the better by the model.
        kept = kept[np.argsort(-key[kept], kind="stable")]
    kept = kept[:top]
    return _Lines(
        index[kept],
        rank[kept],
        logit[kept],
        probability[kept],
        {name: rival.rank[kept] for name, rival in rivals.items()},
        None if adjusted is None else adjusted[kept],
        None if beyond is None else beyond[kept],
    )


def _described(
    bundle: OpenedBundle, side: str, relation: str, lines: _Lines, known: tuple[Rows, NDArray[np.uint8]]
) -> list[Ranked]:
    """The lines with the nodes' names and what the graph knows of them."""
    others = bundle.nodes(other_side(side))
    index = lines.index.tolist()
    parts = dict(zip(known[0].tolist(), known[1].tolist(), strict=True))
    nothing: list[None] = [None] * len(index)
    columns = (
        index,
        lines.rank.tolist(),
        lines.logit.tolist(),
        lines.probability.tolist() if bundle.is_calibrated(relation) else nothing,
        (bundle.beside.training_pairs(relation, other_side(side))[lines.index] > 0).tolist(),
        lines.rivals["popularity"].tolist(),
        lines.rivals["neighbours"].tolist() if "neighbours" in lines.rivals else nothing,
        nothing if lines.adjusted is None else lines.adjusted.tolist(),
        nothing if lines.beyond is None else lines.beyond.tolist(),
    )
    return [
        Ranked(
            relation=relation,
            rank=rank,
            index=place,
            id=others.ids[place],
            name=others.names[place],
            logit=logit,
            probability=probability,
            known=KNOWN[parts.get(place, 0)],
            trained=trained,
            # Rank 0: the rival says nothing of it.
            popularity_rank=popular or None,
            neighbours_rank=near or None,
            adjusted=adjusted,
            beyond=beyond,
        )
        for place, rank, logit, probability, trained, popular, near, adjusted, beyond in zip(*columns, strict=True)
    ]


def _rival(bundle: OpenedBundle, rivals: Mapping[str, RivalRanks], name: str) -> RivalRanks:
    if name not in RIVALS:
        raise UserError(f"there is no rival {name!r}", "--beyond", f"Choose {' or '.join(RIVALS)}.")
    if name not in rivals:
        raise bundle.lacks(name, "nearest neighbours")
    return rivals[name]


def _kept(bundle: OpenedBundle, side: str, row: int, index: Rows, through: str | None) -> Rows:
    """Places in `index` of the nodes that are shown."""
    if through is None:
        return np.arange(len(index))
    point = bundle.waypoint(through)
    nodes, others = bundle.nodes(side), bundle.nodes(other_side(side))
    if row not in bundle.waypoints.reached(point, nodes.node_type):
        raise UserError(
            f"nothing in the graph joins {nodes.names[row] or nodes.ids[row]} with {point.words}",
            "--through",
            f"Name a node that the {nodes.node_type} is joined to.",
        )
    return np.flatnonzero(np.isin(index, bundle.waypoints.reached(point, others.node_type)))
