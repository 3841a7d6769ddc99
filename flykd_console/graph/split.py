"""Splits: which edges train, validate and test (FlyKD section 4; TxGNN's complex_disease and random splits).

`complex_disease` cuts the targets by tail node: a test disease has no edge to any drug in training (zero-shot),
whatever the relation. Everything else is cut at random, relation by relation, with the same fractions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flykd_console import profile
from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs
from flykd_console.seeding import numpy_rng

PARTS = ("train", "validation", "test")
Edges = Mapping[EdgeType, Pairs]


@dataclass(frozen=True)
class EdgeSplit:
    """The edges of the three parts, one direction each, and the edge types that are learnt."""

    targets: list[EdgeType]
    train: Edges
    validation: Edges
    test: Edges

    def part(self, name: str) -> Edges:
        """`train`, `validation` or `test`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the edges of every part."""
        digest = hashlib.sha256()
        for name in PARTS:
            for edge_type, pairs in sorted(self.part(name).items()):
                digest.update("\x00".join((name, *edge_type, "")).encode())
                for column in pairs:
                    digest.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
        return digest.hexdigest()


def split_graph(graph: KnowledgeGraph, targets: list[EdgeType], settings: profile.Split, seed: int) -> EdgeSplit:
    """Divide a graph's edges; the same graph, settings and seed always give the same parts.

    Raises:
        UserError: A target is left without an edge in one of the parts.
    """
    head_type, tail_type = targets[0].head, targets[0].tail
    by_tail = settings.kind == "complex_disease"
    parts_of_tail = _parts_of_tails(graph, head_type, tail_type, settings.fractions, seed) if by_tail else None

    parts: dict[str, dict[EdgeType, Pairs]] = {name: {} for name in PARTS}
    for edge_type, (heads, tails) in sorted(graph.edges.items()):
        if edge_type in targets:
            # A pair that stands twice must not be learnt in one part and asked in another.
            heads, tails = _distinct(heads, tails)
        if parts_of_tail is not None and {edge_type.head, edge_type.tail} == {head_type, tail_type}:
            membership = parts_of_tail[tails if edge_type.tail == tail_type else heads]
        else:
            membership = _random_membership(len(heads), settings.fractions, seed, "/".join(edge_type))
        for number, name in enumerate(PARTS):
            chosen = membership == number
            parts[name][edge_type] = (heads[chosen], tails[chosen])

    for target in targets:
        for name in PARTS:
            if len(parts[name][target][0]) == 0:
                raise UserError(
                    f"the {settings.kind} split with seed {seed} leaves the relation {target.relation!r} without "
                    f"{name} edges (it has {len(graph.edges[target][0])} edges in all)",
                    "split",
                    "Take a larger graph, other split.fractions, another split.kind or other graph.targets.",
                )
    return EdgeSplit(targets=targets, train=parts["train"], validation=parts["validation"], test=parts["test"])


def _distinct(heads: NDArray[np.int64], tails: NDArray[np.int64]) -> Pairs:
    """Pairs without repetitions, in order of their first appearance."""
    _, first = np.unique(np.stack([heads, tails]), axis=1, return_index=True)
    kept = np.sort(first)
    return heads[kept], tails[kept]


def _random_membership(count: int, fractions: tuple[float, float, float], seed: int, purpose: str) -> NDArray[np.int8]:
    """Part number (0 train, 1 validation, 2 test) of `count` items, int8 [count], sizes as the fractions say."""
    membership = np.zeros(count, dtype=np.int8)
    order = numpy_rng(seed, f"split/{purpose}").permutation(count)
    first, second = round(count * fractions[0]), round(count * (fractions[0] + fractions[1]))
    membership[order[first:second]] = 1
    membership[order[second:]] = 2
    return membership


def _parts_of_tails(
    graph: KnowledgeGraph, head_type: str, tail_type: str, fractions: tuple[float, float, float], seed: int
) -> NDArray[np.int8]:
    """Part number of every tail node, int8 [N_tail]; tails without any head-type relation stay in training."""
    touched = np.zeros(graph.count(tail_type), dtype=bool)
    for edge_type, (heads, tails) in graph.edges.items():
        if {edge_type.head, edge_type.tail} == {head_type, tail_type}:
            touched[tails if edge_type.tail == tail_type else heads] = True
    labelled = np.flatnonzero(touched)
    parts = np.zeros(graph.count(tail_type), dtype=np.int8)
    parts[labelled] = _random_membership(len(labelled), fractions, seed, "tails")
    return parts
