"""Attributed graphs from `.npz` files of plain arrays; nothing pickled is ever read.

edges [e, 2] int; y [n] int; x_data, x_indices, x_indptr, x_shape: features as CSR, or x [n, f]
edge_type [e]: int, the relation of each edge, where there are several: from the first node to the second
train_idx, val_idx, test_idx: int, where the file has a split; year [n]: int, where it knows one
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from flykd_console.data.arrays import check_indices, read_arrays, shape_words, undirected, whole_numbers
from flykd_console.data.attributed import PARTS, UNKNOWN, AttributedGraph, Integers, directed
from flykd_console.errors import UserError

_SPLIT = dict(zip(PARTS, ("train_idx", "val_idx", "test_idx"), strict=True))


def read_attributed(path: Path) -> AttributedGraph:
    """An attributed graph from a file.

    Raises:
        UserError: An array is missing, or does not fit the others.
    """
    arrays = read_arrays(path)
    labels = whole_numbers(arrays, "y", path, 1)
    nodes = len(labels)
    if nodes == 0:
        raise UserError("y holds no node", str(path))
    classes = int(labels.max()) + 1
    if int(labels.min()) < UNKNOWN:
        row = int(np.flatnonzero(labels < UNKNOWN)[0])
        raise UserError(
            f"y[{row}] is {labels[row]}, but classes are counted from 0", str(path),
            "Number them 0 to C - 1; -1 stands for an unknown class.",
        )  # fmt: skip
    edges = whole_numbers(arrays, "edges", path, 2)
    if edges.shape[1] != 2:
        raise UserError(f"edges is {shape_words(edges)}, but [e, 2] is wanted", str(path))
    check_indices(edges.ravel(), nodes, "edges", path)
    typed = _typed(arrays, edges, path)
    edges = undirected(edges)
    if len(edges) == 0:
        raise UserError("edges joins no two nodes", str(path), "A graph without edges is not one: check the array.")
    features = _features(arrays, path)
    if features.shape[0] != nodes:
        raise UserError(f"the features have {features.shape[0]} rows, but y has {nodes}", str(path))
    if not np.isfinite(features.data).all():
        raise UserError("the features are not all finite numbers", str(path))
    return AttributedGraph(
        source=path.name,
        edges=edges,
        features=features,
        labels=labels,
        classes=classes,
        parts=_parts(arrays, labels, path),
        years=_years(arrays, nodes, path),
        typed=typed,
    )


def _features(arrays: Mapping[str, NDArray[np.generic]], path: Path) -> sp.csr_array:
    if "x" in arrays:
        dense = arrays["x"]
        if dense.ndim != 2 or dense.dtype.kind not in "fiub":
            raise UserError(f"x is {dense.dtype} {shape_words(dense)}, but numbers [n, f] are wanted", str(path))
        return sp.csr_array(dense.astype(np.float32))
    shape = whole_numbers(arrays, "x_shape", path, 1)
    indices, offsets = whole_numbers(arrays, "x_indices", path, 1), whole_numbers(arrays, "x_indptr", path, 1)
    if "x_data" not in arrays or arrays["x_data"].dtype.kind not in "fiub":
        raise UserError("has no numbers 'x_data'", str(path))
    values = arrays["x_data"].astype(np.float32)
    fits = len(shape) == 2 and len(offsets) == shape[0] + 1 and offsets[0] == 0 and offsets[-1] == len(indices)
    if not fits or len(values) != len(indices) or (np.diff(offsets) < 0).any():
        raise UserError("x_data, x_indices, x_indptr and x_shape are no matrix in CSR", str(path))
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < int(shape[1]):
        raise UserError(f"x_indices names a column beyond the {shape[1]} of x_shape", str(path))
    return sp.csr_array((values, indices, offsets), shape=(int(shape[0]), int(shape[1])))


def _parts(arrays: Mapping[str, NDArray[np.generic]], labels: Integers, path: Path) -> dict[str, Integers]:
    nodes = len(labels)
    present = [part for part, name in _SPLIT.items() if name in arrays]
    if not present:
        return {}
    parts = {part: np.unique(whole_numbers(arrays, name, path, 1)) for part, name in _SPLIT.items()}
    for part, name in _SPLIT.items():
        check_indices(parts[part], nodes, name, path)
        unknown = parts[part][labels[parts[part]] == UNKNOWN]
        if len(unknown):
            raise UserError(f"{name} names node {unknown[0]}, whose class y does not know (-1)", str(path))
    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        shared = np.intersect1d(parts[first], parts[second])
        if len(shared):
            raise UserError(f"node {shared[0]} is in {_SPLIT[first]} and in {_SPLIT[second]}", str(path))
    return parts


def _typed(arrays: Mapping[str, NDArray[np.generic]], edges: Integers, path: Path) -> Integers | None:
    """The edges with their relations, where the file has several."""
    if "edge_type" not in arrays:
        return None
    kinds = whole_numbers(arrays, "edge_type", path, 1)
    if len(kinds) != len(edges):
        raise UserError(f"edge_type has {len(kinds)} entries, but edges has {len(edges)}", str(path))
    if len(kinds) == 0:
        return None
    missing = np.setdiff1d(np.arange(int(kinds.max()) + 1), kinds)
    if int(kinds.min()) < 0 or len(missing):
        what = f"{int(kinds.min())} is below 0" if int(kinds.min()) < 0 else f"no edge is of relation {missing[0]}"
        raise UserError(f"edge_type: {what}", str(path), "Number the relations 0 to R - 1, without a gap.")
    return directed(edges, kinds)


def _years(arrays: Mapping[str, NDArray[np.generic]], nodes: int, path: Path) -> Integers | None:
    if "year" not in arrays:
        return None
    years = whole_numbers(arrays, "year", path, 1)
    if len(years) != nodes:
        raise UserError(f"year has {len(years)} entries, but y has {nodes}", str(path))
    return years
