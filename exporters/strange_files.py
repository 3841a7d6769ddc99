"""Files of a bundle that may come from a stranger, held to what a bundle needs before any of their content is used.

Checksums say that a file arrived as it was sent, and nothing about who wrote the manifest. HDF5 can point at other
files (external links, virtual datasets, raw external storage) and promise sizes that it does not hold; ONNX can keep
its tensors in other files and loop without end. None of that is read here: see docs/security.md.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from exporters.manifest import FileRecord, Manifest, damaged
from flykd_console.errors import UserError

# What a bundle's own graphs are made of, and what else is arithmetic without loops, branches or other files.
_OPERATORS = frozenset((
    "Add", "Cast", "Clip", "Concat", "Constant", "Div", "Exp", "Expand", "Flatten", "Gather", "Gemm", "Identity", "Log",
    "MatMul", "Max", "Min", "Mul", "Neg", "Pow", "Reciprocal", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Shape",
    "Sigmoid", "Slice", "Softmax", "Sqrt", "Squeeze", "Sub", "Tanh", "TopK", "Transpose", "Unsqueeze", "Where",
))  # fmt: skip
_LARGEST_MODEL = 1 << 30
_MOST_OBJECTS = 100_000
_DEEPEST = 8
# gzip and shuffle; every other filter is a library that somebody else chose.
_FILTERS = frozenset((h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32))
# Tables may be this much larger than the file that holds them.
_EXPANSION = 64
_SPARE_BYTES = 1 << 20


def plain_file(path: Path) -> Path:
    """The path, where an ordinary file lies.

    Raises:
        UserError: It is missing, a symbolic link, or a device.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        raise damaged("is missing", path) from None
    if not stat.S_ISREG(mode):
        raise damaged("is no ordinary file", path)
    return path


# HDF5.


def open_tables(path: Path) -> Any:
    """Open a file of tables: an `h5py.File` in which everything is a plain, bounded dataset of the file itself.

    Raises:
        UserError: It is no HDF5 file, or holds anything else.
    """
    plain_file(path)
    try:
        # A bundle never changes, and file locks fail on some network disks.
        file = h5py.File(path, "r", locking=False)
    except (OSError, ValueError, RuntimeError):
        raise damaged("is no readable HDF5 file", path) from None
    try:
        _check_group(file, path, os.stat(path).st_size * _EXPANSION + _SPARE_BYTES)
    except UserError:
        file.close()
        raise
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        file.close()
        raise damaged(f"cannot be read ({type(error).__name__})", path) from None
    return file


def _check_group(file: Any, path: Path, room: int) -> None:
    """Every link leads to an object of this file that nothing else leads to, and every object is plain."""
    seen = {h5py.h5o.get_info(file.id).addr}
    waiting = [(file, "", 0)]
    while waiting:
        group, place, depth = waiting.pop()
        for name in group:
            inner = f"{place}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise damaged(f"has a link at {inner}, which may lead out of it", path)
            thing = group[name]
            address = h5py.h5o.get_info(thing.id).addr
            if address in seen or len(seen) >= _MOST_OBJECTS or depth >= _DEEPEST:
                raise damaged(f"is not laid out as a bundle at {inner}", path)
            seen.add(address)
            if isinstance(thing, h5py.Group):
                waiting.append((thing, inner, depth + 1))
            elif isinstance(thing, h5py.Dataset):
                room -= _checked_bytes(thing, inner, path)
                if room < 0:
                    raise damaged(f"promises more at {inner} than it holds", path)
            else:
                raise damaged(f"holds no table at {inner}", path)


def _checked_bytes(dataset: Any, place: str, path: Path) -> int:
    """Bytes of a dataset in memory, where it is a plain one: numbers or text, in this file, by known filters."""
    plan = dataset.id.get_create_plist()
    if dataset.is_virtual or plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise damaged(f"takes {place} from another file", path)
    if any(plan.get_filter(number)[0] not in _FILTERS for number in range(plan.get_nfilters())):
        raise damaged(f"has {place} behind an unknown filter", path)
    if dataset.shape is None:
        raise damaged(f"holds nothing at {place}", path)
    text = h5py.check_string_dtype(dataset.dtype)
    if text is None and dataset.dtype.kind not in "fiub":
        raise damaged(f"holds neither numbers nor text at {place}", path)
    count: int = math.prod(dataset.shape)
    return count * int(dataset.dtype.itemsize)


def check_rows(manifest: Manifest, kind: str, ids: list[str], names: list[str], path: Path) -> None:
    """Hold a node table against the manifest.

    Raises:
        UserError: It has another number of rows, or not as many names as ids.
    """
    if len(ids) != len(names):
        raise damaged(f"has {len(ids)} ids and {len(names)} names of {kind} nodes", path)
    scored = kind in (manifest.head_type, manifest.tail_type)
    if not ids or (scored and manifest.nodes.get(kind) != len(ids)):
        raise damaged(f"holds {len(ids)} {kind} nodes where the manifest says {manifest.nodes.get(kind)}", path)


def check_table(values: Any, shape: tuple[int, int], place: str, path: Path) -> Any:
    """A table of embeddings, float32 [n, d], as the manifest has it and finite."""
    if values.shape != shape or values.dtype != np.float32:
        raise damaged(f"holds no table of {shape[0]} × {shape[1]} numbers at {place}", path)
    if not np.isfinite(values).all():
        raise damaged(f"holds values at {place} that are not finite", path)
    return values


def number_column(dataset: Any, place: str, path: Path) -> Any:
    """A column of whole numbers, int64 [n]."""
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 1 or dataset.dtype.kind not in "iu":
        raise damaged(f"holds no column of numbers at {place}", path)
    return np.asarray(_read(dataset, place, path), dtype=np.int64)


