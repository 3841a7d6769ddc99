"""What in the graph connects a head with a tail: short paths, and the similar tails that pooling borrows from.

The graph is read again and split again as the run did, and held against the run's own fingerprints, so that an edge is
called training, validation or test only where that is certain. A path's part is that of its least seen edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from flykd_console.errors import UserError
from flykd_console.graph.connections import Connections, Node, Path, PathGroup, SimilarTail
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.graph.load import load_graph
from flykd_console.graph.orientation import orient_targets
from flykd_console.graph.similarity import most_similar, profile_relations, tail_profiles
from flykd_console.graph.split.edge_split import PARTS, EdgeSplit
from flykd_console.graph.split.make import split_graph
from flykd_console.profile.schema import Profile
from flykd_console.profile.sections import Pooling

Rows = NDArray[np.int64]
LIMIT = 6
# Shared proteins and phenotypes say most about a drug and a disease; other node types follow by name.
_FIRST = ("gene/protein", "effect/phenotype")


@dataclass(frozen=True)
class _Neighbours:
    """A node's neighbours of one type through one relation: distinct rows, ascending, and the best part of each."""

    relation: str
    node_type: str
    rows: Rows
    parts: NDArray[np.int8]


class SeenGraph:
    """A graph with the part that each edge belongs to.

    Args:
        graph: The graph, its targets oriented.
        split: Of one seed.
        pooling: The profile's `graph.pooling`.
    """

    def __init__(self, graph: KnowledgeGraph, split: EdgeSplit, pooling: Pooling) -> None:
        self.graph, self.split, self._pooling = graph, split, pooling
        self.head_type, self.tail_type = split.targets.head, split.targets.tail
        self._degrees: dict[str, Rows] = {}

    def connections(self, head: int, tail: int, relation: str, limit: int = LIMIT) -> Connections:
        """What connects two nodes, given as rows of their types' tables.

        Args:
            head: Row of the head.
            tail: Row of the tail.
            relation: The target relation that is looked at; the pooling differs between them.
            limit: Paths per group, and heads named per similar tail.
        """
        from_head = list(self._neighbours(self.head_type, head))
        from_tail = list(self._neighbours(self.tail_type, tail))
        similar, gate = self._similar(head, tail, relation, limit)
        return Connections(
            head=self._node(self.head_type, head),
            tail=self._node(self.tail_type, tail),
            direct=tuple(
                (n.relation, PARTS[int(n.parts[n.rows == tail][0])])
                for n in from_head
                if n.node_type == self.tail_type and (n.rows == tail).any()
            ),
            groups=tuple(self._groups(head, tail, from_head, from_tail, limit)),
            similar=similar,
            gate=gate,
        )

    def _groups(
        self, head: int, tail: int, from_head: list[_Neighbours], from_tail: list[_Neighbours], limit: int
    ) -> list[PathGroup]:
        found: list[PathGroup] = []
        for first in from_head:
            for last in from_tail:
                if first.node_type != last.node_type:
                    continue
                group = self._shared(head, tail, first, last, limit)
                found += [group] if group is not None else []
        ends = (self.head_type, self.tail_type)
        shared = {group.node_type for group in found}
        for first in from_head:
            for last in from_tail:
                if first.node_type == last.node_type and first.node_type not in (*ends, *shared):
                    found += self._one_step_further(first, last, limit)
        order = {node_type: i for i, node_type in enumerate(_FIRST)}
        return sorted(
            found, key=lambda g: (g.node_type in ends, order.get(g.node_type, len(order)), g.node_type, g.total)
        )

    def _shared(self, head: int, tail: int, first: _Neighbours, last: _Neighbours, limit: int) -> PathGroup | None:
        """Nodes that both ends are joined to."""
        rows, at_first, at_last = np.intersect1d(first.rows, last.rows, assume_unique=True, return_indices=True)
        parts = np.maximum(first.parts[at_first], last.parts[at_last])
        # The ends themselves lie on no path between them.
        kept = np.ones(len(rows), dtype=np.bool_)
        if first.node_type == self.head_type:
            kept &= rows != head
        if first.node_type == self.tail_type:
            kept &= rows != tail
        return self._group((first.relation, last.relation), first.node_type, rows[kept][:, None], parts[kept], limit)

    def _one_step_further(self, first: _Neighbours, last: _Neighbours, limit: int) -> Iterable[PathGroup]:
        """Where nothing is shared: neighbours of the head that are joined to neighbours of the tail."""
        for edge_type in sorted(self.graph.edges):
            if not edge_type.head == edge_type.tail == first.node_type:
                continue
            pairs: list[Rows] = []
            parts: list[NDArray[np.int8]] = []
            for number, part in enumerate(PARTS):
                for one, two in (self.split.part(part)[edge_type], self.split.part(part)[edge_type][::-1]):
                    inside = np.isin(one, first.rows) & np.isin(two, last.rows) & (one != two)
                    pairs.append(np.stack([one[inside], two[inside]], axis=1))
                    parts.append(np.full(int(inside.sum()), number, dtype=np.int8))
            rows, part_of = _best_part(np.concatenate(pairs), np.concatenate(parts))
            near = first.parts[np.searchsorted(first.rows, rows[:, 0])] if len(rows) else part_of
            far = last.parts[np.searchsorted(last.rows, rows[:, 1])] if len(rows) else part_of
            relations = (first.relation, edge_type.relation, last.relation)
            group = self._group(relations, first.node_type, rows, np.maximum(part_of, np.maximum(near, far)), limit)
            if group is not None:
                yield group

    def _group(
        self, relations: tuple[str, ...], node_type: str, rows: Rows, parts: NDArray[np.int8], limit: int
    ) -> PathGroup | None:
        """Paths through rows [n, nodes between], whose parts are int8 [n]."""
        if not len(rows):
            return None
        degree = self._degree(node_type)[rows].sum(axis=1)
        order = np.lexsort((rows[:, 0], degree, parts))[:limit]
        return PathGroup(
            node_type=node_type,
            relations=relations,
            paths=tuple(
                Path(tuple(self._node(node_type, row) for row in rows[i].tolist()), PARTS[parts[i]], int(degree[i]))
                for i in order.tolist()
            ),
            total=len(rows),
            held_out=int((parts > 0).sum()),
        )

    def _neighbours(self, node_type: str, row: int) -> Iterable[_Neighbours]:
        """Every relation's neighbours of a node, both ways."""
        for edge_type in sorted(self.graph.edges):
            ways: dict[str, list[tuple[Rows, NDArray[np.int8]]]] = {}
            for number, part in enumerate(PARTS):
                heads, tails = self.split.part(part)[edge_type]
                for this, that, side_type, other_type in (
                    (heads, tails, edge_type.head, edge_type.tail),
                    (tails, heads, edge_type.tail, edge_type.head),
                ):
                    if side_type == node_type:
                        rows = that[this == row]
                        ways.setdefault(other_type, []).append((rows, np.full(len(rows), number, dtype=np.int8)))
            for other_type, pieces in ways.items():
                rows, parts = _best_part(
                    np.concatenate([rows for rows, _ in pieces])[:, None],
                    np.concatenate([parts for _, parts in pieces]),
                )
                if len(rows):
                    yield _Neighbours(edge_type.relation, other_type, rows[:, 0], parts)

    def _similar(self, head: int, tail: int, relation: str, limit: int) -> tuple[tuple[SimilarTail, ...], float | None]:
        profiles = self._profiles
        if profiles is None:
            return (), None
        target = next(target for target in self.split.targets if target.relation == relation)
        heads, tails = self.split.train[target]
        settings = self._pooling
        gate = float(settings.decay * np.exp(-settings.decay * int((tails == tail).sum())) + settings.floor)
        _, keys, weights = most_similar(profiles, np.unique(tails), settings.neighbours, np.array([tail]))
        found = []
        for key, weight in zip(keys.tolist(), weights.tolist(), strict=True):
            known = np.unique(heads[tails == key])
            named = [head] if head in known else []
            named += [row for row in known.tolist() if row != head][: limit - len(named)]
            found.append(
                SimilarTail(
                    node=self._node(self.tail_type, key), weight=weight, share=gate * weight,
                    known=tuple(self._node(self.head_type, row) for row in named), known_total=len(known),
                    has_head=bool(head in known),
                )
            )  # fmt: skip
        return tuple(found), gate

    @cached_property
    def _profiles(self) -> sp.csr_array | None:
        if not self._pooling.enabled:
            return None
        train, pooling, count = self.split.train, self._pooling, self.graph.count(self.tail_type)
        relations = profile_relations(train, self.split.targets, pooling)
        return tail_profiles(train, self.tail_type, count, relations, pooling.direction, pooling.weights)

    def _degree(self, node_type: str) -> Rows:
        """`KnowledgeGraph.degrees`, counted once a type."""
        if node_type not in self._degrees:
            self._degrees[node_type] = self.graph.degrees(node_type)
        return self._degrees[node_type]

    def _node(self, node_type: str, row: int) -> Node:
        node_id, name = self.graph.nodes[node_type].select("id", "name").row(row)
        return Node(node_type, row, node_id, name)


