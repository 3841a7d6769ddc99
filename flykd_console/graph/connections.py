"""What can stand between a head and a tail of the graph, as plain records: nodes, paths, similar tails."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """A node by its name."""

    node_type: str
    row: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Path:
    """A way from the head to the tail.

    Attributes:
        nodes: Those between them, one or two.
        part: `train`, `validation` or `test`: that of its least seen edge. The models have seen training edges alone.
        degree: Edges that the nodes between have in all; a path through a hub says little.
    """

    nodes: tuple[Node, ...]
    part: str
    degree: int


@dataclass(frozen=True, slots=True)
class PathGroup:
    """Paths of one kind: the same node type and relations.

    Attributes:
        relations: Along the path, from the head; two or three.
        paths: Some of them: training before held-out, rare nodes before hubs.
        total: How many there are.
        held_out: How many of these have an edge that no model has seen.
    """

    node_type: str
    relations: tuple[str, ...]
    paths: tuple[Path, ...]
    total: int
    held_out: int


@dataclass(frozen=True, slots=True)
class SimilarTail:
    """A tail that the pooling lends from.

    Attributes:
        weight: Of this tail among those that are lent from, 0 to 1.
        share: Of it in the pooled embedding: the gate times the weight.
        known: Some heads that it has a training edge of the relation with.
        known_total: How many there are.
        has_head: The head that was asked for is one of them.
    """

    node: Node
    weight: float
    share: float
    known: tuple[Node, ...]
    known_total: int
    has_head: bool


@dataclass(frozen=True, slots=True)
class Connections:
    """Everything that was found between a head and a tail.

    Attributes:
        direct: Edges between the two: relation and part.
        groups: Paths by kind.
        similar: The tails that the pooling borrows from for this tail, in the relation that was asked for.
        gate: How much of the pooled embedding is borrowed, 0 to 1; None where the run does not pool.
    """

    head: Node
    tail: Node
    direct: tuple[tuple[str, str], ...]
    groups: tuple[PathGroup, ...]
    similar: tuple[SimilarTail, ...]
    gate: float | None
