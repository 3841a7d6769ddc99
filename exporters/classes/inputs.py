"""New nodes and graphs to tell classes of, from a user's file, held to what a bundle's encoders take.

.npz, nodes     x [n, f] (or x_data, x_indices, x_indptr, x_shape) and edges [e, 2]: a graph of its own
                x, nodes [n]: other features of nodes that the bundle knows
                x, links [k, 2]: new nodes; (row of x, node of the bundle) that it is joined to, and edges among rows
                x alone: where the model looks at no edge
.npz, graphs    x, edges, graph_of [n]: nodes of graphs 0 to G - 1
a text, graphs  in the form of muhanzhang/pytorch_DGCNN, where the run was trained on one

Further arrays, such as y and a split, are not looked at: the files that are trained on can be given as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.classes.manifest import GRAPHS, ClassManifest
from exporters.classes.opened_answers import MOST_FEATURES, OpenedAnswers
from flykd_console.data.arrays import check_indices, read_arrays, shape_words, undirected, whole_numbers
from flykd_console.data.tu_lines import GraphLines, read_lines
from flykd_console.errors import UserError

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
_EDGES = "Give edges [e, 2] (none: numpy.zeros((0, 2), int)), or nodes, or links."


@dataclass(frozen=True)
class NewSamples:
    """What an encoder is to look at, and which of its answers are asked for.

    Attributes:
        x: float32 [n, f], as a file has them.
        edges: Each once, int64 [e, 2].
        graph_of: Of graphs, int64 [n]; `graphs`: how many.
        rows: The samples whose answers are asked for, int64 [m]; `ids`: what they are called.
    """

    x: Floats
    edges: Integers
    graph_of: Integers | None
    graphs: int
    rows: Integers
    ids: list[str]


def read_new(path: Path, manifest: ClassManifest, tables: OpenedAnswers, needs_graph: bool) -> NewSamples:
    """The samples of a file.

    Args:
        needs_graph: Whether the model that is asked looks at edges.

    Raises:
        UserError: The file cannot be read, or does not fit the bundle.
    """
    if path.suffix == ".npz":
        arrays = read_arrays(path)
        x = _features(arrays, manifest, path)
        return _graphs(arrays, x, path) if manifest.task == GRAPHS else _nodes(arrays, x, tables, needs_graph, path)
    if manifest.task != GRAPHS:
        raise UserError("is no .npz, which new nodes are given in", str(path), "Save one: numpy.savez(path, x=...).")
    if not manifest.columns:
        raise UserError("is a text, but the run was trained on arrays", str(path), "Give an .npz with x and graph_of.")
    return _from_text(read_lines(path), manifest, path)


def _nodes(arrays: Mapping[str, Any], x: Floats, tables: OpenedAnswers, needs_graph: bool, path: Path) -> NewSamples:
    given = [name for name in ("nodes", "links") if name in arrays]
    if len(given) == 2:
        raise UserError("has nodes and links: rows are known nodes, or new ones", str(path), "Leave one out.")
    edges = _edges(arrays, len(x), path) if "edges" in arrays else np.zeros((0, 2), dtype=np.int64)
    every = np.arange(len(x), dtype=np.int64)
    if given == ["nodes"]:
        return _replaced(whole_numbers(arrays, "nodes", path, 1), x, tables, path)
    if given == ["links"]:
        return _joined(whole_numbers(arrays, "links", path, 2), edges, x, tables, path)
    if needs_graph and "edges" not in arrays:
        raise UserError("has features, but no edges, and this model listens to neighbours", str(path), _EDGES)
    return NewSamples(x, edges, None, 0, every, [str(row) for row in every])


def _replaced(nodes: Integers, x: Floats, tables: OpenedAnswers, path: Path) -> NewSamples:
    """Known nodes with other features, among all the others as they were."""
    whole = tables.features()
    if len(nodes) != len(x):
        raise UserError(f"nodes names {len(nodes)}, but x has {len(x)} rows", str(path))
    check_indices(nodes, len(whole), "nodes", path)
    if len(np.unique(nodes)) != len(nodes):
        raise UserError("nodes names one twice", str(path))
    whole[nodes] = x
    return NewSamples(whole, tables.edges(), None, 0, nodes, [str(node) for node in nodes])


def _joined(links: Integers, edges: Integers, x: Floats, tables: OpenedAnswers, path: Path) -> NewSamples:
    """New nodes, joined to known ones and among each other."""
    whole = tables.features()
    if links.shape[1] != 2:
        raise UserError(f"links is {shape_words(links)}, but [k, 2] is wanted", str(path))
    check_indices(links[:, 0], len(x), "links", path)
    check_indices(links[:, 1], len(whole), "links", path)
    known, new = len(whole), np.arange(len(x), dtype=np.int64)
    joined = np.stack([links[:, 1], known + links[:, 0]], axis=1)
    together = undirected(np.concatenate([tables.edges(), edges + known, joined]))
    return NewSamples(np.concatenate([whole, x]), together, None, 0, known + new, [f"new {row}" for row in new])


def _graphs(arrays: Mapping[str, Any], x: Floats, path: Path) -> NewSamples:
    edges, graph_of = _edges(arrays, len(x), path), whole_numbers(arrays, "graph_of", path, 1)
    if len(graph_of) != len(x):
        raise UserError(f"graph_of has {len(graph_of)} entries, but x has {len(x)} rows", str(path))
    if len(graph_of) == 0 or int(graph_of.min()) < 0 or int(graph_of.max()) > len(graph_of):
        raise UserError("graph_of does not number graphs from 0", str(path))
    across = np.flatnonzero(graph_of[edges[:, 0]] != graph_of[edges[:, 1]])
    if len(across):
        raise UserError(f"edges[{across[0]}] joins nodes of two graphs", str(path))
    every = np.arange(int(graph_of.max()) + 1, dtype=np.int64)
    return NewSamples(x, edges, graph_of, len(every), every, [str(graph) for graph in every])


def _from_text(lines: GraphLines, manifest: ClassManifest, path: Path) -> NewSamples:
    """Tags and degrees in the columns that training had for them."""
    columns = manifest.columns
    x = np.zeros((len(lines.tags), manifest.features), dtype=np.float32)
    tags, degrees = columns["tags"], columns["degrees"]
    if tags:
        _place(x, lines.tags, tags, 0, "tag", path)
    if degrees:
        found = np.bincount(lines.edges.ravel(), minlength=len(x))
        found = np.minimum(found, columns["highest_degree"])
        _place(x, found, degrees, len(tags), "degree", path)
    every = np.arange(lines.count, dtype=np.int64)
    return NewSamples(x, lines.edges, lines.graph_of, lines.count, every, [str(graph) for graph in every])


def _place(x: Floats, values: Integers, known: list[int], first: int, what: str, path: Path) -> None:
    numbers = {value: first + column for column, value in enumerate(known)}
    unknown = [int(value) for value in np.unique(values) if int(value) not in numbers]
    if unknown:
        raise UserError(
            f"has a node of {what} {unknown[0]}, which no graph of training has: its features do not fit",
            str(path),
            f"Known: {', '.join(map(str, known[:20]))}{' ...' if len(known) > 20 else ''}.",
        )
    x[np.arange(len(x)), [numbers[int(value)] for value in values]] = 1.0


def _edges(arrays: Mapping[str, Any], nodes: int, path: Path) -> Integers:
    edges = whole_numbers(arrays, "edges", path, 2)
    if edges.shape[1] != 2:
        raise UserError(f"edges is {shape_words(edges)}, but [e, 2] is wanted", str(path))
    check_indices(edges.ravel(), nodes, "edges", path)
    return undirected(edges) if len(edges) else edges


def _features(arrays: Mapping[str, Any], manifest: ClassManifest, path: Path) -> Floats:
    x = arrays["x"] if "x" in arrays else _from_csr(arrays, path)
    if x.ndim != 2 or x.dtype.kind not in "fiub":
        raise UserError(f"x is {x.dtype} {shape_words(x)}, but numbers [n, f] are wanted", str(path))
    if x.shape[1] != manifest.features:
        raise UserError(
            f"x has {x.shape[1]} columns, but the models were trained on {manifest.features} features",
            str(path),
            "Give the same features in the same order.",
        )
    if len(x) == 0:
        raise UserError("x has no row", str(path))
    found: Floats = x.astype(np.float32)
    if not np.isfinite(found).all():
        raise UserError("x is not all finite numbers", str(path))
    return found


def _from_csr(arrays: Mapping[str, Any], path: Path) -> Any:
    if not {"x_data", "x_indices", "x_indptr", "x_shape"} <= set(arrays):
        raise UserError(
            "has no array 'x', and no x_data, x_indices, x_indptr and x_shape either",
            str(path),
            f"It has {', '.join(sorted(arrays)) or 'none'}.",
        )
    shape = whole_numbers(arrays, "x_shape", path, 1)
    indices, offsets = whole_numbers(arrays, "x_indices", path, 1), whole_numbers(arrays, "x_indptr", path, 1)
    data = arrays["x_data"]
    fits = len(shape) == 2 and (shape > 0).all() and len(offsets) == shape[0] + 1 and len(data) == len(indices)
    fits = fits and data.ndim == 1 and data.dtype.kind in "fiub" and offsets[0] == 0 and offsets[-1] == len(indices)
    if not fits or (np.diff(offsets) < 0).any() or int(shape[0]) * int(shape[1]) > MOST_FEATURES:
        raise UserError("x_data, x_indices, x_indptr and x_shape are no matrix in CSR that fits", str(path))
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < int(shape[1]):
        raise UserError(f"x_indices names a column beyond the {shape[1]} of x_shape", str(path))
    dense = np.zeros((int(shape[0]), int(shape[1])), dtype=np.float32)
    np.add.at(dense, (np.repeat(np.arange(int(shape[0])), np.diff(offsets)), indices), data)
    return dense
