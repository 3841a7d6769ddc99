"""The list of one node of a bundle: every node of the other type in the model's order, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.answers import RIVALS, Order, Ranked
from exporters.manifest import RANKING_HEAD, damaged
from exporters.onnx_sessions import run_head
from exporters.opened_bundle import OpenedBundle
from exporters.opened_tables import other_side
from flykd_console.errors import UserError
from flykd_console.explore.rivals import RivalRanks, gain_of_rank

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


def ranking_of(
    bundle: OpenedBundle,
    session: Any,
    side: str,
    node: str | int,
    relation: str | None,
    top: int,
    exclude_known: bool,
    order: Order,
) -> list[Ranked]:
    """The best nodes of the other side for one at `side`, best first; the rest as in `Scorer.rank_tails`.

    Args:
        session: Of the ranking head.

    Raises:
        UserError: The node or the relation is not there, or is ambiguous; or the bundle lacks what is asked for.
    """
    name = bundle.relation(relation)
    if top < 1:
        raise UserError(f"{top} is not a number of results", "--top", "Give 1 or more.")
    others = bundle.nodes(other_side(side))
    row = bundle.row(side, node)
    known = bundle.tables.known(name, side, row)
    index, logit, probability = _scored(bundle, session, side, row, name, known if exclude_known else {})
    rank = np.arange(1, len(index) + 1)
    rivals = bundle.beside.rivals(side, row, name, index)
    adjusted = bundle.beside.adjusted(side, row, name, index) if order.get("adjust") else None
    asked = order.get("beyond")
    beyond = None if asked is None else gain_of_rank(rank, _rival(bundle, rivals, asked))
    kept = _kept(bundle, side, row, index, order.get("through"))
    key = beyond if beyond is not None else adjusted
    if key is not None:
        # Of equals the better by the model.
        kept = kept[np.argsort(-key[kept], kind="stable")]
    trained = bundle.beside.training_pairs(name, other_side(side))
    calibrated = bundle.is_calibrated(name)
    return [
        Ranked(
            relation=name,
            rank=int(rank[n]),
            index=int(index[n]),
            id=others.ids[index[n]],
            name=others.names[index[n]],
            logit=float(logit[n]),
            probability=float(probability[n]) if calibrated else None,
            known=known.get(int(index[n]), ""),
            trained=bool(trained[index[n]]),
            popularity_rank=_shown(rivals["popularity"], n),
            neighbours_rank=_shown(rivals.get("neighbours"), n),
            adjusted=None if adjusted is None else float(adjusted[n]),
            beyond=None if beyond is None else float(beyond[n]),
        )
        for n in kept[:top].tolist()
    ]


def _scored(
    bundle: OpenedBundle, session: Any, side: str, row: int, relation: str, left_out: Mapping[int, str]
) -> tuple[Rows, Floats, Floats]:
    """Every node of the other side in the model's order: rows, logits, probabilities, [n] each."""
    query, silent = bundle.tables.embeddings(side, relation)[row], bundle.unembedded(other_side(side), relation)
    if not query.any():
        raise bundle.unknown(side, row)
    candidates = bundle.tables.embeddings(other_side(side), relation)
    feed = {
        "query": query,
        "relation": np.array(bundle.relations.index(relation), dtype=np.int64),
        "candidates": candidates,
        "k": np.array([len(candidates)], dtype=np.int64),
    }
    path = bundle.path / RANKING_HEAD
    index, logit, probability = run_head(session, ["index", "logit", "probability"], feed, path)
    agree = index.ndim == 1 and index.shape == logit.shape == probability.shape
    if not agree or (index.size and (index.min() < 0 or index.max() >= len(candidates))):
        raise damaged("ranks what its tables do not have", path)
    # A node without an embedding scores 0 with everything, which would stand above every negative logit.
    kept = ~np.isin(index, [*silent, *left_out])
    return index[kept], logit[kept], probability[kept]


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


def _shown(rival: RivalRanks | None, place: int) -> int | None:
    """A rival's rank of a candidate; None where it says nothing."""
    if rival is None or not rival.rank[place]:
        return None
    return int(rival.rank[place])
