"""Cutting edges by fractions: relation by relation at random, or (zero-shot) by the tails that the edges end in.

A cut is a part number for every edge: int8, 0 train, 1 validation, 2 test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs, Targets
from flykd_console.graph.split.edge_split import Edges
from flykd_console.seeding import numpy_rng

if TYPE_CHECKING:
    from flykd_console.profile import sections

Membership = dict[EdgeType, NDArray[np.int8]]

# TxGNN's full_graph: nothing is kept back for a test.
FULL_GRAPH = (0.95, 0.05, 0.0)


def joins(edge_type: EdgeType, targets: Targets) -> bool:
    """Whether an edge type stands between the targets' head type and tail type, in either direction."""
    return {edge_type.head, edge_type.tail} == {targets.head, targets.tail}


def tails_of(edge_type: EdgeType, pairs: Pairs, tail_type: str) -> NDArray[np.int64]:
    """The end of each edge that has the targets' tail type, int64 [n]; the other one has not."""
    return pairs[1] if edge_type.tail == tail_type else pairs[0]


def cut_at_random(edges: Edges, targets: Targets, settings: sections.Split, seed: int) -> Membership:
    """`random` and `full_graph`: every relation by itself, sizes as the fractions say."""
    fractions = FULL_GRAPH if settings.kind == "full_graph" else settings.fractions
    return {
        edge_type: _cut(edge_type, len(heads), targets, fractions, settings, seed)
        for edge_type, (heads, _) in edges.items()
    }


def cut_by_tail(
    graph: KnowledgeGraph, edges: Edges, targets: Targets, settings: sections.Split, seed: int
) -> Membership:
    """`complex_disease` (TxGNN): a tail's edges to the head type, of whatever relation, all stand in one part."""
    part_of_tail = _parts_of_tails(graph, targets, settings.fractions, seed)
    return {
        edge_type: part_of_tail[tails_of(edge_type, pairs, targets.tail)]
        if joins(edge_type, targets)
        else _cut(edge_type, len(pairs[0]), targets, settings.fractions, settings, seed)
        for edge_type, pairs in edges.items()
    }


def hold_out(
    test: NDArray[np.bool_], share: float, edge_type: EdgeType, targets: Targets, seed: int, other: int | None
) -> NDArray[np.int8]:
    """Chosen edges as the test, and a share of the remaining ones, drawn at random, as validation.

    Args:
        test: Which edges are tested, bool [n].
        share: Of the remaining edges, how many validate; a fraction.
        other: The seed that draws validation where the relation is no target; None: the run's.
    """
    if other is not None and edge_type not in targets:
        seed = other
    membership = np.where(test, 2, 0).astype(np.int8)
    rest = np.flatnonzero(~test)
    drawn = numpy_rng(seed, "split/validation/" + "/".join(edge_type)).permutation(rest)[: round(len(rest) * share)]
    membership[drawn] = 1
    return membership


def _cut(
    edge_type: EdgeType,
    count: int,
    targets: Targets,
    fractions: tuple[float, float, float],
    settings: sections.Split,
    seed: int,
) -> NDArray[np.int8]:
    membership = random_membership(count, fractions, seed, "/".join(edge_type))
    if settings.validation_seed is None or edge_type in targets:
        return membership
    # The published code cuts the test by the run's seed, but what is left by one that is the same in every run.
    validating = int(np.count_nonzero(membership == 1))
    rest = np.flatnonzero(membership != 2)
    membership[rest] = 0
    order = numpy_rng(settings.validation_seed, "split/validation/" + "/".join(edge_type)).permutation(rest)
    membership[order[:validating]] = 1
    return membership


def random_membership(count: int, fractions: tuple[float, float, float], seed: int, purpose: str) -> NDArray[np.int8]:
    """Part number (0 train, 1 validation, 2 test) of `count` items, int8 [count], sizes as the fractions say."""
    membership = np.zeros(count, dtype=np.int8)
    order = numpy_rng(seed, f"split/{purpose}").permutation(count)
    first, second = round(count * fractions[0]), round(count * (fractions[0] + fractions[1]))
    membership[order[first:second]] = 1
    membership[order[second:]] = 2
    return membership


def _parts_of_tails(
    graph: KnowledgeGraph, targets: Targets, fractions: tuple[float, float, float], seed: int
) -> NDArray[np.int8]:
    """Part number of every tail node, int8 [N_tail]; tails without any head-type relation stay in training."""
    touched = np.zeros(graph.count(targets.tail), dtype=bool)
    for edge_type, pairs in graph.edges.items():
        if joins(edge_type, targets):
            touched[tails_of(edge_type, pairs, targets.tail)] = True
    labelled = np.flatnonzero(touched)
    parts = np.zeros(graph.count(targets.tail), dtype=np.int8)
    parts[labelled] = random_membership(len(labelled), fractions, seed, "tails")
    return parts
