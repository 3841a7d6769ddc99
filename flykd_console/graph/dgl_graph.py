"""KnowledgeGraph to and from DGL, and DGL on a modern torch: the one place that imports dgl.

dgl 2.1.0 loads a C++ library of its optional GraphBolt at import, built for torch <= 2.2 only. Nothing here needs
GraphBolt, so an empty stand-in takes its name when, and only when, the matching library is missing.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flykd_console.graph.knowledge_graph import EdgeType, Pairs


def import_dgl() -> Any:
    """The dgl module, with a stand-in for GraphBolt where its library does not fit the installed torch."""
    if "dgl" in sys.modules:
        return sys.modules["dgl"]
    # Without it dgl prints a line and writes a file into the home directory on first import.
    os.environ.setdefault("DGLBACKEND", "pytorch")
    import torch

    spec = importlib.util.find_spec("dgl")
    if spec is None or spec.origin is None:
        raise ImportError("dgl is not installed")
    version = torch.__version__.split("+")[0]
    library = Path(spec.origin).parent / "graphbolt" / f"libgraphbolt_pytorch_{version}.so"
    if not library.exists() and "dgl.graphbolt" not in sys.modules:
        sys.modules["dgl.graphbolt"] = types.ModuleType("dgl.graphbolt", "Stand-in: GraphBolt does not fit this torch.")
    import dgl

    return dgl


def to_dgl(edges: Mapping[EdgeType, Pairs], node_counts: Mapping[str, int]) -> Any:
    """A `dgl.DGLGraph` with these edges as they stand (add reverses with `with_reverses` first where they are wanted).

    Args:
        edges: Per edge type (heads, tails), int64 [n] each.
        node_counts: Number of nodes per type; types without edges are kept.
    """
    import torch

    dgl = import_dgl()
    data = {
        tuple(edge_type): (torch.from_numpy(np.array(heads)), torch.from_numpy(np.array(tails)))
        for edge_type, (heads, tails) in edges.items()
    }
    used = {t for e in edges for t in (e.head, e.tail)}
    return dgl.heterograph(data, num_nodes_dict={t: n for t, n in node_counts.items() if t in used})


def from_dgl(graph: Any) -> dict[EdgeType, Pairs]:
    """The edges of a `dgl.DGLGraph`, by edge type, in the graph's own edge order."""
    edges = {}
    for canonical in graph.canonical_etypes:
        heads, tails = graph.edges(etype=canonical, order="eid")
        edges[EdgeType(*canonical)] = (heads.numpy().astype(np.int64), tails.numpy().astype(np.int64))
    return edges