def pair_rows(dataset: Any, place: str, counts: tuple[int, int], path: Path) -> Any:
    """Pairs of rows, int64 [n, 2], every one within `counts` (heads, tails)."""
    if (
        not isinstance(dataset, h5py.Dataset)
        or dataset.ndim != 2
        or dataset.shape[1] != 2
        or dataset.dtype.kind not in "iu"
    ):
        raise damaged(f"holds no pairs at {place}", path)
    pairs = np.asarray(_read(dataset, place, path), dtype=np.int64)
    if pairs.size and (pairs.min() < 0 or (pairs.max(axis=0) >= counts).any()):
        raise damaged(f"names rows at {place} that its tables do not have", path)
    return pairs


def sparse_rows(group: Any, rows: int, place: str, path: Path) -> tuple[Any, Any, Any]:
    """Sparse rows of `rows` nodes: `indptr` int64 [rows + 1], `index` int64 [n], `similarity` float32 [n]."""
    if not isinstance(group, h5py.Group) or not {"indptr", "index", "similarity"} <= set(group):
        raise damaged(f"holds no sparse rows at {place}", path)
    indptr, index = (number_column(group[name], f"{place}/{name}", path) for name in ("indptr", "index"))
    weights = group["similarity"]
    if not isinstance(weights, h5py.Dataset) or weights.dtype != np.float32 or weights.shape != index.shape:
        raise damaged(f"holds no similarities at {place}", path)
    if len(indptr) != rows + 1 or indptr[0] != 0 or indptr[-1] != len(index) or (np.diff(indptr) < 0).any():
        raise damaged(f"holds rows at {place} that do not follow each other", path)
    _check_range(index, rows, place, path)
    values = _read(weights, place, path)
    if not np.isfinite(values).all():
        raise damaged(f"holds values at {place} that are not finite", path)
    return indptr, index, values


def edge_rows(group: Any, counts: tuple[int, int], place: str, path: Path) -> tuple[Any, Any]:
    """Both ends of edges, int64 [n] each, every one within `counts` (x, y)."""
    if not {"x", "y"} <= set(group):
        raise damaged(f"holds no edges at {place}", path)
    ends = [number_column(group[name], f"{place}/{name}", path) for name in ("x", "y")]
    if len(ends[0]) != len(ends[1]):
        raise damaged(f"holds edges at {place} with one end", path)
    for end, count in zip(ends, counts, strict=True):
        _check_range(end, count, place, path)
    return ends[0], ends[1]


def _check_range(rows: Any, count: int, place: str, path: Path) -> None:
    if rows.size and (rows.min() < 0 or rows.max() >= count):
        raise damaged(f"names rows at {place} that its tables do not have", path)


def text_column(dataset: Any, place: str, path: Path) -> list[str]:
    """A column of text."""
    if not isinstance(dataset, h5py.Dataset) or h5py.check_string_dtype(dataset.dtype) is None or dataset.ndim != 1:
        raise damaged(f"holds no column of text at {place}", path)
    try:
        return list(dataset.asstr(errors="replace")[:].tolist())
    except (OSError, RuntimeError, ValueError) as error:
        raise damaged(f"cannot be read at {place} ({type(error).__name__})", path) from None


def _read(dataset: Any, place: str, path: Path) -> Any:
    try:
        return dataset[:]
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        raise damaged(f"cannot be read at {place} ({type(error).__name__})", path) from None


# ONNX.


def model_bytes(path: Path, expected: FileRecord | None) -> bytes:
    """The bytes of a graph that keeps everything in itself: these are checked, and these the runtime is to be given.

    Args:
        expected: What they must be; None: they are not held against the manifest.

    Raises:
        UserError: They are others, or the graph keeps tensors in other files, or has operators that no bundle needs.
    """
    if plain_file(path).stat().st_size > _LARGEST_MODEL:
        raise damaged("is larger than any head", path)
    data = path.read_bytes()
    if expected is not None and hashlib.sha256(data).hexdigest() != expected.sha256:
        raise damaged("is not the file that was exported (its SHA-256 differs from the manifest's)", path)
    try:
        _check_message(data, "model", path)
    except (IndexError, RecursionError):
        raise damaged("is no ONNX graph", path) from None
    return data


# Field numbers of onnx.proto: by message, what a field holds that must be looked into.
_FIELDS = {
    "model": {7: "graph", 25: "function", 20: "refused"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {4: "operator", 5: "attribute"},
    "attribute": {5: "tensor", 6: "refused", 10: "tensor", 11: "refused", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "tensor": {13: "external", 14: "location"},
}


def _check_message(data: bytes, kind: str, path: Path) -> None:
    for number, value in _fields(data):
        inner = _FIELDS[kind].get(number)
        if inner is None:
            continue
        if inner == "external" or (inner == "location" and value != 0):
            raise damaged("keeps tensors in another file", path)
        if inner == "location":
            continue
        if not isinstance(value, bytes):
            raise damaged("is no ONNX graph", path)
        if inner == "operator":
            name = value.decode("utf-8", "replace")
            if name not in _OPERATORS:
                raise damaged(f"has the operator {name[:40]!r}, which no bundle needs", path)
        elif inner == "refused":
            raise damaged("holds graphs within its graph", path)
        else:
            _check_message(value, inner, path)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: number, and bytes or a number.

    Raises:
        IndexError: It is cut short, or none.
    """
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value
            continue
        if wire == 2:
            length, place = _varint(data, place)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise IndexError(wire)
        if place + length > len(data):
            raise IndexError(place)
        yield number, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise IndexError(place)
