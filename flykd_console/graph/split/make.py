"""Splits: which edges train, validate and test (FlyKD section 4; TxGNN's splits).

`complex_disease` cuts the targets by tail node: a test disease has no edge to any drug in training (zero-shot),
whatever the relation. Everything else is cut at random, relation by relation, with the same fractions. The other kinds
live beside this module: `split_random`, `split_diseases` and `split_files`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from flykd_console.errors import UserError
from flykd_console.graph.split.diseases import cut_area, cut_diseases
from flykd_console.graph.split.files import read_split
from flykd_console.graph.split.negatives import has_negatives
from flykd_console.graph.split.random import Edges, Membership, counted, cut_at_random, cut_by_tail, grouped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs
    from flykd_console.profile import schema

PARTS = ("train", "validation", "test")

# A negative that keeps its head takes another tail of the test; among fewer than this it is often a true pair again.
FEW_TAILS = 10


@dataclass(frozen=True)
class EdgeSplit:
    """The edges of the three parts, one direction each, and the edge types that are learnt.

    Attributes:
        kind: As in the profile.
        negatives: Per part (`validation`, `test`) and target the stored negatives that came with the split, int64 [n]
            each; where there are none they are drawn.
        replaced: Which end of a true test pair a drawn negative replaces. The head where the question is which heads
            go with a few named tails: another of these tails would mostly be the true pair again.
        notes: What is worth telling of how the parts came about, a sentence without a full stop each.
    """

    targets: list[EdgeType]
    train: Edges
    validation: Edges
    test: Edges
    kind: str = "complex_disease"
    negatives: Mapping[str, Mapping[EdgeType, Pairs]] = field(default_factory=dict)
    replaced: Literal["head", "tail"] = "tail"
    notes: tuple[str, ...] = ()

    def part(self, name: str) -> Edges:
        """`train`, `validation` or `test`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the edges of every part, and over stored negatives or how test negatives are drawn."""
        digest = hashlib.sha256()
        for name, edge_type, pairs in self._everything():
            digest.update("\x00".join((name, *edge_type, "")).encode())
            for column in pairs:
                digest.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
        if self.replaced != "tail":
            digest.update(f"replaced\x00{self.replaced}".encode())
        return digest.hexdigest()

    def _everything(self) -> Iterator[tuple[str, EdgeType, Pairs]]:
        for name in PARTS:
            yield from ((name, *item) for item in sorted(self.part(name).items()))
        for name, stored in sorted(self.negatives.items()):
            yield from ((f"{name} negatives", *item) for item in sorted(stored.items()))

    @property
    def in_words(self) -> str:
        """The size of every part per target, one line."""

        def sizes(target: EdgeType) -> str:
            return ", ".join(f"{grouped(len(self.part(name)[target][0]))} {name}" for name in PARTS)

        return f"split {self.kind}: " + "; ".join(f"{target.relation} {sizes(target)}" for target in self.targets)


def split_graph(graph: KnowledgeGraph, targets: list[EdgeType], settings: schema.Split, seed: int) -> EdgeSplit:
    """Divide a graph's edges; the same graph, settings, files and seed always give the same parts.

    Raises:
        UserError: A target is left without an edge in a part that needs one; a list or file of the split is at fault.
    """
    if settings.kind == "files":
        given = read_split(graph, targets, settings)
        train, validation, test = (given.parts[name] for name in PARTS)
        split = EdgeSplit(targets, train, validation, test, "files", given.negatives, notes=given.notes)
        _check_parts(graph, split, seed)
        return split
    # A pair that stands twice must not be learnt in one part and asked in another.
    edges = {e: _distinct(*pairs) if e in targets else pairs for e, pairs in sorted(graph.edges.items())}
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
    train, validation, test = (
        {e: _chosen(pairs, membership[e] == number) for e, pairs in edges.items()} for number in range(len(PARTS))
    )
    few = settings.kind == "disease_area" and _fewest_tails(targets, test) < FEW_TAILS
    notes = [note] if note else []
    if few:
        head, tail = targets[0].head, targets[0].tail
        notes.append(
            f"test negatives keep the {tail} and take another {head}, since a relation is tested on fewer than "
            f"{FEW_TAILS} nodes of type {tail!r}"
        )
    split = EdgeSplit(
        targets,
        train,
        validation,
        test,
        kind=settings.kind,
        replaced="head" if few or settings.kind == "disease" else "tail",
        notes=tuple(notes),
    )
    _check_parts(graph, split, seed)
    return split


def _check_parts(graph: KnowledgeGraph, split: EdgeSplit, seed: int) -> None:
    """Refuse a split that cannot be trained or measured.

    Where the parts are given or follow from chosen tails, a target may lack edges in a part if another one has some.
    A relation whose test negatives would all be true pairs scores 50 % whatever the model, and is refused.
    """
    chosen = split.kind in ("disease", "disease_area", "files")
    for name in PARTS:
        if name == "test" and split.kind == "full_graph":
            continue
        lacking = [target for target in split.targets if len(split.part(name)[target][0]) == 0]
        if lacking and not (chosen and name != "train" and len(lacking) < len(split.targets)):
            seeded = "" if split.kind == "files" else f" with seed {seed}"
            raise UserError(
                f"the {split.kind} split{seeded} leaves the relation {lacking[0].relation!r} without {name} edges "
                f"(the graph has {len(graph.edges[lacking[0]][0])} edges of it in all)",
                "split",
                f"Add {name} edges of it to the files."
                if split.kind == "files"
                else "Take a larger graph, other split.fractions, another split.kind or other graph.targets.",
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


def _fewest_tails(targets: list[EdgeType], test: Edges) -> int:
    """Of the relations that are tested, the fewest tails that one is tested on."""
    return min((len(np.unique(test[target][1])) for target in targets if len(test[target][1])), default=0)


def _distinct(heads: NDArray[np.int64], tails: NDArray[np.int64]) -> Pairs:
    """Pairs without repetitions, in order of their first appearance."""
    _, first = np.unique(np.stack([heads, tails]), axis=1, return_index=True)
    kept = np.sort(first)
    return heads[kept], tails[kept]


def _chosen(pairs: Pairs, mask: NDArray[np.bool_]) -> Pairs:
    return pairs[0][mask], pairs[1][mask]
