"""Sets of graphs as texts, with the ten folds beside them.

G                                        number of graphs; for each graph:
n label                                  its nodes and its class
tag m u_1 ... u_m                        for each node: its tag, its neighbours' numbers within the graph

10fold_idx/train_idx-K.txt, test_idx-K.txt: numbers of graphs, a line each, K from 1 to 10
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flykd_console.data.attributed import Integers, undirected
from flykd_console.data.graph_set import Fold, GraphSet, one_hot
from flykd_console.errors import CHECK_PATH, UserError

FOLDS = 10
# Where nodes have one tag alone, their degrees stand in for it, higher ones as this one.
_HIGHEST_DEGREE = 60


def read_graphs(path: Path) -> GraphSet:
    """A set of graphs from its text; folds where there are files of them.

    Raises:
        UserError: A line does not fit.
    """
    try:
        lines = iter(list(enumerate(path.read_text(encoding="ascii").splitlines(), 1)))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the file cannot be read ({error})", str(path), CHECK_PATH) from None
    (count,) = _numbers(lines, path, 1)
    graph_of: list[int] = []
    tags: list[int] = []
    edges: list[tuple[int, int]] = []
    labels: list[int] = []
    for graph in range(count):
        nodes, label = _numbers(lines, path, 2)
        labels.append(label)
        first = len(tags)
        for node in range(nodes):
            number, entries = _line(lines, path)
            if len(entries) < 2 or len(entries) < 2 + entries[1]:
                raise UserError("names fewer neighbours than it says", f"{path}, line {number}")
            tags.append(entries[0])
            graph_of.append(graph)
            for neighbour in entries[2 : 2 + entries[1]]:
                if not 0 <= neighbour < nodes:
                    raise UserError(
                        f"names node {neighbour} of a graph of {nodes} (0 to {nodes - 1})", f"{path}, line {number}"
                    )
                edges.append((first + node, first + neighbour))
    if count == 0 or not tags:
        raise UserError("holds no graph", str(path))
    found = undirected(np.array(edges, dtype=np.int64).reshape(-1, 2))
    known = np.array(tags, dtype=np.int64)
    if len(np.unique(known)) == 1:
        known = np.minimum(np.bincount(found.ravel(), minlength=len(tags)), _HIGHEST_DEGREE).astype(np.int64)
    classes, numbered = np.unique(np.array(labels, dtype=np.int64), return_inverse=True)
    return GraphSet(
        source=path.name,
        graph_of=np.array(graph_of, dtype=np.int64),
        edges=found,
        features=one_hot(known),
        labels=numbered.astype(np.int64),
        classes=len(classes),
        folds=_folds(path.parent / "10fold_idx", count),
    )


def _line(lines: Iterator[tuple[int, str]], path: Path) -> tuple[int, list[int]]:
    """The next line that is not empty, as whole numbers; further columns of a node may be anything."""
    for number, text in lines:
        words = text.split()
        if not words:
            continue
        try:
            wanted = words if len(words) < 2 else words[: max(2, 2 + int(words[1]))]
            return number, [int(word) for word in wanted]
        except ValueError:
            raise UserError(f"{text.strip()[:40]!r} is no line of whole numbers", f"{path}, line {number}") from None
    raise UserError("ends before its last graph", str(path), "Is it whole?")


def _numbers(lines: Iterator[tuple[int, str]], path: Path, many: int) -> list[int]:
    number, entries = _line(lines, path)
    if len(entries) < many or entries[0] < 0:
        raise UserError(f"{many} numbers are wanted, the first not below 0", f"{path}, line {number}")
    return entries[:many]


def _folds(folder: Path, graphs: int) -> list[Fold]:
    """The folds of a folder; none where it is not there.

    Raises:
        UserError: One is missing, or names a graph that is not there, or one in both parts.
    """
    if not folder.is_dir():
        return []
    found = []
    for number in range(1, FOLDS + 1):
        train = _indices(folder / f"train_idx-{number}.txt", graphs)
        test = _indices(folder / f"test_idx-{number}.txt", graphs)
        shared = np.intersect1d(train, test)
        if len(shared):
            raise UserError(f"graph {shared[0]} is to be learnt from and tested", f"{folder}, fold {number}")
        found.append(Fold(train, test))
    return found


def _indices(path: Path, graphs: int) -> Integers:
    try:
        indices = np.unique(np.array(path.read_text(encoding="ascii").split(), dtype=np.int64))
    except FileNotFoundError:
        raise UserError("a fold is missing", str(path), "Ten of them are wanted.") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"is no list of numbers of graphs ({error})", str(path)) from None
    bad = indices[(indices < 0) | (indices >= graphs)]
    if len(bad):
        raise UserError(f"names graph {bad[0]}, but there are {graphs} (0 to {graphs - 1})", str(path))
    return indices
