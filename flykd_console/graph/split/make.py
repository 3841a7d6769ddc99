"""Splits: which edges train, validate and test (FlyKD section 4; TxGNN's splits).

`complex_disease` cuts the targets by tail node: a test disease has no edge to any drug in training (zero-shot),
whatever the relation. Everything else is cut at random, relation by relation, with the same fractions. The other kinds
live beside this module: `random`, `diseases`, `by_time`, `files` and `lists`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from flykd_console.errors import UserError
from flykd_console.graph.split.by_time import cut_by_time
from flykd_console.graph.split.diseases import cut_area, cut_diseases
from flykd_console.graph.split.edge_split import PARTS, Edges, EdgeSplit
from flykd_console.graph.split.files import read_split
from flykd_console.graph.split.lists import split_by_list
from flykd_console.graph.split.negatives import has_negatives
from flykd_console.graph.split.random import Membership, cut_at_random, cut_by_tail
from flykd_console.graph.split.relatives import in_words, leave_out_relatives
from flykd_console.words import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import KnowledgeGraph, Pairs, Targets
    from flykd_console.profile import sections

# A negative that keeps its head takes another tail of the test; among fewer than this it is often a true pair again.
FEW_TAILS = 10


def split_graph(graph: KnowledgeGraph, targets: Targets, settings: sections.Split, seed: int) -> EdgeSplit:
    """Divide a graph's edges; the same graph, settings, files and seed always give the same parts.

    Raises:
        UserError: A target is left without an edge in a part that needs one; a list or file of the split is at fault.
    """
    if settings.kind == "files" and settings.train is not None:
        given = read_split(graph, targets, settings)
        train, validation, test = (given.parts[name] for name in PARTS)
        split = EdgeSplit(targets, train, validation, test, "files", given.negatives, notes=given.notes)
        _check_parts(graph, split, seed)
        return split
    # A pair that stands twice must not be learnt in one part and asked in another.
    edges = {e: _distinct(*pairs) if e in targets else pairs for e, pairs in sorted(graph.edges.items())}
    if settings.kind == "files":
        split = split_by_list(graph, edges, targets, settings, seed)
        _check_parts(graph, split, seed)
        return split
    if settings.kind == "by_time":
        split = _by_time(graph, targets, settings)
        _check_parts(graph, split, seed)
        return split
    note = ""
    membership: Membership
    match settings.kind:
        case "complex_disease":
            membership = cut_by_tail(graph, edges, targets, settings, seed)
        case "random" | "full_graph":
            membership = cut_at_random(edges, targets, settings, seed)
        case "disease":
            membership, note = cut_diseases(graph, edges, targets, settings, seed)
        case "disease_area":
            membership, note = cut_area(graph, edges, targets, settings, seed)
    left_out = None
    if settings.hops:
        membership, left_out = leave_out_relatives(graph, edges, targets, membership, settings.hops)
    train, validation, test = _parts(edges, membership)
    few = settings.kind == "disease_area" and _fewest_tails(targets, test) < FEW_TAILS
    notes = [note] if note else []
    if few:
        head, tail = targets.head, targets.tail
        notes.append(
            f"test negatives keep the {tail} and take another {head}, since a relation is tested on fewer than "
            f"{FEW_TAILS} nodes of type {tail!r}"
        )
    if left_out is not None:
        notes.append(in_words(left_out, targets.tail))
    split = EdgeSplit(
        targets,
        train,
        validation,
        test,
        kind=settings.kind,
        replaced="head" if few or settings.kind == "disease" else "tail",
        notes=tuple(notes),
        left_out=left_out,
    )
    _check_parts(graph, split, seed)
    return split


def _by_time(graph: KnowledgeGraph, targets: Targets, settings: sections.Split) -> EdgeSplit:
    """The same parts under every seed: a date is no draw."""
    cut = cut_by_time(graph, targets, settings)
    train, validation, test = _parts(cut.edges, cut.membership)
    return EdgeSplit(targets, train, validation, test, "by_time", notes=cut.notes, undated=cut.undated)


def _parts(edges: Edges, membership: Membership) -> Iterator[Edges]:
    for number in range(len(PARTS)):
        yield {e: _chosen(pairs, membership[e] == number) for e, pairs in edges.items()}


def _check_parts(graph: KnowledgeGraph, split: EdgeSplit, seed: int) -> None:
    """Refuse a split that cannot be trained or measured.

    Where the parts are given or follow from chosen tails, a target may lack edges in a part if another one has some.
    A relation whose test negatives would all be true pairs scores 50 % whatever the model, and is refused.
    """
    chosen = split.kind in ("disease", "disease_area", "files", "by_time")
    for name in PARTS:
        if name == "test" and split.kind == "full_graph":
            continue
        lacking = [target for target in split.targets if len(split.part(name)[target][0]) == 0]
        if lacking and not (chosen and name != "train" and len(lacking) < len(split.targets)):
            seeded = "" if split.kind in ("files", "by_time") else f" with seed {seed}"
            near = f" and hops = {split.left_out.hops}" if split.left_out is not None else ""
            raise UserError(
                f"the {split.kind} split{seeded}{near} leaves the relation {lacking[0].relation!r} without "
                f"{name} edges (the graph has {len(graph.edges[lacking[0]][0])} edges of it in all)",
                "split",
                _remedy(split, name),
            )
    blind = next((target for target in split.targets if not has_negatives(graph, split, target)), None)
    if blind is not None:
        tails = len(np.unique(split.test[blind][1]))
        raise UserError(
            f"{blind.relation} cannot be tested: every pair that a test negative could be is a true one, so that any "
            f"model would score 50 % (its test has {counted(tails, 'node')} of type {blind.tail!r})",
            "split",
            "Test more nodes, or take another split.kind or other graph.targets.",
        )


def _remedy(split: EdgeSplit, lacking: str) -> str:
    """What to do about a target without edges in a part."""
    if split.kind == "files":
        return f"Add {lacking} edges of it to the files."
    if split.kind == "by_time":
        return "Take other dates: flykd-console graph info GRAPH shows their range (split.train_until, validate_until)."
    fewer = "fewer split.hops, " if split.left_out is not None else ""
    return f"Take {fewer}a larger graph, other split.fractions, another split.kind or other graph.targets."


def _fewest_tails(targets: Targets, test: Edges) -> int:
    """Of the relations that are tested, the fewest tails that one is tested on."""
    return min((len(np.unique(test[target][1])) for target in targets if len(test[target][1])), default=0)


def _distinct(heads: NDArray[np.int64], tails: NDArray[np.int64]) -> Pairs:
    """Pairs without repetitions, in order of their first appearance."""
    _, first = np.unique(np.stack([heads, tails]), axis=1, return_index=True)
    kept = np.sort(first)
    return heads[kept], tails[kept]


def _chosen(pairs: Pairs, mask: NDArray[np.bool_]) -> Pairs:
    return pairs[0][mask], pairs[1][mask]
