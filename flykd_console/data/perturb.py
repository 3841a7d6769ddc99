"""What is done to a graph that trained networks are then asked about: edges and features changed at random.

edges_removed     a share of the edges is left out
edges_added       so many edges more, as a share of those there, between nodes of one graph drawn uniformly
features_masked   a share of the values that are not 0 is set to 0
feature_noise     Gaussian noise, of so many times the features' root mean square, on the values that are not 0 and
                  on as many that are
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from flykd_console.data.arrays import undirected
from flykd_console.data.attributed import Integers
from flykd_console.seeding import numpy_rng


@dataclass(frozen=True)
class Perturbation:
    """One change of one strength, drawn once.

    Attributes:
        kind: As above.
        strength: A share, or of noise a multiple.
        draw: Which of several draws.
    """

    kind: str
    strength: float
    draw: int

    def rng(self, seed: int) -> np.random.Generator:
        """The generator of this change in one seed: the same for every model."""
        return numpy_rng(seed, f"robustness/{self.kind}/{self.strength:g}/{self.draw}")

    def applied(
        self, edges: Integers, features: sp.csr_array, graph_of: Integers, seed: int
    ) -> tuple[Integers, sp.csr_array]:
        """The edges and features of nodes after it.

        Args:
            edges: Each once, u < v, int64 [e, 2].
            features: float32 [n, f].
            graph_of: Which graph each node belongs to, ascending, int64 [n].
            seed: Of the draw.
        """
        rng = self.rng(seed)
        if self.kind == "edges_removed":
            return _removed(edges, self.strength, rng), features
        if self.kind == "edges_added":
            return _added(edges, graph_of, self.strength, rng), features
        if self.kind == "features_masked":
            return edges, _masked(features, self.strength, rng)
        return edges, _noisy(features, self.strength, rng)


def retyped(typed: Integers, edges: Integers, rng: np.random.Generator) -> Integers:
    """Edges with their relations once edges were left out or came: new ones are of relations as frequent as they are.

    Args:
        typed: Source, target and relation, int64 [k, 3].
        edges: Those that there are, u < v, int64 [e, 2].
    """
    nodes = int(max(typed[:, :2].max(), edges.max(initial=0))) + 1
    known = np.sort(typed[:, :2], axis=1) @ np.array([nodes, 1])
    present = edges @ np.array([nodes, 1])
    new = edges[~np.isin(present, known)]
    drawn = typed[rng.integers(len(typed), size=len(new)), 2]
    return np.concatenate([typed[np.isin(known, present)], np.column_stack([new, drawn])])


def _removed(edges: Integers, share: float, rng: np.random.Generator) -> Integers:
    kept = np.sort(rng.permutation(len(edges))[round(share * len(edges)) :])
    found: Integers = edges[kept]
    return found


def _added(edges: Integers, graph_of: Integers, share: float, rng: np.random.Generator) -> Integers:
    """New edges go where edges are: to a graph with a chance in proportion to its edges."""
    count = round(share * len(edges))
    if count == 0:
        return edges
    graphs = graph_of[edges[rng.integers(len(edges), size=count), 0]]
    first, last = np.searchsorted(graph_of, graphs, "left"), np.searchsorted(graph_of, graphs, "right")
    drawn = rng.integers(first[:, None], last[:, None], size=(count, 2))
    return undirected(np.concatenate([edges, drawn]))


def _masked(features: sp.csr_array, share: float, rng: np.random.Generator) -> sp.csr_array:
    changed = features.copy()
    changed.data = np.where(rng.random(changed.nnz) < share, 0.0, changed.data).astype(np.float32)
    return changed


def _noisy(features: sp.csr_array, strength: float, rng: np.random.Generator) -> sp.csr_array:
    scale = strength * float(np.sqrt(np.mean(np.square(features.data)))) if features.nnz else 0.0
    size = features.nnz
    changed = features.copy()
    changed.data = (changed.data + rng.normal(0.0, scale, size)).astype(np.float32)
    places = (rng.integers(features.shape[0], size=size), rng.integers(features.shape[1], size=size))
    elsewhere = sp.csr_array((rng.normal(0.0, scale, size), places), shape=features.shape, dtype=np.float32)
    # Where it fell on a value that is not 0 that value has its noise already.
    elsewhere = elsewhere - elsewhere.multiply(features != 0.0)
    return sp.csr_array(changed + elsewhere, dtype=np.float32)
