"""Writing `embeddings.h5`: nodes, embedding tables, relation vectors, true pairs and the test set; and `profiles.h5`.

    /nodes/<type>/{id, name, embedding?, embedding_scale?}
    /relations/<relation>/{head_type, tail_type, vector, head_embedding?, tail_embedding?, tail_embedding_scale?}
    /relations/<relation>/pairs/{train, validation, test}        rows (head, tail)
    /relations/<relation>/test_set/{head, tail, label}           positives and the stored negatives
    /relations/<relation>/nearest/{indptr, index, similarity}    each tail's most similar trained tails, as sparse rows
    /connections/<number>/{x, y}                                 edges of third node types: rows of `x_type`, `y_type`

The last two are there where the run left what they are made of; then `/nodes` holds the third types, too.

Embeddings are float32, float16, or int8 with a scale for every row: value = level x scale (`read_table` widens).

Every group and dataset says its `encoding-type` and `encoding-version`, as AnnData's do. The oldest file format and no
time stamps are used: equal models give equal bytes. A relation without a table of its own uses that of its node type.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from exporters.manifest import EMBEDDINGS, ENCODING_VERSION, PARTS, PROFILES, SCHEMA, hdf5_name
from exporters.run_tables import Connection, NodeTable
from exporters.trained_run import Tensors, TrainedRun
from flykd_console.errors import UserError
from flykd_console.runs.files import replace_file

_CHUNK_BYTES = 1 << 18


def write_hdf5(path: Path, run: TrainedRun) -> None:
    """Write the tables of one trained model.

    Raises:
        UserError: A node's id or name holds a NUL character, which HDF5 strings cannot.
        OSError: The disk is full or the place cannot be written.
    """
    replace_file(path, _image(run))


def _image(run: TrainedRun) -> bytes:
    """The file's bytes: made in memory, since HDF5 wants locks of a disk, and tells of a full one by many errors."""
    shared = shared_tail_tensor(run)
    tables = {run.head_type: "head.embedding", run.tail_type: shared}
    with h5py.File(EMBEDDINGS, "w", libver="earliest", driver="core", backing_store=False) as file:
        _describe(file, "flykd-bundle")
        file.attrs.update({"schema": SCHEMA, "model": run.model, "seeds": list(run.seeds), "dim": run.dim})
        nodes = _group(file, "nodes", "node-tables")
        for kind, tensor in tables.items():
            group = _nodes(nodes, kind, run.nodes[kind])
            if tensor:
                _table(group, "embedding", run, tensor)
        for kind, table in run.third.items():
            _nodes(nodes, kind, table)
        relations = _group(file, "relations", "relations")
        for index, relation in enumerate(run.relations):
            group = _group(relations, hdf5_name(relation), "relation")
            group.attrs.update({"name": relation, "index": index})
            _scalar(group, "head_type", run.head_type)
            _scalar(group, "tail_type", run.tail_type)
            _array(group, "vector", run.tensors[f"relation/{relation}"])
            if run.tail_tensor(relation) != shared and not _equal(run.tensors, run.tail_tensor(relation), shared):
                _table(group, "tail_embedding", run, run.tail_tensor(relation))
            pairs = _group(group, "pairs", "pairs")
            for part in PARTS:
                _array(pairs, part, run.pairs[relation][part])
            test = _group(group, "test_set", "test-set")
            for name in ("head", "tail", "label"):
                _array(test, name, getattr(run.tests[relation], name))
            if run.nearest is not None:
                nearest = _group(group, "nearest", "nearest-tails")
                for name in ("indptr", "index", "similarity"):
                    values = getattr(run.nearest[relation], name)
                    _array(nearest, name, values if name == "similarity" else values.astype(np.int32), packed=True)
        if run.connections is not None:
            _connections(_group(file, "connections", "connections"), run.connections)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def write_profiles(path: Path, run: TrainedRun) -> None:
    """Write `profiles.h5` (`exporters.profile_tables` has its layout), which names the node types that lack a table.

    Raises:
        OSError: The disk is full or the place cannot be written.
    """
    with h5py.File(PROFILES, "w", libver="earliest", driver="core", backing_store=False) as file:
        _describe(file, "flykd-profiles")
        file.attrs["schema"] = SCHEMA
        nodes = _group(file, "nodes", "node-tables")
        for kind in sorted(run.beside.keys() - run.third.keys()):
            _nodes(nodes, kind, run.beside[kind])
        edges = _group(file, "edges", "edges")
        for number, one in enumerate(run.profiles or ()):
            group = _group(edges, str(number), "edges-of-a-relation")
            group.attrs.update({"head_type": one.head_type, "relation": one.relation, "tail_type": one.tail_type})
            _array(group, "head", one.head, packed=True)
            _array(group, "tail", one.tail, packed=True)
        file.flush()
        image: bytes = file.id.get_file_image()
    replace_file(path, image)


