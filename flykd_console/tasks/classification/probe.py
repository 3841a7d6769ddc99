"""Nodes and edges that are made up, with what a network says of them: what an exported encoder is held against.

That the samples of a run come out right says little of other features and edges; these are drawn at random, with a node
that has no feature, nodes that have no edge, and, of graphs, one without any edge.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from flykd_console.data.arrays import undirected
from flykd_console.model.encoders.network import SampleNetwork, Sight
from flykd_console.model.feature_rows import FeatureRows
from flykd_console.model.neighbourhoods import Neighbourhoods
from flykd_console.seeding import numpy_rng
from flykd_console.tasks.classification.samples import Samples

NODES, GRAPHS = 24, 4
_EDGES, _DENSITY = 30, 0.2


@torch.no_grad()
def probe_of(network: SampleNetwork, samples: Samples, seed: int) -> dict[str, Tensor]:
    """`x` float32 [n, f] as a file would have it, `edges` int64 [e, 2], `logits` [m, C]; of graphs `graph_of` [n]."""
    rng = numpy_rng(seed, "probe")
    device = next(network.parameters()).device
    x = (rng.random((NODES, samples.features)) * (rng.random((NODES, samples.features)) < _DENSITY)).astype(np.float32)
    x[0] = 0.0
    # The last quarter of the nodes is joined to nothing.
    edges = undirected(rng.integers(3 * NODES // 4, size=(_EDGES, 2)))
    graph_of = np.arange(NODES, dtype=np.int64) * GRAPHS // NODES
    if network.of_graphs:
        edges = edges[graph_of[edges[:, 0]] == graph_of[edges[:, 1]]]
    sums = np.abs(x).sum(axis=1, keepdims=True)
    used = x / np.where(sums == 0.0, 1.0, sums) if samples.normalised else x
    sight = Sight(
        FeatureRows(sp.csr_array(used.astype(np.float32)), device),
        Neighbourhoods(edges, NODES, device),
        torch.from_numpy(graph_of).to(device) if network.of_graphs else None,
        GRAPHS if network.of_graphs else 0,
    )
    found = {"x": torch.from_numpy(x), "edges": torch.from_numpy(edges), "logits": network.see(sight).logits}
    return found | ({"graph_of": torch.from_numpy(graph_of)} if network.of_graphs else {})
