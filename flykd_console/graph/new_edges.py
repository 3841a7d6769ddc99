"""Which edges a newer version of a graph has beside those of the older one, and which of them lie between two nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph

_SHOWN = 3
End = tuple[str, str]
"""A node: its type and id."""


@dataclass
class NewEdges:
    """The edges of a newer graph, by their ends; nodes are the same where type and id are."""

    before: KnowledgeGraph
    after: KnowledgeGraph
    _new: dict[End, list[tuple[str, End]]] = field(default_factory=dict)
    _neighbours: dict[End, set[End]] = field(default_factory=dict)
    _names: dict[End, str] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        old = {(edge_type.relation, frozenset((head, tail))) for edge_type, head, tail in _edges(self.before)}
        for edge_type, head, tail in _edges(self.after):
            self._neighbours.setdefault(head, set()).add(tail)
            self._neighbours.setdefault(tail, set()).add(head)
            if (edge_type.relation, frozenset((head, tail))) in old:
                continue
            self.count += 1
            self._new.setdefault(head, []).append((edge_type.relation, tail))
            self._new.setdefault(tail, []).append((edge_type.relation, head))
        for kind, table in self.after.nodes.items():
            self._names |= {(kind, key): name for key, name in zip(table["id"], table["name"], strict=True)}

    def between(self, head: End, tail: End) -> tuple[str, ...]:
        """New edges that may explain why a head now ranks higher for a tail, in words, the most telling first.

        An edge between the two comes first; then new edges of either whose other end neighbours the other one; then how
        many more new edges the two have.
        """
        direct = [f"new {relation} between them" for relation, other in self._new.get(tail, []) if other == head]
        bridges = [
            f"new {relation} of {self._name(node)} with {self._name(middle)}, a neighbour of {self._name(other)}"
            for node, other in ((tail, head), (head, tail))
            for relation, middle in self._new.get(node, [])
            if middle != other and middle in self._neighbours.get(other, ())
        ]
        told = list(dict.fromkeys([*direct, *bridges]))
        total = len(self._new.get(head, [])) + len(self._new.get(tail, []))
        if not told:
            return (f"{total} new edges of the two, none that joins them",) if total else ()
        more = len(told) - _SHOWN
        return (*told[:_SHOWN], *([f"and {more} more"] if more > 0 else []))

    def _name(self, node: End) -> str:
        return self._names.get(node, node[1])


def _edges(graph: KnowledgeGraph) -> Iterator[tuple[EdgeType, End, End]]:
    for edge_type, (heads, tails) in graph.edges.items():
        ids: list[pl.Series] = [graph.nodes[edge_type.head]["id"].gather(heads)]
        ids.append(graph.nodes[edge_type.tail]["id"].gather(tails))
        for head, tail in zip(*ids, strict=True):
            yield edge_type, (edge_type.head, head), (edge_type.tail, tail)
