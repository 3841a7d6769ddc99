"""What a graph holds, in numbers: counts and degrees by type and relation, and how the labels hang together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flykd_console.graph.imports.columns import EvidenceColumn
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from flykd_console.node_ids import IdLookup

_EXAMPLES = 3
LABELS = ("contraindication", "indication", "off-label use")


@dataclass(frozen=True)
class NodeTypeSummary:
    """Degrees count every edge at a node, in either direction."""

    type: str
    nodes: int
    isolated: int
    mean_degree: float
    median_degree: float
    max_degree: int
    most_connected: str


@dataclass(frozen=True)
class RelationSummary:
    """`heads` and `tails` are the nodes that have the relation; `repeated` the edges that stand more than once."""

    head_type: str
    relation: str
    tail_type: str
    edges: int
    heads: int
    tails: int
    mean_out: float
    max_out: int
    mean_in: float
    max_in: int
    repeated: int


@dataclass(frozen=True)
class LabelSummary:
    """Connected components of the graph that the label relations between two node types make by themselves."""

    head_type: str
    tail_type: str
    relations: list[str]
    pairs: int
    heads: int
    tails: int
    in_several: int
    components: int
    largest: int


@dataclass(frozen=True)
class Twins:
    """Nodes of one type whose ids look like spellings of one id (`node_ids`).

    Attributes:
        groups: How many such sets of nodes there are.
        examples: The ids of the first few sets.
    """

    type: str
    groups: int
    examples: list[list[str]]


@dataclass(frozen=True)
class GraphSummary:
    """Everything that `graph info` shows."""

    source: str
    fingerprint: str
    nodes: int
    edges: int
    node_types: list[NodeTypeSummary]
    relations: list[RelationSummary]
    labels: list[LabelSummary]
    twins: list[Twins]
    evidence: list[EvidenceColumn]


def summarise(
    graph: KnowledgeGraph, labels: tuple[str, ...] = LABELS, evidence: Sequence[EvidenceColumn] = ()
) -> GraphSummary:
    """Count; label relations that the graph has not are passed over. `evidence` is told as it is given."""
    ends = sorted({(e.head, e.tail) for e in graph.edges if e.relation in labels})
    return GraphSummary(
        source=graph.source,
        fingerprint=graph.fingerprint,
        nodes=graph.node_count,
        edges=graph.edge_count,
        node_types=[_node_type(graph, name) for name in graph.nodes],
        relations=[_relation(graph, edge_type) for edge_type in graph.edges],
        labels=[
            _labels(graph, [e for e in graph.edges if e.relation in labels and (e.head, e.tail) == pair])
            for pair in ends
        ],
        twins=[found for node_type in graph.nodes if (found := twins_of(graph, node_type)) is not None],
        evidence=list(evidence),
    )


def twins_of(graph: KnowledgeGraph, node_type: str) -> Twins | None:
    """The suspicious twins of a type; None where there are none."""
    ids = graph.ids(node_type)
    groups = IdLookup(ids).twins()
    if not groups:
        return None
    return Twins(node_type, len(groups), [[ids[row] for row in rows] for rows in groups[:_EXAMPLES]])


def _node_type(graph: KnowledgeGraph, name: str) -> NodeTypeSummary:
    degree = graph.degrees(name)
    if not len(degree):
        return NodeTypeSummary(name, 0, 0, 0.0, 0.0, 0, "")
    return NodeTypeSummary(
        type=name,
        nodes=len(degree),
        isolated=int((degree == 0).sum()),
        mean_degree=float(degree.mean()),
        median_degree=float(np.median(degree)),
        max_degree=int(degree.max()),
        most_connected=str(graph.nodes[name]["name"][int(degree.argmax())]),
    )


def _relation(graph: KnowledgeGraph, edge_type: EdgeType) -> RelationSummary:
    heads, tails = graph.edges[edge_type]
    out, into = np.bincount(heads), np.bincount(tails)
    out, into = out[out > 0], into[into > 0]
    distinct = len(np.unique(heads * graph.count(edge_type.tail) + tails))
    return RelationSummary(
        head_type=edge_type.head,
        relation=edge_type.relation,
        tail_type=edge_type.tail,
        edges=len(heads),
        heads=len(out),
        tails=len(into),
        mean_out=float(out.mean()) if len(out) else 0.0,
        max_out=int(out.max(initial=0)),
        mean_in=float(into.mean()) if len(into) else 0.0,
        max_in=int(into.max(initial=0)),
        repeated=len(heads) - distinct,
    )


def _labels(graph: KnowledgeGraph, edge_types: list[EdgeType]) -> LabelSummary:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    head, _, tail = edge_types[0]
    n_heads, n_tails = graph.count(head), graph.count(tail)
    heads = np.concatenate([graph.edges[e][0] for e in edge_types])
    tails = np.concatenate([graph.edges[e][1] for e in edge_types])
    offset = 0 if head == tail else n_heads
    size = n_heads if head == tail else n_heads + n_tails
    adjacency = coo_array((np.ones(len(heads), np.int8), (heads, tails + offset)), shape=(size, size))
    _, component = connected_components(adjacency, directed=False)
    touched = np.unique(np.concatenate([heads, tails + offset]))
    sizes = np.unique(component[touched], return_counts=True)[1]
    _, times = np.unique(heads * n_tails + tails, return_counts=True)
    return LabelSummary(
        head_type=head,
        tail_type=tail,
        relations=[e.relation for e in edge_types],
        pairs=len(times),
        heads=len(np.unique(heads)),
        tails=len(np.unique(tails)),
        in_several=int((times > 1).sum()),
        components=len(sizes),
        largest=int(sizes.max(initial=0)),
    )
