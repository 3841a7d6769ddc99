"""The list of a node that is not in the graph: where its profile places it, and what its relatives rank."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from exporters.answers import RIVALS, Order, Placed, Ranked
from exporters.frequent_flyers import frequent_flyer_scores
from exporters.node_profile import NodeProfile
from exporters.opened_bundle import OpenedBundle
from exporters.opened_tables import other_side
from exporters.unseen import POWER, SHARE, Unseen, embedding_of, evidence, lenders_of, neighbour_scores, place
from flykd_console.errors import UserError
from flykd_console.explore.rivals import RivalRanks, gain_of_rank

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Values = NDArray[np.float64]


def placed(bundle: OpenedBundle, profile: NodeProfile, skip_unknown: bool = False) -> Unseen:
    """A node that is not in the graph among those that are, for any relation.

    Raises:
        UserError: The profile names what is not there, or is like nothing; or the bundle holds no profiles.
    """
    try:
        side = "tail" if profile.node_type is None else bundle.side_of(profile.node_type)
    except UserError as error:
        raise UserError(error.title, f"{profile.where or 'the profile'}, type", error.hint) from None
    head, tail = bundle.manifest.head_type, bundle.manifest.tail_type
    relations = {name: (head, name, tail) for name in bundle.relations}
    return place(profile, side, bundle.profiles, {"head": bundle.heads, "tail": bundle.tails}, relations, skip_unknown)


def embedding(bundle: OpenedBundle, unseen: Unseen, relation: str | None) -> Floats:
    """The embedding of a placed node under a relation, float32 [d]."""
    return embedding_of(unseen, bundle.tables.embeddings(unseen.side, bundle.relation(relation)))[0]


def ranking_of_unseen(
    bundle: OpenedBundle, unseen: Unseen, relation: str | None, top: int, exclude_known: bool, order: Order
) -> Placed:
    """The list of a placed node under a relation, and by which nodes it is placed.

    Args:
        exclude_known: Leave out what its profile says to be known.
        order: `through` a node that its profile names.

    Raises:
        UserError: Nothing that is like it has an embedding; or the bundle lacks what is asked for.
    """
    name = bundle.relation(relation)
    if top < 1:
        raise UserError(f"{top} is not a number of results", "--top", "Give 1 or more.")
    vector, lending, weights = embedding_of(unseen, bundle.tables.embeddings(unseen.side, name))
    table = bundle.tables.embeddings(other_side(unseen.side), name)
    there, train = np.asarray(table.any(axis=1)), bundle.training_pairs(name)
    logits = table @ (bundle.tables.vector(name) * vector)
    more = evidence(neighbour_scores(unseen, train, len(table), POWER, SHARE), logits[there])
    scores = logits + more
    left_out = unseen.known.get(name, ())
    if exclude_known:
        there[list(left_out)] = False
    index = np.argsort(-scores, kind="stable")
    index = index[there[index]]
    return Placed(
        relation=name,
        name=unseen.name,
        node_type=unseen.node_type,
        given={block.relation: len(named) for block, named in unseen.given},
        left_out=unseen.left_out,
        lenders=tuple(lenders_of(unseen, lending, weights, bundle.nodes(unseen.side), bundle.profiles)),
        ranking=tuple(_listed(bundle, unseen, name, index, scores, (vector, more), top, order)),
    )


def _listed(
    bundle: OpenedBundle,
    unseen: Unseen,
    relation: str,
    index: Rows,
    scores: Values,
    parts: tuple[Floats, Values],
    top: int,
    order: Order,
) -> list[Ranked]:
    """The first lines of the list.

    Args:
        index: Rows of the candidates, best first, int64 [n].
        scores: Of all nodes of the other side, float64 [N_other].
        parts: What the scores are made of: an embedding, and what is added to its logits.
    """
    ranked = other_side(unseen.side)
    others, rank = bundle.nodes(ranked), np.arange(1, len(index) + 1)
    popularity = bundle.beside.training_pairs(relation, ranked)
    near = neighbour_scores(unseen, bundle.training_pairs(relation), len(others))
    rivals = {"popularity": RivalRanks.of(popularity[index]), "neighbours": RivalRanks.of(near[index])}
    adjusted = _adjusted(bundle, unseen.side, relation, parts, index) if order.get("adjust") else None
    beyond = _beyond(rank, rivals, order.get("beyond"))
    kept = _kept(bundle, unseen, index, order.get("through"))
    key = beyond if beyond is not None else adjusted
    if key is not None:
        # Of equals the better by score.
        kept = kept[np.argsort(-key[kept], kind="stable")]
    known = frozenset(unseen.known.get(relation, ()))
    return [
        Ranked(
            relation=relation,
            rank=int(rank[n]),
            index=int(index[n]),
            id=others.ids[index[n]],
            name=others.names[index[n]],
            logit=float(scores[index[n]]),
            probability=None,
            known="profile" if int(index[n]) in known else "",
            trained=bool(popularity[index[n]]),
            # Rank 0: the rival says nothing of it.
            popularity_rank=int(rivals["popularity"].rank[n]) or None,
            neighbours_rank=int(rivals["neighbours"].rank[n]) or None,
            adjusted=None if adjusted is None else float(adjusted[n]),
            beyond=None if beyond is None else float(beyond[n]),
        )
        for n in kept[:top].tolist()
    ]


def _beyond(rank: Rows, rivals: Mapping[str, RivalRanks], name: str | None) -> Values | None:
    """By how many times higher each candidate is ranked than by a rival, float64 [n]."""
    if name is None:
        return None
    if name not in rivals:
        raise UserError(f"there is no rival {name!r}", "--beyond", f"Choose {' or '.join(RIVALS)}.")
    return gain_of_rank(rank, rivals[name])


def _adjusted(bundle: OpenedBundle, side: str, relation: str, parts: tuple[Floats, Values], index: Rows) -> Values:
    """Frequent-flyer scores of the candidates, float64 [n]: the new node is a further row of the matrix."""
    mine, theirs = (bundle.tables.embeddings(one, relation) for one in (side, other_side(side)))
    alike, ranked = (np.flatnonzero(table.any(axis=1)) for table in (mine, theirs))
    vector, more = parts
    # What is added to its logits is a column that the nodes of the graph have not.
    rows = np.column_stack([theirs[ranked] * bundle.tables.vector(relation), more[ranked]]).astype(np.float32)
    queries = np.vstack([np.pad(mine[alike], ((0, 0), (0, 1))), np.append(vector, 1.0)]).astype(np.float32)
    train = bundle.training_pairs(relation)
    place = 0 if side == "head" else 1
    ends = train[:, 1 - place], train[:, place]
    inside = np.isin(ends[0], ranked) & np.isin(ends[1], alike)
    trained = (np.searchsorted(ranked, ends[0][inside]), np.searchsorted(alike, ends[1][inside]))
    return frequent_flyer_scores(rows, queries, len(alike), trained)[np.searchsorted(ranked, index)]


def _kept(bundle: OpenedBundle, unseen: Unseen, index: Rows, through: str | None) -> Rows:
    """Places in `index` of the nodes that are shown."""
    if through is None:
        return np.arange(len(index))
    point = bundle.waypoint(through)
    if point.row not in unseen.joined.get(point.node_type, ()):
        raise UserError(
            f"nothing in the profile joins {unseen.name} with {point.words}", "--through", "Name a node of the profile."
        )
    return np.flatnonzero(np.isin(index, bundle.reached(through, other_side(unseen.side))))
