"""What is answered, as dataclasses: the answers are written from them, and their description is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from exporters.answers import Placed, Ranked, ScoredPair
from exporters.lookup import NodeIndex
from exporters.manifest import PROFILES, Manifest
from exporters.serve.reasons import Why
from exporters.serve.shelf import OpenBundle


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who scored."""

    bundle: str
    run: str
    seeds: list[int]
    model: str
    method: str


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a bundle; `index` is its row."""

    type: str
    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class RankedRow(Ranked):
    """A line of a ranking, with what speaks for the pair where that was asked for."""

    why: Why | None = None


@dataclass(frozen=True, slots=True)
class RankedList:
    """The list of one relation.

    Attributes:
        calibrated: Whether rows have probabilities.
        base_rate: The share of true pairs that probabilities assume.
        left_out: Nodes that no training edge leads to, which are not ranked.
    """

    relation: str
    calibrated: bool
    base_rate: float | None
    left_out: int
    rows: list[RankedRow]


@dataclass(frozen=True, slots=True)
class RankReply:
    """A node's lists.

    Attributes:
        node: Whose lists they are.
        ranked_type: Of the nodes in them.
    """

    scored_by: Provenance
    node: Node
    ranked_type: str
    lists: list[RankedList]


@dataclass(frozen=True, slots=True)
class ProfileReply:
    """The lists of a node that is not in the graph, one a relation."""

    scored_by: Provenance
    ranked_type: str
    lists: list[Placed]


@dataclass(frozen=True, slots=True)
class ScoreReply:
    """Scored pairs, in the order they were asked for.

    Attributes:
        skipped: What was left out because a node is unknown, a line each.
    """

    scored_by: Provenance
    pairs: list[ScoredPair]
    skipped: list[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A node that may be meant, and why: `id`, `name`, `beginning`, `word`, `within` or `alike`."""

    type: str
    index: int
    id: str
    name: str
    match: str


@dataclass(frozen=True, slots=True)
class SearchReply:
    """Nodes that may be meant, likeliest first."""

    results: list[Found]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the service answers."""

    status: str


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What a bundle is.

    Attributes:
        opened: When it was opened, seconds since 1970.
        nodes: Numbers of nodes by type; those ranked are `head_type` and `tail_type`.
        calibration: By relation, as in the manifest.
        profiles: Whether nodes that are not in the graph can be asked for.
        missing: What the bundle cannot do because its run left no such file.
        examples: Nodes of the tail type with many training pairs, to try.
        sha256: Of its embeddings.
    """

    scored_by: Provenance
    seed_choice: str
    opened: float
    head_type: str
    tail_type: str
    relations: list[str]
    nodes: dict[str, int]
    dim: int
    dtype: str
    graph: dict[str, Any]
    metrics: dict[str, Any]
    calibration: dict[str, dict[str, Any]]
    profiles: bool
    missing: dict[str, str]
    examples: list[Node]
    sha256: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is served; the first bundle is meant where none is named."""

    version: str
    bundles: list[BundleFacts]


def provenance_of(bundle: OpenBundle) -> Provenance:
    """Who scores with a bundle."""
    told = bundle.scorer.manifest
    return Provenance(bundle.name, told.run, told.seeds, told.model, told.method)


def node_of(nodes: NodeIndex, row: int) -> Node:
    """A node by its row."""
    return Node(nodes.node_type, row, nodes.ids[row], nodes.names[row])


def base_rate_of(manifest: Manifest, relation: str) -> float | None:
    """What probabilities of a relation assume; None where there are none."""
    rate = manifest.calibration.get(relation, {}).get("base_rate")
    return None if rate is None else float(rate)


def facts_of(bundle: OpenBundle, digest: str, examples: int = 4) -> BundleFacts:
    """What a bundle is; `digest` is the SHA-256 of its embeddings."""
    scorer, told = bundle.scorer, bundle.scorer.manifest
    trained = sum(
        np.bincount(scorer.training_pairs(name)[:, 1], minlength=len(scorer.tails)) for name in told.relations
    )
    most = np.argsort(-np.asarray(trained), kind="stable")[:examples].tolist()
    return BundleFacts(
        scored_by=provenance_of(bundle),
        seed_choice=told.seed_choice,
        opened=bundle.opened,
        head_type=told.head_type,
        tail_type=told.tail_type,
        relations=told.relations,
        nodes=told.nodes,
        dim=told.dim,
        dtype=told.dtype,
        graph=told.graph,
        metrics=told.metrics,
        calibration=told.calibration,
        profiles=PROFILES in told.files,
        missing=told.missing,
        examples=[node_of(scorer.tails, row) for row in most],
        sha256=digest,
    )
