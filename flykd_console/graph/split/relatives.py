"""Relatives of the test: how near labels of training may stand to what is asked.

Nearly all labelled diseases are one component of the relation between diseases, and most test diseases are a step or
two from one whose drugs are known. `split.hops = h` takes these away: the scored labels of every other tail within h
steps of a tested one leave training and validation, and belong to no part. Steps go over every relation that the graph
has between tails, in either direction and whatever part an edge is in; what else is known of a relative stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flykd_console.errors import UserError
from flykd_console.graph.split.edge_split import LeftOut
from flykd_console.words import counted, grouped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Targets
    from flykd_console.graph.split.edge_split import Edges
    from flykd_console.graph.split.random import Membership

# The number of the part that is none.
NO_PART = -1


def leave_out_relatives(
    graph: KnowledgeGraph, edges: Edges, targets: Targets, membership: Membership, hops: int
) -> tuple[Membership, LeftOut]:
    """The cut without the labels near the test, and what left it.

    Args:
        edges: The edges that were cut.
        membership: Part number of each, 0 train, 1 validation, 2 test.
        hops: Steps within which no label may train or validate, at least 1.

    Raises:
        UserError: The graph has no edge between two tails.
    """
    between = kin_relations(graph, targets.tail)
    if not between:
        raise UserError(
            f"the graph has no edges between nodes of type {targets.tail!r}: no step leads from one to another",
            f"split.hops = {hops}",
            "Set split.hops = 0, or take a graph that has some.",
        )
    tested = np.zeros(graph.count(targets.tail), dtype=np.bool_)
    for target in targets:
        tested[edges[target][1][membership[target] == 2]] = True
    near = steps_from(graph, targets.tail, tested, most=hops) >= 0
    kept: Membership = dict(membership)
    labels, lost = {}, np.zeros_like(near)
    for target in targets:
        heads, tails = edges[target]
        leaves = near[tails] & (membership[target] != 2)
        kept[target] = np.where(leaves, NO_PART, membership[target]).astype(np.int8)
        labels[target] = heads[leaves], tails[leaves]
        lost[tails[leaves]] = True
    relations = tuple(sorted({edge_type.relation for edge_type in between}))
    return kept, LeftOut(hops, relations, int(np.count_nonzero(lost)), labels)


def kin_relations(graph: KnowledgeGraph, node_type: str) -> list[EdgeType]:
    """The edge types between two nodes of one type that have an edge, in sorted order."""
    return [
        edge_type
        for edge_type, (heads, _) in sorted(graph.edges.items())
        if edge_type.head == edge_type.tail == node_type and len(heads)
    ]


def steps_from(
    graph: KnowledgeGraph, node_type: str, start: NDArray[np.bool_], most: int | None = None
) -> NDArray[np.int64]:
    """Fewest steps from one of `start` (bool [N]) to every node of a type, int64 [N]; -1 where no way leads there.

    Args:
        most: Farther nodes are not looked for.
    """
    ends = [graph.edges[edge_type] for edge_type in kin_relations(graph, node_type)]
    steps = np.where(start, 0, -1).astype(np.int64)
    last, far = start, 0
    while last.any() and (most is None or far < most):
        far += 1
        reached = np.zeros_like(last)
        for heads, tails in ends:
            reached[tails[last[heads]]] = True
            reached[heads[last[tails]]] = True
        last = reached & (steps < 0)
        steps[last] = far
    return steps


def in_words(left_out: LeftOut, node_type: str) -> str:
    """What left the split, one sentence without a full stop."""
    per_relation = ", ".join(f"{target.relation} {grouped(len(pairs[0]))}" for target, pairs in left_out.labels.items())
    return (
        f"split.hops = {left_out.hops} over {', '.join(left_out.relations)}: {counted(left_out.count, 'label')} of "
        f"{counted(left_out.tails, 'node')} of type {node_type!r} left training and validation ({per_relation})"
    )
