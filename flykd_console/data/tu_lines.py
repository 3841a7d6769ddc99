"""The text of a set of graphs, line by line, with numpy alone; its form is described in `tu_text.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flykd_console.data.arrays import Integers, undirected
from flykd_console.errors import CHECK_PATH, UserError


@dataclass(frozen=True)
class GraphLines:
    """What a text says of its graphs.

    Attributes:
        count: How many graphs.
        graph_of: Which each node belongs to, ascending, int64 [n].
        tags: Of each node, int64 [n].
        edges: Each once, u < v, numbered through, int64 [e, 2].
        labels: As they are written, int64 [count].
    """

    count: int
    graph_of: Integers
    tags: Integers
    edges: Integers
    labels: Integers


def read_lines(path: Path) -> GraphLines:
    """The graphs of a text.

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
    return GraphLines(
        count=count,
        graph_of=np.array(graph_of, dtype=np.int64),
        tags=np.array(tags, dtype=np.int64),
        edges=undirected(np.array(edges, dtype=np.int64).reshape(-1, 2)),
        labels=np.array(labels, dtype=np.int64),
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
