"""The graphs that ship with the package for graph classification: small molecule-like ones, generated.

A class is what a skeleton carries: branches alone, rings of six, or triangles; tags are drawn alike in all classes, so
that shape alone tells them apart. A node's features are its tag and its degree.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from flykd_console.data.arrays import undirected
from flykd_console.data.graph_set import Columns, Fold, GraphSet, one_hot
from flykd_console.data.tu_text import FOLDS
from flykd_console.seeding import numpy_rng

_SEED = 0
_GRAPHS, _CLASSES, _TAGS = 300, 3, 4
_HIGHEST_DEGREE = 5
_RING = {1: 6, 2: 3}


def molecules() -> GraphSet:
    """300 graphs of 12 to 30 nodes in three classes of a hundred, the same whenever they are made, with ten folds."""
    rng = numpy_rng(_SEED, "molecules")
    labels = rng.permutation(np.arange(_GRAPHS) % _CLASSES).astype(np.int64)
    graph_of, edges, first = [], [], 0
    for graph, label in enumerate(labels):
        size = int(rng.integers(12, 31))
        pairs = _skeleton(rng, size, int(label))
        edges += [(first + u, first + v) for u, v in pairs]
        graph_of += [graph] * size
        first += size
    joined = undirected(np.array(edges, dtype=np.int64))
    degrees = np.minimum(np.bincount(joined.ravel(), minlength=first), _HIGHEST_DEGREE).astype(np.int64)
    tags = rng.choice(_TAGS, size=first, p=[0.55, 0.2, 0.15, 0.1]).astype(np.int64)
    order = rng.permutation(_GRAPHS)
    # Classes are dealt to the folds in turn, so that each has a tenth of them.
    dealt = order[np.argsort(labels[order], kind="stable")]
    tests = [np.sort(dealt[number::FOLDS]).astype(np.int64) for number in range(FOLDS)]
    everything = np.arange(_GRAPHS, dtype=np.int64)
    return GraphSet(
        source="embedded",
        graph_of=np.array(graph_of, dtype=np.int64),
        edges=joined,
        features=sp.csr_array(sp.hstack([one_hot(tags), one_hot(degrees)]), dtype=np.float32),
        labels=labels,
        classes=_CLASSES,
        folds=[Fold(np.setdiff1d(everything, test), test) for test in tests],
        columns=Columns(tuple(np.unique(tags).tolist()), tuple(np.unique(degrees).tolist()), _HIGHEST_DEGREE),
    )


def _skeleton(rng: np.random.Generator, size: int, label: int) -> list[tuple[int, int]]:
    """A random tree; of classes 1 and 2 with one or two rings in it, and now and then a ring of either kind."""
    parents = [int(rng.integers(max(0, node - 4), node)) for node in range(1, size)]
    pairs = [(parent, node) for node, parent in enumerate(parents, 1)]
    if label:
        pairs += _rings(rng, size, _RING[label], int(rng.integers(1, 3)))
    if rng.random() < 0.15:
        pairs += _rings(rng, size, _RING[int(rng.integers(1, 3))], 1)
    return pairs


def _rings(rng: np.random.Generator, size: int, length: int, many: int) -> list[tuple[int, int]]:
    pairs = []
    for _ in range(many):
        nodes = [int(node) for node in rng.choice(size, size=length, replace=False)]
        pairs += list(zip(nodes, [*nodes[1:], nodes[0]], strict=True))
    return pairs