def _nodes(parent: Any, kind: str, table: NodeTable) -> Any:
    group = _group(parent, hdf5_name(kind), "node-table")
    group.attrs["name"] = kind
    _strings(group, "id", table.ids, kind)
    _strings(group, "name", table.names, kind)
    return group


def _connections(parent: Any, connections: Sequence[Connection]) -> None:
    for number, one in enumerate(connections):
        group = _group(parent, str(number), "connection")
        group.attrs.update({"x_type": one.x_type, "y_type": one.y_type})
        _array(group, "x", one.x, packed=True)
        _array(group, "y", one.y, packed=True)


def shared_tail_tensor(run: TrainedRun) -> str | None:
    """The tail type's own table: the encoder's, else the one that every relation shares, else None."""
    if "tail.embedding" in run.tensors:
        return "tail.embedding"
    first, *others = map(run.tail_tensor, run.relations)
    return first if all(_equal(run.tensors, first, other) for other in others) else None


def _equal(tensors: Tensors, one: str, other: str | None) -> bool:
    """Whether two tables hold the same bits."""
    return other is not None and tensors[one].tobytes() == tensors[other].tobytes()


def _describe(thing: Any, encoding: str) -> None:
    thing.attrs["encoding-type"] = encoding
    thing.attrs["encoding-version"] = ENCODING_VERSION


def _group(parent: Any, name: str, encoding: str) -> Any:
    group = parent.create_group(name)
    _describe(group, encoding)
    return group


def _array(group: Any, name: str, values: NDArray[Any], packed: bool = False) -> None:
    """A dataset of whole rows, about 256 KiB a chunk; chunks ask that an empty one may grow.

    Args:
        packed: Compress it: indices shrink to a third, embeddings would not.
    """
    row = values.itemsize * int(np.prod(values.shape[1:], dtype=np.int64))
    dataset = group.create_dataset(
        name,
        shape=values.shape,
        maxshape=(None, *values.shape[1:]),
        dtype=values.dtype.newbyteorder("<"),
        chunks=(min(max(1, len(values)), max(1, _CHUNK_BYTES // row)), *values.shape[1:]),
        track_times=False,
        shuffle=packed,
        compression="gzip" if packed else None,
    )
    if values.size:
        dataset[...] = values
    _describe(dataset, "array")


def _table(group: Any, name: str, run: TrainedRun, tensor: str) -> None:
    """An embedding table as the run stores it; int8 levels have their rows' scales beside them."""
    if run.dtype == "int8":
        levels, scale = run.quantised[tensor]
        _array(group, name, levels)
        _array(group, f"{name}_scale", scale)
        return
    _array(group, name, run.tensors[tensor].astype(run.dtype))


def _strings(group: Any, name: str, values: Sequence[str], kind: str) -> None:
    try:
        dataset = group.create_dataset(
            name,
            data=np.array(values, dtype=object),
            dtype=h5py.string_dtype("utf-8"),
            chunks=(min(len(values), 16_384),),
            track_times=False,
        )
    except ValueError:
        place = next((row for row, value in enumerate(values) if "\0" in value), None)
        if place is None:
            raise
        raise UserError(
            f"the {name} of {kind} number {place} holds a NUL character",
            "nodes.parquet",
            "Take it out of the graph file, and train again.",
        ) from None
    _describe(dataset, "string-array")


def _scalar(group: Any, name: str, value: str) -> None:
    dataset = group.create_dataset(name, data=value, dtype=h5py.string_dtype("utf-8"), track_times=False)
    _describe(dataset, "string")
