"""Sets of graphs as texts, with the ten folds beside them.

G                                        number of graphs; for each graph:
n label                                  its nodes and its class
tag m u_1 ... u_m                        for each node: its tag, its neighbours' numbers within the graph

10fold_idx/train_idx-K.txt, test_idx-K.txt: numbers of graphs, a line each, K from 1 to 10
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flykd_console.data.attributed import Integers
from flykd_console.data.graph_set import Columns, Fold, GraphSet, one_hot
from flykd_console.data.tu_lines import read_lines
from flykd_console.errors import UserError

FOLDS = 10
# Where nodes have one tag alone, their degrees stand in for it, higher ones as this one.
_HIGHEST_DEGREE = 60


def read_graphs(path: Path) -> GraphSet:
    """A set of graphs from its text; folds where there are files of them.

    Raises:
        UserError: A line does not fit.
    """
    lines = read_lines(path)
    if len(lines.edges) == 0:
        raise UserError("joins no two nodes in any graph", str(path), "Graphs without edges are none: check the file.")
    known, columns = lines.tags, Columns(tags=tuple(np.unique(lines.tags).tolist()))
    if len(columns.tags) == 1:
        degrees = np.bincount(lines.edges.ravel(), minlength=len(lines.tags))
        known = np.minimum(degrees, _HIGHEST_DEGREE).astype(np.int64)
        columns = Columns(degrees=tuple(np.unique(known).tolist()), highest_degree=_HIGHEST_DEGREE)
    classes, numbered = np.unique(lines.labels, return_inverse=True)
    return GraphSet(
        source=path.name,
        graph_of=lines.graph_of,
        edges=lines.edges,
        features=one_hot(known),
        labels=numbered.astype(np.int64),
        classes=len(classes),
        folds=_folds(path.parent / "10fold_idx", lines.count),
        columns=columns,
    )


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
