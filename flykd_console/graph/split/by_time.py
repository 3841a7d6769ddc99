"""`by_time`: training edges are the oldest, test edges the latest, whatever their relation.

    part(e) = train       date(e) <= train_until
              validation  date(e) <= validate_until
              test        later

Every relation is cut, not the scored ones alone: what carries messages, makes profiles and is counted is `train`, so
that nothing of it is later than any pair that is asked. An edge is dated by the earliest row that tells of it, and a
pair counts once, so that later rows of an edge that was known before change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flykd_console.dates import UNDATED, in_words, number_of, parts_by_date
from flykd_console.errors import UserError
from flykd_console.graph.split.random import Membership, joins
from flykd_console.graph.split.relatives import NO_PART
from flykd_console.words import counted, grouped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Targets
    from flykd_console.graph.split.edge_split import Edges
    from flykd_console.profile import sections

_NAMED = 4  # relations that a note names


@dataclass(frozen=True)
class TimeCut:
    """Parts by date.

    Attributes:
        edges: The graph's, each pair of a relation once.
        membership: Part number of each edge; `NO_PART` where it is in none.
        undated: Per target its true pairs without a date that are in no part, int64 [n] each.
        notes: What was cut when, and what became of edges without a date.
    """

    edges: Edges
    membership: Membership
    undated: Edges
    notes: tuple[str, ...]


def cut_by_time(graph: KnowledgeGraph, targets: Targets, settings: sections.Split) -> TimeCut:
    """Cut every relation by the dates of its edges.

    Raises:
        UserError: The graph was read without dates, or no edge of a target has one.
    """
    if graph.dates is None:
        raise UserError("the graph has no dates", "split.kind = 'by_time'", "Name their column: graph.time_column.")
    assert settings.train_until is not None
    assert settings.validate_until is not None
    cuts = number_of(settings.train_until), number_of(settings.validate_until)
    edges, membership = {}, {}
    background: dict[str, int] = {}
    without: dict[str, int] = {}
    undated: dict[EdgeType, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    for edge_type, pairs in sorted(graph.edges.items()):
        once = _first_of_each(*pairs)
        heads, tails = pairs[0][once], pairs[1][once]
        dates = graph.dates[edge_type][once]
        unknown = dates == UNDATED
        part = parts_by_date(dates, cuts)
        kept = _keeps_undated(settings.undated, labels=joins(edge_type, targets))
        part[unknown] = 0 if kept else NO_PART
        edges[edge_type], membership[edge_type] = (heads, tails), part
        if count := int(np.count_nonzero(unknown)):
            told = background if kept else without
            told[edge_type.relation] = told.get(edge_type.relation, 0) + count
        if edge_type in targets and not kept:
            undated[edge_type] = heads[unknown], tails[unknown]
    _check_dated(graph, targets)
    first, last = (in_words(cut) for cut in cuts)
    notes = [
        f"edges up to {first} train, later ones up to {last} validate, those after it are the test; of every relation"
    ]
    if background:
        notes.append(f"{_listed(background)} count as oldest: they have no date")
    if without:
        notes.append(f"{_listed(without)} are in no part: they have no date (split.undated = {settings.undated!r})")
    return TimeCut(edges, membership, undated, tuple(notes))


def _keeps_undated(policy: str, *, labels: bool) -> bool:
    """Whether edges of a relation without a date train; `labels`: it stands between heads and tails."""
    return policy == "oldest" or (policy == "background" and not labels)


def _check_dated(graph: KnowledgeGraph, targets: Targets) -> None:
    assert graph.dates is not None
    for target in targets:
        if not (graph.dates[target] != UNDATED).any():
            raise UserError(
                f"no edge of the relation {target.relation!r} has a date",
                "graph.time_column",
                f"Look at its columns: flykd-console graph info {graph.source}",
            )


def _first_of_each(heads: NDArray[np.int64], tails: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each pair stands first, int64, ascending."""
    width = int(tails.max(initial=0)) + 1
    _, first = np.unique(heads * width + tails, return_index=True)
    return np.sort(first)


def _listed(counts: Mapping[str, int]) -> str:
    """`1,200 edges of 3 relations (a 1,000, b 150, c 50)`, the most first."""
    order = sorted(counts, key=lambda relation: (-counts[relation], relation))
    shown = ", ".join(f"{relation} {grouped(counts[relation])}" for relation in order[:_NAMED])
    more = ", ..." if len(order) > _NAMED else ""
    return f"{counted(sum(counts.values()), 'edge')} of {counted(len(order), 'relation')} ({shown}{more})"
