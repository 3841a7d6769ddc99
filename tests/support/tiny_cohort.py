"""A small cohort on a small citation-like graph: profiles, tasks and runs of a few epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from flykd_console.data.arrays import undirected
from flykd_console.data.attributed import AttributedGraph
from flykd_console.profile.schema import Profile
from flykd_console.tasks.classification.task import Classification
from flykd_console.tasks.node_classification.samples import NodeSamples

MEMBERS = {
    "gcn": {"kind": "gcn", "dim": 8},
    "gat": {"kind": "gat", "dim": 4, "heads": 2},
    "sage": {"kind": "sage", "dim": 8},
}


def small_citations(nodes: int = 60, classes: int = 3) -> AttributedGraph:
    """Nodes of three classes that mostly join their own, with 12 words."""
    rng = np.random.default_rng(3)
    labels = np.arange(nodes) % classes
    sources = rng.integers(nodes, size=4 * nodes)
    own = (sources + classes * rng.integers(1, nodes // classes, size=len(sources))) % nodes
    targets = np.where(rng.random(len(sources)) < 0.8, own, rng.integers(nodes, size=len(sources)))
    words = (rng.random((nodes, 12)) < 0.2) | (np.arange(12) % classes == labels[:, None]) & (
        rng.random((nodes, 12)) < 0.5
    )
    order = rng.permutation(nodes)
    third = nodes // 3
    return AttributedGraph(
        source="small",
        edges=undirected(np.stack([sources, targets], axis=1)),
        features=sp.csr_array(words.astype(np.float32)),
        labels=labels.astype(np.int64),
        classes=classes,
        parts={
            "train": np.sort(np.concatenate([np.arange(classes), order[order >= classes][: third - classes]])),
            "validation": np.sort(order[order >= classes][third - classes : 2 * third - classes]),
            "test": np.sort(order[order >= classes][2 * third - classes :]),
        },
        years=(1990 + np.arange(nodes) // 3).astype(np.int64),
    )


def cohort_profile(**cohort: Any) -> Profile:
    """A profile of ten epochs; keywords are keys of `[cohort]`."""
    settings = {"members": MEMBERS, "epochs": 10} | cohort
    run = {"seeds": [0], "device": "cpu", "name": "tiny-cohort"}
    return Profile.model_validate({"run": run, "task": {"kind": "node_classification"}, "cohort": settings})


def cohort_task(profile: Profile, seed: int = 0) -> Classification:
    """Its task on the small graph."""
    device = torch.device("cpu")
    samples = NodeSamples(small_citations(), profile.data, profile.engine, seed, device)
    return Classification(profile, samples, seed, device)


def write_npz(path: Path, graph: AttributedGraph, **changed: Any) -> Path:
    """The graph as a file of arrays; keywords replace arrays, None leaves one out."""
    features = graph.features
    arrays: dict[str, Any] = {
        "edges": graph.edges,
        "y": graph.labels,
        "x_data": features.data,
        "x_indices": features.indices,
        "x_indptr": features.indptr,
        "x_shape": np.array(features.shape),
        "train_idx": graph.parts["train"],
        "val_idx": graph.parts["validation"],
        "test_idx": graph.parts["test"],
    } | changed
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})
    return path
