"""What a split is: the edges of its three parts, and the stored negatives that came with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flykd_console.graph.knowledge_graph import EdgeType, Pairs, Targets
from flykd_console.words import grouped

Edges = Mapping[EdgeType, Pairs]
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class LeftOut:
    """Labels of the test's relatives, which are in no part (`relatives.py`).

    Attributes:
        hops: Within so many steps of a tested tail.
        relations: Names of the relations that the steps go over.
        tails: How many tails lost a label.
        labels: Per target the pairs that left training and validation, int64 [n] each.
    """

    hops: int
    relations: tuple[str, ...]
    tails: int
    labels: Edges

    @property
    def count(self) -> int:
        """Labels in all."""
        return sum(len(heads) for heads, _ in self.labels.values())


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
        left_out: Labels near the test that are in no part; None: every edge is in one.
        undated: Per target its true pairs that are in no part since they have no date (`by_time.py`).
    """

    targets: Targets
    train: Edges
    validation: Edges
    test: Edges
    kind: str = "complex_disease"
    negatives: Mapping[str, Mapping[EdgeType, Pairs]] = field(default_factory=dict)
    replaced: Literal["head", "tail"] = "tail"
    notes: tuple[str, ...] = ()
    left_out: LeftOut | None = None
    undated: Edges = field(default_factory=dict)

    @property
    def carrying(self) -> Edges:
        """The training edges as messages go over them.

        Of a split by time without relations that come up after training: a model does not know that there are any.
        """
        if self.kind != "by_time":
            return self.train
        return {
            edge_type: pairs for edge_type, pairs in self.train.items() if len(pairs[0]) or edge_type in self.targets
        }

    def part(self, name: str) -> Edges:
        """`train`, `validation` or `test`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def known_before(self, part: str, target: EdgeType) -> Pairs:
        """True pairs of a target that a ranking of `part` (`validation`, `test`) does not ask for.

        Those of earlier parts (the filtered protocol), and those that are in none: they are true, too.
        """
        earlier = [self.train, self.validation] if part == "test" else [self.train]
        if self.left_out is not None:
            earlier.append(self.left_out.labels)
        if target in self.undated:
            earlier.append({target: self.undated[target]})
        heads, tails = (np.concatenate([edges[target][end] for edges in earlier]) for end in (0, 1))
        return heads, tails

    def linked(self, node_type: str) -> NDArray[np.int64]:
        """Nodes of a type with at least one training edge of any relation, int64 [n], ascending."""
        ends = [heads for edge_type, (heads, _) in self.train.items() if edge_type.head == node_type]
        ends += [tails for edge_type, (_, tails) in self.train.items() if edge_type.tail == node_type]
        counts = [np.bincount(nodes) for nodes in ends if len(nodes)]
        met = np.zeros(max(map(len, counts), default=0), dtype=np.bool_)
        for count in counts:
            met[: len(count)] |= count > 0
        return np.flatnonzero(met)

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
