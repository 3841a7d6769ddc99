"""Splits that hold out chosen tails: single named diseases, and disease areas (TxGNN).

The chosen tails lose every edge to the head type, of whatever relation, to the test. An area's test also takes random
edges of the area's two-hop neighbourhood, so that it is cut out of the graph more widely.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.node_lookup import NodeLookup
from flykd_console.graph.split.edge_split import Edges
from flykd_console.graph.split.ontology import ontology_area
from flykd_console.graph.split.random import Membership, hold_out, joins, tails_of
from flykd_console.seeding import numpy_rng
from flykd_console.words import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Targets
    from flykd_console.profile import sections

# Of the drug-disease edges that a `disease` split leaves, this share validates (TxGNN's disease_eval).
_VALIDATING = 0.05
_ID_COLUMNS = ("node_id", "disease_id", "id", "x_id")
_NAME_COLUMNS = ("node_name", "disease_name", "name")


def cut_diseases(
    graph: KnowledgeGraph, edges: Edges, targets: Targets, settings: sections.Split, seed: int
) -> tuple[Membership, str]:
    """`disease`: the named tails' edges to the head type are the test; other relations train whole.

    Raises:
        UserError: A name or id is not in the graph, or none of the tails has an edge to the head type.
    """
    lookup = NodeLookup(graph.nodes[targets.tail])
    rows, unknown = lookup.find_all(settings.diseases)
    if unknown:
        near = lookup.near(unknown[0])
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Give ids or names of nodes of type {targets.tail!r}."
        title = f"{unknown[0]!r} is not in the graph"
        if len(settings.diseases) > 1:
            title = f"{len(unknown)} of {len(settings.diseases)} are not in the graph, first {unknown[0]!r}"
        raise UserError(title, "split.diseases", hint)
    chosen = np.zeros(graph.count(targets.tail), dtype=bool)
    chosen[rows] = True
    _check_labelled(edges, targets, chosen, "split.diseases")
    membership: Membership = {}
    for edge_type, pairs in edges.items():
        if joins(edge_type, targets):
            test = chosen[tails_of(edge_type, pairs, targets.tail)]
            membership[edge_type] = hold_out(test, _VALIDATING, edge_type, targets, seed, settings.validation_seed)
        else:
            membership[edge_type] = np.zeros(len(pairs[0]), dtype=np.int8)
    names = graph.nodes[targets.tail]["name"].gather(rows[:3]).to_list()
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return membership, f"test: {', '.join(names)}{more}"


def cut_area(
    graph: KnowledgeGraph, edges: Edges, targets: Targets, settings: sections.Split, seed: int
) -> tuple[Membership, str]:
    """`disease_area`: the area's edges to the head type are the test, with random edges of its neighbourhood.

    The neighbourhood is the subgraph of all nodes within two hops of the area. Edges of it that do not stand between
    head type and tail type are drawn at random, each by itself (parallel relations of one pair of nodes stay apart),
    until the test holds `fractions[2]` of all edges. Validation is drawn from what remains, relation by relation.

    Raises:
        UserError: The area is unknown, matches no node, or none of its nodes has an edge of a target.
    """
    assert settings.area is not None
    rows, note = _area(graph, targets.tail, settings.area)
    chosen = np.zeros(graph.count(targets.tail), dtype=bool)
    chosen[rows] = True
    labelled = _check_labelled(edges, targets, chosen, f"split.area = {settings.area!r}")
    tested = {
        edge_type: chosen[tails_of(edge_type, pairs, targets.tail)]
        for edge_type, pairs in edges.items()
        if joins(edge_type, targets)
    }
    wanted = round(sum(len(heads) for heads, _ in edges.values()) * settings.fractions[2])
    wanted -= sum(int(np.count_nonzero(test)) for test in tested.values())
    tested |= _neighbourhood(graph, edges, targets, chosen, max(0, wanted), seed)
    share = settings.fractions[1] / (settings.fractions[0] + settings.fractions[1])
    membership = {
        edge_type: hold_out(tested[edge_type], share, edge_type, targets, seed, settings.validation_seed)
        for edge_type in edges
    }
    return membership, f"{note}; {labelled} of them {'has' if labelled == 1 else 'have'} pairs to test"


def _check_labelled(edges: Edges, targets: Targets, chosen: NDArray[np.bool_], where: str) -> int:
    """How many of the chosen tails have an edge of a target."""
    tails = np.concatenate([edges[target][1] for target in targets])
    labelled = np.unique(tails[chosen[tails]])
    if not len(labelled):
        relations = " or ".join(target.relation for target in targets)
        raise UserError(
            f"the test would be empty: of {np.count_nonzero(chosen)} matching nodes of type {targets.tail!r} none "
            f"has an edge of {relations}",
            where,
            "Choose others.",
        )
    return len(labelled)


def _neighbourhood(
    graph: KnowledgeGraph, edges: Edges, targets: Targets, chosen: NDArray[np.bool_], wanted: int, seed: int
) -> dict[EdgeType, NDArray[np.bool_]]:
    """Which edges of the relations not between head type and tail type are drawn for the test, bool [n] each."""
    near = {node_type: np.zeros(graph.count(node_type), dtype=bool) for node_type in graph.nodes}
    near[targets.tail] |= chosen
    for _ in range(2):
        reached = {node_type: mask.copy() for node_type, mask in near.items()}
        for edge_type, (heads, tails) in edges.items():
            reached[edge_type.tail][tails[near[edge_type.head][heads]]] = True
            reached[edge_type.head][heads[near[edge_type.tail][tails]]] = True
        near = reached
    within = {
        edge_type: near[edge_type.head][heads] & near[edge_type.tail][tails]
        for edge_type, (heads, tails) in edges.items()
        if not joins(edge_type, targets)
    }
    if not within:
        return {}
    sizes = np.array([np.count_nonzero(inside) for inside in within.values()], dtype=np.int64)
    total = int(sizes.sum())
    drawn = np.zeros(total, dtype=bool)
    drawn[numpy_rng(seed, "split/neighbourhood").permutation(total)[:wanted]] = True
    tested = {}
    for (edge_type, inside), mine in zip(within.items(), np.split(drawn, np.cumsum(sizes)[:-1]), strict=True):
        test = np.zeros(len(inside), dtype=bool)
        test[np.flatnonzero(inside)[mine]] = True
        tested[edge_type] = test
    return tested


def _area(graph: KnowledgeGraph, node_type: str, area: str) -> tuple[NDArray[np.int64], str]:
    """Indices of an area's nodes, ascending, and where they come from, in words."""
    from flykd_console.profile.sections import is_path  # brings pydantic, which no other kind of split needs

    path = Path(area).expanduser()
    if not is_path(area):
        rows, root = ontology_area(graph, node_type, area)
        return rows, f"area {area}: {root!r} and its descendants in the ontology, {counted(len(rows), 'node')}"
    texts = _listed(path)
    found, unknown = NodeLookup(graph.nodes[node_type]).find_all(texts)
    if not found:
        raise UserError(
            f"none of its {len(texts)} rows matches a node of type {node_type!r}, first {texts[0]!r}",
            str(path),
            "Ids or names must be those of the graph.",
        )
    missing = f" ({len(unknown)} match none, first {unknown[0]!r})" if unknown else ""
    rows_match = f"{counted(len(texts), 'row')} {'matches' if len(texts) == 1 else 'match'}"
    return np.array(found, dtype=np.int64), f"area of {path.name}: {rows_match} {counted(len(found), 'node')}{missing}"


def _listed(path: Path) -> list[str]:
    """The ids of a list (its names where it has no ids)."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise UserError(what, f"split.area = {path}", "Name a CSV of diseases with a column node_id, or an area.")
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        table = pl.read_csv(path, separator=separator, infer_schema=False, glob=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({str(error).splitlines()[0]})", str(path), "It should be a CSV.") from None
    column = next((name for name in _ID_COLUMNS + _NAME_COLUMNS if name in table.columns), None)
    if column is None:
        raise UserError(
            f"has none of the columns {', '.join(_ID_COLUMNS + _NAME_COLUMNS)}",
            str(path),
            f"Found {', '.join(table.columns[:8])}.",
        )
    texts: list[str] = [text for text in table[column].drop_nulls().to_list() if text.strip()]
    if not texts:
        raise UserError(f"holds no row with a {column}", str(path), "Give a CSV with one disease a row.")
    return texts
