"""Which edges tell that a head (a drug) and a tail (a disease) both reach a node of a third type.

One rule for every type Z, side by side: where some relation joins Z with the side's type, a node of Z reaches the nodes
that it is joined to (a protein its drugs and its diseases). Where none does, it reaches them by way of one node between
of a type that does (a pathway the drugs of its proteins). Edges of all parts count: this is what the graph says, not
what a model learnt. What denies something joins nothing: `disease_phenotype_negative`, `anatomy_protein_absent`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from flykd_console.graph.knowledge_graph import KnowledgeGraph, Pairs, Targets

_DENYING = ("_negative", "_absent")


def connecting_edges(graph: KnowledgeGraph, targets: Targets) -> dict[tuple[str, str], Pairs]:
    """The edges that the rule reads, by (third type, the type that it is joined to), each once.

    Returns:
        Indices of the two ends, int64 [n] each, in ascending order; the second type is the heads', the tails', or
        another third one.
    """
    ends = (targets.head, targets.tail)
    edges = {edge_type: pairs for edge_type, pairs in graph.edges.items() if not edge_type.relation.endswith(_DENYING)}
    joined = {(one, other) for edge_type in edges for one, other in _ways(edge_type.head, edge_type.tail)}
    third = sorted(set(graph.nodes) - set(ends))
    wanted = {(one, end) for one in third for end in ends if (one, end) in joined}
    for one in third:
        for end in ends:
            if (one, end) not in joined:
                wanted |= {(one, by) for by in third if by != one and (one, by) in joined and (by, end) in joined}
    found: dict[tuple[str, str], list[Pairs]] = defaultdict(list)
    for edge_type, (heads, tails) in sorted(edges.items()):
        if (edge_type.head, edge_type.tail) in wanted:
            found[edge_type.head, edge_type.tail].append((heads, tails))
        if (edge_type.tail, edge_type.head) in wanted:
            found[edge_type.tail, edge_type.head].append((tails, heads))
    return {types: _distinct(pieces) for types, pieces in sorted(found.items())}


def _ways(head: str, tail: str) -> Iterator[tuple[str, str]]:
    """Both directions."""
    yield head, tail
    yield tail, head


def _distinct(pieces: list[Pairs]) -> Pairs:
    """Pairs of several relations, ascending, each once."""
    x, y = (np.concatenate([piece[end] for piece in pieces]) for end in (0, 1))
    width = int(y.max(initial=0)) + 1
    keys = np.unique(x * width + y)
    return keys // width, keys % width
