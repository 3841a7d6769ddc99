"""Which end of a target relation is the tail: a file may write one relation drug→disease and another disease→drug.

Everything that treats the two ends differently (the split by tail, negatives that keep the head, similar-tail pooling)
needs all targets to point the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs
from flykd_console.relation_names import any_meant, is_meant


def orient_targets(
    graph: KnowledgeGraph,
    relations: list[str],
    pooling_relations: list[str],
    log: Callable[[str], None] = lambda message: None,
) -> KnowledgeGraph:
    """The graph with its target relations all pointing the same way.

    The tail is the type that the pooling relations touch; where they touch both or neither, the first target's.
    Targets that are missing, ambiguous or join other types are left as they are; `KnowledgeGraph.targets` refuses them.
    """
    targets = [edge_type for relation in relations for edge_type in graph.edges if is_meant(relation, *edge_type)]
    if not targets:
        return graph
    first, *_ = targets
    joined = {frozenset((e.head, e.tail)) for e in targets}
    if first.head == first.tail or len(joined) > 1:
        return graph
    touched = {node_type for e in graph.edges if any_meant(pooling_relations, *e) for node_type in (e.head, e.tail)}
    tail = first.head if first.head in touched and first.tail not in touched else first.tail
    turned = {e: EdgeType(e.tail, e.relation, e.head) for e in targets if e.tail != tail}
    if not turned:
        return graph
    names = ", ".join(e.relation for e in turned)
    head = first.tail if tail == first.head else first.head
    log(f"{names}: read as {head} → {tail}, the other way round than in the file")
    edges: dict[EdgeType, Pairs] = {}
    for edge_type, (heads, tails) in graph.edges.items():
        edges[turned.get(edge_type, edge_type)] = (tails, heads) if edge_type in turned else (heads, tails)
    dates = graph.dates and {turned.get(edge_type, edge_type): found for edge_type, found in graph.dates.items()}
    return replace(graph, edges=edges, dates=dates)
