"""What a run leaves of its samples, and of what every model makes of them, for those who must not import torch.

samples.safetensors                     edges [e, 2]; x_data, x_indices, x_indptr: features as CSR, as they were read;
                                        label [N] (-1: unknown); of graphs graph_of [n]
seed-N/MODEL.embeddings.safetensors     logits [N, C]; embedding [N, d]; part int8 [N]: 0 to 2 as in PARTS, -1: none;
                                        probe/...: other nodes with features, and the logits that torch gives them
seed-N/{validation,test}-samples.parquet    each model's log-probabilities
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import torch

from flykd_console.data.attributed import PARTS, AttributedGraph
from flykd_console.data.graph_set import GraphSet
from flykd_console.model.encoders.network import SampleNetwork
from flykd_console.model.tensor_files import save_tensors
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import replace_file
from flykd_console.tasks.classification.metrics import Floats, Integers
from flykd_console.tasks.classification.probe import probe_of
from flykd_console.tasks.classification.samples import Samples

SCHEMA = 1


def save_answers(path: Path, ids: Sequence[str], labels: Integers, answers: Mapping[str, Floats]) -> None:
    """Parquet: `sample_id, label` and a list of log-probabilities by class for each model; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: pl.Series(name, logs.tolist(), dtype=pl.List(pl.Float32)) for name, logs in answers.items()}
    frame = pl.DataFrame({"sample_id": list(ids), "label": labels, **columns})
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    replace_file(path, buffer.getvalue())


def save_data(data: AttributedGraph | GraphSet, directory: RunDirectory) -> None:
    """Write `samples.safetensors`."""
    rows = data.features.copy()
    rows.sum_duplicates()
    arrays = {
        "edges": data.edges,
        "x_data": rows.data.astype(np.float32),
        "x_indices": rows.indices.astype(np.int64),
        "x_indptr": rows.indptr.astype(np.int64),
        "label": data.labels,
    }
    metadata = {"schema": SCHEMA, "source": data.source, "classes": data.classes, "features": rows.shape[1]}
    if isinstance(data, GraphSet):
        arrays["graph_of"] = data.graph_of
        metadata["columns"] = asdict(data.columns)
    save_tensors(directory.sample_data, {name: torch.from_numpy(one) for name, one in arrays.items()}, metadata)


def save_embeddings(path: Path, samples: Samples, seed: int, name: str, network: SampleNetwork) -> None:
    """Write what a trained network makes of every sample, and of a few that are made up."""
    logits, embedding = samples.everything(network)
    part = np.full(len(samples.labels), -1, dtype=np.int8)
    for number, one in enumerate(PARTS):
        part[samples.parts[one]] = number
    tensors = {"logits": logits, "embedding": embedding, "part": torch.from_numpy(part)}
    tensors |= {f"probe/{key}": tensor for key, tensor in probe_of(network, samples, seed).items()}
    settings = network.settings
    metadata = {
        "schema": SCHEMA,
        "model": name,
        "seed": seed,
        "classes": samples.classes,
        "normalised": samples.normalised,
        "of_graphs": network.of_graphs,
        "kind": settings.kind,
        "dim": settings.dim,
        "heads": settings.heads,
        "layers": settings.layers,
        "residual": settings.residual,
    }
    save_tensors(path, tensors, metadata)
