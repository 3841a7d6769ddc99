"""What the scorer answers, and what a ranking can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

# Scorers without training that a ranking is held against.
RIVALS = ("popularity", "neighbours")


class Order(TypedDict, total=False):
    """How a ranking is ordered and what is kept of it, beside the model's own order of everything.

    Attributes:
        beyond: `popularity` or `neighbours`: by how many times higher the model ranks a node than this rival does.
        adjust: By the frequent-flyer correction (`exporters.frequent_flyers`).
        through: Keep nodes that reach the one asked for through this node of a third type (`exporters.waypoints`).
    """

    beyond: str | None
    adjust: bool
    through: str | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """One line of a ranking. All ranks are among the same nodes: those with an embedding, with known pairs left out
    where that was asked for.

    Attributes:
        rank: By the model, from 1, whatever order was asked for.
        index: Row of the node in its embedding table.
        probability: Calibrated on validation pairs, for the base rate that the manifest states; None where the relation
            has no calibration.
        known: `train`, `validation` or `test` where the pair is a true one of the graph, else empty.
        trained: Whether the relation has a training pair of the node: of another one the model has only been told by
            other relations, or not at all.
        popularity_rank: By training pairs of the relation; equal ones share the first rank, None without any.
        neighbours_rank: By the scores of nearest neighbours, likewise; None where they say nothing of the pair.
        adjusted: Frequent-flyer score, where that was asked for.
        beyond: How many times higher the model ranks it than the rival, where that was asked for.
    """

    relation: str
    rank: int
    index: int
    id: str
    name: str
    logit: float
    probability: float | None
    known: str
    trained: bool
    popularity_rank: int | None
    neighbours_rank: int | None
    adjusted: float | None = None
    beyond: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """One scored pair; `head_trained` and `tail_trained` as `trained`, the other fields as in `Ranked`."""

    relation: str
    head_id: str
    head_name: str
    tail_id: str
    tail_name: str
    logit: float
    probability: float | None
    known: str
    head_trained: bool
    tail_trained: bool


@dataclass(frozen=True, slots=True)
class Shared:
    """What a node that is not in the graph has in common with one that is, in one relation.

    Attributes:
        names: Of nodes that both are joined to, what few are joined to first; five at most.
        count: How many these are.
        named: Whether the profile names the other node itself.
    """

    relation: str
    names: tuple[str, ...]
    count: int
    named: bool


@dataclass(frozen=True, slots=True)
class Lender:
    """A node by which one that is not in the graph is placed.

    Attributes:
        rank: By similarity, from 1.
        index: Row of the node in its embedding table.
        similarity: Of the two profiles, in [0, 1].
        weight: Of its embedding in that of the new node; all of them sum to 1.
        shared: What the two have in common, by relation.
    """

    rank: int
    index: int
    id: str
    name: str
    similarity: float
    weight: float
    shared: tuple[Shared, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """The answer for a node that is not in the graph, under one relation.

    Attributes:
        name: What its profile calls it.
        node_type: Its type.
        given: How many nodes its profile names, by relation.
        left_out: Nodes that the bundle does not know.
        lenders: By which nodes it is placed, the most similar first.
        ranking: Nodes of the other side, best first. `logit` is the score of `exporters.unseen`; probabilities are
            None: they were learnt on nodes of the graph.
    """

    relation: str
    name: str
    node_type: str
    given: dict[str, int]
    left_out: tuple[str, ...]
    lenders: tuple[Lender, ...]
    ranking: tuple[Ranked, ...]


@dataclass(frozen=True, slots=True)
class Nearest:
    """A node that is like another one of its type.

    Attributes:
        rank: From 1.
        index: Row of the node in its embedding table.
        similarity: Cosine of the two embeddings, in [-1, 1].
    """

    rank: int
    index: int
    id: str
    name: str
    similarity: float
