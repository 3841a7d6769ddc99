"""Many graphs with a class each: what graph classification learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from flykd_console.data.attributed import Integers


@dataclass(frozen=True)
class Fold:
    """Graphs to learn from and to test, ascending, int64."""

    train: Integers
    test: Integers


@dataclass(frozen=True)
class Columns:
    """What a node's features stand for: a column a tag, then one a degree, higher ones as `highest_degree`."""

    tags: tuple[int, ...] = ()
    degrees: tuple[int, ...] = ()
    highest_degree: int = 0


@dataclass(frozen=True)
class GraphSet:
    """Graphs, their nodes numbered through.

    Attributes:
        source: Where they were read from.
        graph_of: Which graph each node belongs to, ascending, int64 [n].
        edges: Each once, u < v, nodes of one graph, int64 [e, 2].
        features: float32 [n, f].
        labels: Classes 0 to C - 1, int64 [G].
        classes: C.
        folds: As the set has them.
        columns: Of the features.
    """

    source: str
    graph_of: Integers
    edges: Integers
    features: sp.csr_array
    labels: Integers
    classes: int
    folds: Sequence[Fold] = ()
    columns: Columns = Columns()

    @property
    def nodes(self) -> int:
        return len(self.graph_of)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over nodes, edges, features and classes."""
        digest = hashlib.sha256(f"{self.nodes} {self.features.shape} {self.classes}".encode())
        for whole in (self.graph_of, self.edges, self.features.indices, self.features.indptr, self.labels):
            digest.update(np.ascontiguousarray(whole, dtype=np.int64).tobytes())
        digest.update(np.ascontiguousarray(self.features.data, dtype=np.float32).tobytes())
        return digest.hexdigest()


def one_hot(values: Integers) -> sp.csr_array:
    """A column for each different value, float32 [n, f]."""
    _, columns = np.unique(values, return_inverse=True)
    ones = np.ones(len(values), dtype=np.float32)
    return sp.csr_array((ones, (np.arange(len(values)), columns)), dtype=np.float32)
