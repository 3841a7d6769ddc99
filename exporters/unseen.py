"""A node that is not in the graph, placed among those that are: by what its profile shares with theirs.

    sim(q, i) = mean over the relations that the profile names of cos(q, i)        (`exporters.profile_tables`)
    e(q) = Σ_j sim(q, j) e_j / Σ_j sim(q, j)                 over the 20 most similar j with an embedding
    n(o) = Σ_j sim(q, j)^1.5 [o in j's pairs] / |pairs of j|^¼        over the 20 most similar j with training pairs
    score(o) = logit of e(q) and o + 32 σ n(o) / max n

where σ is the deviation of the logits over all candidates o. e(q) says what relatives' embeddings say on the mean, and
n what the relatives themselves are joined to, weighed as the teacher of `profiles/best.toml` does: alone each of them
ranks worse (`benchmarks/unseen.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.answers import Lender, Shared
from exporters.lookup import NodeIndex
from exporters.node_profile import NodeProfile
from exporters.profile_tables import Block, ProfileTables
from flykd_console.errors import UserError
from flykd_console.relation_names import is_meant

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Values = NDArray[np.float64]

# Most similar nodes that lend their embeddings.
LENDERS = 20
# Most similar nodes with training pairs by which neighbours rank, as those of `heuristics.neighbours`.
NEIGHBOURS = 20
# How those count in a score: power of the similarity, and of a neighbour's number of pairs by which it is divided.
POWER, SHARE = 1.5, 0.25
# Weight of what they say, in deviations of the logits.
WEIGHT = 32.0
# What denies something (`flykd_console.graph.connecting_edges`): a node type does not mean such a relation.
_DENYING = ("_negative", "_absent")
_SHOWN = 5


@dataclass(frozen=True)
class Unseen:
    """A node that is not in the graph, placed.

    Attributes:
        side: `head` or `tail`: what it would be.
        node_type: Its type.
        name: What it is called.
        given: Per relation that its profile names the rows of the nodes there, int64 [n], each once.
        known: Rows of nodes of the other side that it is known with, by scored relation.
        left_out: Nodes that the bundle does not know, as they were written.
        similarity: To every node of its side, in [0, 1], float64 [N].
    """

    side: str
    node_type: str
    name: str
    given: tuple[tuple[Block, Rows], ...]
    known: Mapping[str, tuple[int, ...]]
    left_out: tuple[str, ...]
    similarity: Values

    def nearest(self, there: NDArray[np.bool_], count: int) -> Rows:
        """The most similar nodes of some, of equals the first, int64 [at most count]; none without a similarity."""
        order = np.argsort(-np.where(there, self.similarity, 0.0), kind="stable")[:count]
        return order[(self.similarity[order] > 0.0) & there[order]]

    @property
    def joined(self) -> dict[str, Rows]:
        """By type the rows of the nodes that it is joined to, int64 [n]."""
        found: dict[str, Rows] = {}
        for block, rows in self.given:
            if not block.relation.endswith(_DENYING):
                found[block.other] = np.union1d(found.get(block.other, rows), rows)
        return found

    def shared(self, rows: Rows, tables: ProfileTables) -> dict[int, tuple[Shared, ...]]:
        """What it has in common with some nodes of its side, by row and relation; what few have first."""
        found: dict[int, tuple[Shared, ...]] = dict.fromkeys(rows.tolist(), ())
        for block, named in self.given:
            nodes = tables.nodes(block.other)
            common: dict[int, list[int]] = {row: [] for row in found}
            for column in named[np.argsort(-block.weight[named], kind="stable")].tolist():
                there = block.joined(column)
                for row in there[np.isin(there, rows)].tolist():
                    common[row].append(column)
            for row, columns in common.items():
                names = tuple(nodes.names[column] or nodes.ids[column] for column in columns[:_SHOWN])
                if columns:
                    found[row] += (Shared(block.relation, names, len(columns), block.kin and row in named),)
        return found


def place(
    profile: NodeProfile,
    side: str,
    tables: ProfileTables,
    ends: Mapping[str, NodeIndex],
    relations: Mapping[str, tuple[str, str, str]],
    skip_unknown: bool = False,
) -> Unseen:
    """Find the nodes of a profile, and how similar it is to every node of its side.

    Args:
        side: `head` or `tail`.
        ends: The nodes of either side.
        relations: The scored relations: head type, name and tail type of each.
        skip_unknown: Leave nodes out that the bundle does not know.

    Raises:
        UserError: A relation or a node is not there or could be several, or nothing is like the profile.
    """
    where, kind = profile.where, ends[side].node_type
    blocks = tables.blocks(kind)
    if not blocks:
        raise UserError(f"the graph says nothing of {kind} nodes besides their labels", where or "the profile")
    left_out: list[str] = []
    given: dict[str, tuple[Block, Rows]] = {}
    for key, nodes in profile.edges.items():
        block = _block(key, kind, blocks, relations, where)
        if block.words in given:
            raise UserError(f"edges.{key} and another key both mean {block.relation}", where, "Put them together.")
        rows = _rows(nodes, tables.nodes(block.other), f"edges.{key}", where, left_out if skip_unknown else None)
        if len(rows):
            given[block.words] = (block, rows)
    if not given:
        raise UserError("no node of the profile is in the graph", where, "Name nodes by their ids in the graph.")
    other = ends["tail" if side == "head" else "head"]
    known = {}
    for key, nodes in profile.known.items():
        name = next((name for name, ends_of in relations.items() if is_meant(key, *ends_of)), None)
        if name is None:
            raise UserError(f"no relation {key!r} is scored", f"{where}, known", f"Choose: {', '.join(relations)}.")
        rows = _rows(nodes, other, f"known.{key}", where, left_out if skip_unknown else None)
        known[name] = tuple(rows.tolist())
    # In a fixed order, whatever that of the file.
    parts = tuple(given[words] for words in sorted(given))
    similarity = np.sum([block.similar(rows) for block, rows in parts], axis=0) / len(parts)
    if not similarity.any():
        raise UserError(
            f"nothing that the profile names is joined to any {kind} of the graph", where, "Name more, or other nodes."
        )
    return Unseen(side, kind, profile.name, parts, known, tuple(left_out), similarity)


def embedding_of(unseen: Unseen, table: Floats) -> tuple[Floats, Rows, Values]:
    """Its embedding under a relation, float32 [d], and who lends it: rows and weights, [k] each.

    Args:
        table: Embeddings of its side under the relation, float32 [N, d].

    Raises:
        UserError: No node that is like it has an embedding.
    """
    rows = unseen.nearest(np.asarray(table.any(axis=1)), LENDERS)
    if not len(rows):
        raise UserError(
            f"the model knows no {unseen.node_type} that shares anything with {unseen.name!r}",
            hint="Name more nodes in its profile.",
        )
    weights = unseen.similarity[rows] / unseen.similarity[rows].sum()
    return (weights @ table[rows].astype(np.float64)).astype(np.float32), rows, weights


def neighbour_scores(unseen: Unseen, train: Rows, count: int, power: float = 1.0, share: float = 0.0) -> Values:
    """What nearest neighbours by profile say of every node of the other side, float64 [count].

    Σ_j sim(q, j)^power [o in j's pairs] / |pairs of j|^share over the 20 most similar j with training pairs.

    Args:
        train: The relation's training pairs (head, tail), int64 [n, 2].
    """
    mine, theirs = (train[:, 0], train[:, 1]) if unseen.side == "head" else (train[:, 1], train[:, 0])
    pairs = np.bincount(mine, minlength=len(unseen.similarity))
    nearest = unseen.nearest(pairs > 0, NEIGHBOURS)
    weights = np.zeros(len(pairs))
    weights[nearest] = unseen.similarity[nearest] ** power / pairs[nearest] ** share
    return np.bincount(theirs, weights=weights[mine], minlength=count).astype(np.float64)


def evidence(scores: Values, logits: Floats) -> Values:
    """What neighbours add to a node's logits, float64 [N_other].

    Args:
        scores: Of the neighbours, [N_other].
        logits: Of the candidates that a model knows, float32 [n].
    """
    most = float(scores.max(initial=0.0))
    if most == 0.0 or not len(logits):
        return np.zeros(len(scores))
    # A model that says the same of all leaves the neighbours' order.
    scale = WEIGHT * (float(logits.std()) or 1.0)
    added: Values = scores * (scale / most)
    return added


def lenders_of(unseen: Unseen, rows: Rows, weights: Values, nodes: NodeIndex, tables: ProfileTables) -> list[Lender]:
    """The nodes that lend an embedding, the most similar first, with what each has in common with it."""
    shared = unseen.shared(rows, tables)
    return [
        Lender(
            rank=rank,
            index=row,
            id=nodes.ids[row],
            name=nodes.names[row],
            similarity=float(unseen.similarity[row]),
            weight=float(weight),
            shared=shared[row],
        )
        for rank, (row, weight) in enumerate(zip(rows.tolist(), weights.tolist(), strict=True), start=1)
    ]


def _block(
    key: str, kind: str, blocks: tuple[Block, ...], relations: Mapping[str, tuple[str, str, str]], where: str
) -> Block:
    """The relation that a key means: its name, or the type of the nodes, or a word of it (`phenotypes`)."""
    named = [block for block in blocks if is_meant(key, block.head_type, block.relation, block.tail_type)]
    by_type = [block for block in blocks if _is_type(key, block.other)]
    found = named or [block for block in by_type if not block.relation.endswith(_DENYING)] or by_type
    if len(found) == 1:
        return found[0]
    place = f"{where}, edges" if where else "edges"
    if found:
        words = ", ".join(block.words if named else block.relation for block in found)
        raise UserError(f"{key!r} could be several relations", place, f"Name one: {words}.")
    if any(is_meant(key, *ends) for ends in relations.values()):
        raise UserError(f"{key!r} is what is asked for, and no part of a profile", place, "Put it under [known].")
    known = ", ".join(f"{block.relation} ({block.other})" for block in blocks)
    raise UserError(f"no relation {key!r} joins {kind} nodes", place, f"There are {known}.")


def _is_type(key: str, node_type: str) -> bool:
    """Whether a word means a node type: `gene/protein`, `gene`, `genes`."""
    word, whole = key.strip().casefold(), node_type.casefold()
    return any(word in (one, f"{one}s") for one in (whole, *whole.split("/")))


def _rows(nodes: tuple[str, ...], index: NodeIndex, place: str, where: str, left_out: list[str] | None) -> Rows:
    """Rows of nodes, each once, int64 [n], ascending.

    Args:
        left_out: Takes those that there are not; None: they are refused.
    """
    found, unknown = [], []
    for node in nodes:
        row = index.known(node)
        if row is None:
            unknown.append(node)
        else:
            found.append(row)
    if unknown and left_out is None:
        raise _unknown(unknown, len(nodes), index, f"{where}, {place}" if where else place)
    if left_out is not None:
        left_out += unknown
    return np.unique(np.array(found, dtype=np.int64))


def _unknown(unknown: list[str], count: int, index: NodeIndex, place: str) -> UserError:
    """The error for nodes that are not there, with near ones of the first."""
    first = unknown[0][:200]
    alike = index.named(unknown[0])
    if len(alike) > 1:
        ids = "; ".join(index.ids[row] for row in alike[:_SHOWN])
        return UserError(
            f"{len(alike)} nodes of type {index.node_type} are called {first!r}", place, f"Give the id: {ids}."
        )
    more = f" ({len(unknown)} of {count} are unknown)" if len(unknown) > 1 else ""
    near = index.near(first)
    hint = f"Near: {'; '.join(near)}." if near else "Give its name or its id."
    return UserError(f"there is no {index.node_type} {first!r}{more}", place, f"{hint} --skip-unknown leaves it out.")
