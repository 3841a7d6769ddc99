"""Files of a bundle that may come from a stranger, held to what a bundle needs before any of their content is used.

Checksums say that a file arrived as it was sent, and nothing about who wrote the manifest. HDF5 can point at other
files (external links, virtual datasets, raw external storage) and promise sizes that it does not hold. None of that is
read here: see docs/security.md. `exporters.onnx_files` does the same for the graphs.
"""

from __future__ import annotations

import math
import os
import stat
import uuid
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from exporters.manifest import Manifest, damaged
from flykd_console.errors import UserError

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


def open_tables(path: Path) -> Any:
    """Open a file of tables: an `h5py.File` in which everything is a plain, bounded dataset of the file itself.

    Raises:
        UserError: It is no HDF5 file, or holds anything else.
    """
    plain_file(path)
    try:
        file = _in_memory(path)
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


def _in_memory(path: Path) -> Any:
    """A file as it is now: what was opened stays what it was, whatever is written over the file while a service runs.

    No file locks are asked for, which fail on some network disks. HDF5 takes two images of one name for one file.
    """
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    access.set_file_image(path.read_bytes())
    return h5py.File(h5py.h5f.open(uuid.uuid4().hex.encode(), h5py.h5f.ACC_RDONLY, fapl=access))


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


def check_vector(dataset: Any, width: int, place: str, path: Path) -> Any:
    """A relation's vector, float32 [d], as wide as the manifest says and finite."""
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != (width,) or dataset.dtype != np.float32:
        raise damaged(f"holds no vector of {width} numbers at {place}", path)
    vector = _read(dataset, place, path)
    if not np.isfinite(vector).all():
        raise damaged(f"holds values at {place} that are not finite", path)
    return vector


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
