"""Nodes with features, classes and undirected edges: what node classification learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Integers = NDArray[np.int64]
PARTS = ("train", "validation", "test")
# The class of a node that nobody knows: it passes messages on, and is in no part.
UNKNOWN = -1


@dataclass(frozen=True)
class AttributedGraph:
    """An undirected graph of `nodes` nodes.

    Attributes:
        source: Where it was read from, as tables name it.
        edges: Each once, u < v, no self loops, ascending, int64 [e, 2].
        features: float32 [n, f], sparse rows.
        labels: Classes 0 to C - 1, or `UNKNOWN`, int64 [n].
        parts: By `PARTS` the nodes of each, ascending, int64; empty where the file has no split.
        years: Of each node, int64 [n]; None where unknown.
        typed: Edges as the file has them, where they are of several relations: source, target and relation, distinct
            and ascending, int64 [k, 3]; None: all edges are of one.
        classes: C.
    """

    source: str
    edges: Integers
    features: sp.csr_array
    labels: Integers
    classes: int
    parts: Mapping[str, Integers] = field(default_factory=dict)
    years: Integers | None = None
    typed: Integers | None = None

    @property
    def relations(self) -> int:
        """How many relations its edges are of; 0 where it knows of none."""
        return 0 if self.typed is None else int(self.typed[:, 2].max()) + 1

    @property
    def nodes(self) -> int:
        return len(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over edges, features and classes."""
        digest = hashlib.sha256(f"{self.nodes} {self.features.shape} {self.classes}".encode())
        typed = [] if self.typed is None else [self.typed]
        for whole in (self.edges, self.features.indices, self.features.indptr, self.labels, *typed):
            digest.update(np.ascontiguousarray(whole, dtype=np.int64).tobytes())
        digest.update(np.ascontiguousarray(self.features.data, dtype=np.float32).tobytes())
        return digest.hexdigest()

    def normalised(self) -> AttributedGraph:
        """With every row of features divided by its sum, where that is not 0 (Kipf and Welling 2017)."""
        sums = np.abs(self.features).sum(axis=1)
        scale = 1.0 / np.where(sums == 0.0, 1.0, sums)
        features = sp.csr_array(sp.diags_array(scale.astype(np.float32)) @ self.features, dtype=np.float32)
        return replace(self, features=features)


def fingerprint_of(parts: Mapping[str, Integers]) -> str:
    """SHA-256 over the parts of a split."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(f"{name} {len(parts[name])}".encode())
        digest.update(np.ascontiguousarray(parts[name], dtype=np.int64).tobytes())
    return digest.hexdigest()


def directed(edges: Integers, relations: Integers) -> Integers:
    """Edges with their relations, each once and without self loops, ascending, int64 [k, 3]."""
    joined = edges[:, 0] != edges[:, 1]
    found: Integers = np.unique(np.column_stack([edges, relations])[joined], axis=0).astype(np.int64).reshape(-1, 3)
    return found
