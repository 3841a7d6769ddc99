"""The knowledge graph in memory: node tables and one edge list per (head type, relation, tail type).

One direction of every edge is kept (as TxGNN does); reverses are added per part of a split by `with_reverses`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flykd_console.errors import UserError
from flykd_console.relation_names import is_meant, relation_of, spelling
from flykd_console.words import counted

if TYPE_CHECKING:
    import polars as pl

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


class EdgeType(NamedTuple):
    """A canonical edge type; messages flow from head to tail."""

    head: str
    relation: str
    tail: str

    def reverse(self) -> EdgeType:
        """`rev_<relation>` the other way round; a relation between equal types is its own reverse."""
        return self if self.head == self.tail else EdgeType(self.tail, f"rev_{self.relation}", self.head)


class Targets(tuple[EdgeType, ...]):
    """The relations that are learnt and scored, at least one; they share their head type and their tail type."""

    __slots__ = ()

    @property
    def head(self) -> str:
        """Node type of the heads."""
        return self[0].head

    @property
    def tail(self) -> str:
        """Node type of the tails."""
        return self[0].tail


@dataclass(frozen=True)
class KnowledgeGraph:
    """A typed multigraph.

    Attributes:
        nodes: Per node type a table `id, name` (both strings); a node's index is its row.
        edges: Per edge type (heads, tails), int64 [n] each, one direction, duplicates kept.
        source: What it was read from, for people.
        imported: The report of its import, as plain data; None where it was not imported.
        dates: Per edge type the date of each edge as a number (`dates`), int32 [n], the earliest that is told of its
            pair; None: none were read.
    """

    nodes: Mapping[str, pl.DataFrame]
    edges: Mapping[EdgeType, Pairs]
    source: str = field(default="", compare=False)
    imported: Mapping[str, Any] | None = field(default=None, compare=False)
    dates: Mapping[EdgeType, NDArray[np.int32]] | None = field(default=None, compare=False)

    def count(self, node_type: str) -> int:
        """Number of nodes of a type."""
        return self.nodes[node_type].height

    def ids(self, node_type: str) -> list[str]:
        """Ids of all nodes of a type, by index.

        Raises:
            UserError: There is no such type.
        """
        if node_type not in self.nodes:
            raise UserError(
                f"there are no nodes of type {node_type!r}",
                self.source or "the graph",
                f"The types are {', '.join(sorted(self.nodes))}.",
            )
        ids: list[str] = self.nodes[node_type]["id"].to_list()
        return ids

    @property
    def node_count(self) -> int:
        return sum(table.height for table in self.nodes.values())

    @property
    def edge_count(self) -> int:
        """Edges, each counted once."""
        return sum(len(heads) for heads, _ in self.edges.values())

    def degrees(self, node_type: str) -> NDArray[np.int64]:
        """Edges at every node of a type, in either direction, int64 [N]; a loop counts twice."""
        count = self.count(node_type)
        found = np.zeros(count, dtype=np.int64)
        for edge_type, (heads, tails) in self.edges.items():
            if edge_type.head == node_type:
                found += np.bincount(heads, minlength=count)
            if edge_type.tail == node_type:
                found += np.bincount(tails, minlength=count)
        return found

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over node ids, edges and their dates, in the order in which they stand."""
        digest = hashlib.sha256()
        for node_type in sorted(self.nodes):
            digest.update(f"\x00{node_type}\x00".encode())
            digest.update("\n".join(self.nodes[node_type]["id"].to_list()).encode())
        for edge_type in sorted(self.edges):
            digest.update("\x00".join(("", *edge_type, "")).encode())
            for part in self.edges[edge_type]:
                digest.update(np.ascontiguousarray(part, dtype="<i8").tobytes())
            if self.dates is not None:
                digest.update(np.ascontiguousarray(self.dates[edge_type], dtype="<i4").tobytes())
        return digest.hexdigest()

    def targets(self, relations: list[str]) -> Targets:
        """The edge types of the relations to be learnt; they must share head type and tail type.

        Args:
            relations: Names, or with types where a name stands between several pairs of them (`relation_names`).

        Raises:
            UserError: A relation is not in the graph, is ambiguous, or the types differ.
        """
        found: list[EdgeType] = []
        for relation in relations:
            matches = [e for e in self.edges if is_meant(relation, *e)]
            if not matches:
                raise self._unknown_relation(relation)
            if len(matches) > 1:
                raise self._several_pairs(relation, matches)
            if matches[0] in found:
                raise UserError(f"the relation {relation!r} is named twice", "graph.targets", "Name it once.")
            found.append(matches[0])
        if len({(e.head, e.tail) for e in found}) > 1:
            kinds = ", ".join(f"{e.relation} ({e.head} → {e.tail})" for e in found)
            raise UserError(
                f"the relations join different node types: {kinds}", "graph.targets", "Choose one pair of types."
            )
        if found[0].head == found[0].tail:
            raise UserError(
                f"{found[0].relation!r} joins {found[0].head!r} with itself",
                "graph.targets",
                "Choose a relation between two node types.",
            )
        return Targets(found)

    def _unknown_relation(self, relation: str) -> UserError:
        import difflib

        known = sorted({e.relation for e in self.edges})
        near = difflib.get_close_matches(relation_of(relation), known, n=3, cutoff=0.4) or known[:8]
        between = [spelling(*e) for e in self.edges if e.relation == relation_of(relation)]
        return UserError(
            f"the relation {relation!r} is not in the graph",
            f"graph.targets ({self.source})",
            f"Name relations of this graph, such as {', '.join(between[:8] or near)}.",
        )

    def _several_pairs(self, relation: str, matches: list[EdgeType]) -> UserError:
        """What a name may mean, the pair of types with most edges first: a mistyped row stands last."""
        matches = sorted(matches, key=lambda e: -len(self.edges[e][0]))
        shown = ", ".join(f"{e.head} → {e.tail} ({counted(len(self.edges[e][0]), 'edge')})" for e in matches[:8])
        more = f" and {len(matches) - 8} more" if len(matches) > 8 else ""
        return UserError(
            f"the relation {relation!r} stands between {len(matches)} pairs of node types: {shown}{more}",
            f"graph.targets ({self.source})",
            f"Name one with its types, such as {spelling(*matches[0])!r}.",
        )


def with_reverses(edges: Mapping[EdgeType, Pairs]) -> dict[EdgeType, Pairs]:
    """Both directions of every edge, by edge type in sorted order.

    Different types gain `rev_<relation>`; equal types get the flipped rows under the same name, a self loop twice.

    Raises:
        UserError: A relation already bears the name of another one's reverse.
    """
    both: dict[EdgeType, Pairs] = {}
    for edge_type, (heads, tails) in edges.items():
        if edge_type.head == edge_type.tail:
            both[edge_type] = (np.concatenate([heads, tails]), np.concatenate([tails, heads]))
        else:
            if edge_type.reverse() in edges:
                raise UserError(
                    f"the relation {edge_type.reverse().relation!r} bears the name of the reverse of "
                    f"{edge_type.relation!r}",
                    "graph",
                    "Leave it out of the file: reverse edges are added by the program.",
                )
            both[edge_type] = (heads, tails)
            both[edge_type.reverse()] = (tails, heads)
    return dict(sorted(both.items()))