def open_seen_graph(
    profile: Profile,
    seed: int,
    fingerprint: str,
    split_fingerprint: str | None,
    log: Callable[[str], None] = lambda message: None,
) -> SeenGraph:
    """Read a run's graph and repeat a seed's split.

    Args:
        profile: The run's.
        seed: One of its seeds.
        fingerprint: The graph's, as the run wrote it down.
        split_fingerprint: The split's; None where the run did not write one.
        log: Told in single lines what takes time.

    Raises:
        UserError: The graph is gone or is another one now, or the split comes out differently.
    """
    graph = load_graph(profile.graph, log=log)
    graph = orient_targets(graph, profile.graph.targets, profile.graph.pooling.relations, log)
    if fingerprint and graph.fingerprint != fingerprint:
        raise UserError(
            f"the graph is not the run's own ({graph.fingerprint[:8]}… now, {fingerprint[:8]}… when it was trained)",
            graph.source,
            "Put the old graph back to see paths.",
        )
    split = split_graph(graph, graph.targets(profile.graph.targets), profile.split, seed)
    if split_fingerprint is not None and split.fingerprint != split_fingerprint:
        raise UserError(
            "the split comes out differently from the run's own: training edges cannot be told from held-out ones",
            f"seed {seed}",
            "The run was made by another version of flykd-console.",
        )
    return SeenGraph(graph, split, profile.graph.pooling)


def _best_part(rows: Rows, parts: NDArray[np.int8]) -> tuple[Rows, NDArray[np.int8]]:
    """Distinct rows [n, k], ascending, each with the least of its parts: an edge that was seen once was seen."""
    if not len(rows):
        return rows.reshape(0, rows.shape[1]), parts
    order = np.lexsort((parts, *rows.T[::-1]))
    rows, parts = rows[order], parts[order]
    new = np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)])
    return rows[new], parts[new]
