"""Writing `answers.h5`: what every model says of every sample, and the graph that it was said of.

    /samples/{part, label}                  int8 [N]: 0 to 2 as in PARTS, -1: none; int64 [N], -1: unknown
    /models/NAME/{logits, embedding?}       float32 [N, C] and [N, d]; of the ensemble log p
    /graph/{edges, x_data, x_indices, x_indptr, graph_of?}

A sample's id is its row. The oldest file format and no time stamps are used: equal models give equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from exporters.classes.manifest import ENSEMBLE
from exporters.classes.trained import TrainedClasses
from exporters.manifest import ENCODING_VERSION, SCHEMA

Floats = NDArray[np.float32]
_CHUNK_BYTES = 1 << 18


def write_answers(path: Path, run: TrainedClasses, ensemble: Floats | None) -> None:
    """Write the tables; `ensemble`: log-probabilities of the members' mean, [N, C]."""
    with h5py.File(path, "w", libver="earliest") as file:
        file.attrs.update({"schema": SCHEMA, "task": run.task, "seed": run.choice.seed})
        _describe(file, "flykd-classes")
        samples = _group(file, "samples")
        _array(samples, "part", run.part)
        _array(samples, "label", run.data.label)
        models = _group(file, "models")
        for name, model in run.models.items():
            group = _group(models, name)
            _array(group, "logits", model.logits)
            _array(group, "embedding", model.embedding)
        if ensemble is not None:
            _array(_group(models, ENSEMBLE), "logits", ensemble)
        graph = _group(file, "graph")
        for name in ("edges", "x_data", "x_indices", "x_indptr", "graph_of"):
            values = getattr(run.data, name)
            if values is not None:
                _array(graph, name, values)


def _describe(thing: Any, encoding: str) -> None:
    thing.attrs["encoding-type"] = encoding
    thing.attrs["encoding-version"] = ENCODING_VERSION


def _group(parent: Any, name: str) -> Any:
    group = parent.create_group(name)
    _describe(group, "group")
    return group


def _array(group: Any, name: str, values: NDArray[Any]) -> None:
    row = max(1, values.itemsize * int(np.prod(values.shape[1:], dtype=np.int64)))
    dataset = group.create_dataset(
        name,
        shape=values.shape,
        maxshape=(None, *values.shape[1:]),
        dtype=values.dtype.newbyteorder("<"),
        chunks=(min(max(1, len(values)), max(1, _CHUNK_BYTES // row)), *values.shape[1:]),
        track_times=False,
        shuffle=values.dtype.kind != "f",
        compression="gzip" if values.dtype.kind != "f" else None,
    )
    if values.size:
        dataset[...] = values
    _describe(dataset, "array")
