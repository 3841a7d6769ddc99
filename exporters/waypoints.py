"""Which drugs and diseases reach a protein, a pathway, a phenotype: any node of a third type.

One rule, side by side: a node reaches what its type is joined to directly; where no relation joins the two types, what
is joined to it by way of one node between (`flykd_console.graph.connecting_edges` says which edges a run leaves).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.lookup import NodeIndex
from exporters.opened_tables import OpenedTables
from flykd_console.errors import UserError

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Waypoint:
    """A node of a third type, by its row and name."""

    node_type: str
    row: int
    id: str
    name: str

    @property
    def words(self) -> str:
        """Name and type."""
        return f"{self.name or self.id} ({self.node_type})"


class Waypoints:
    """The third types of a bundle, and what joins them.

    Args:
        tables: Of the bundle.
        ends: The scored node types.
    """

    def __init__(self, tables: OpenedTables, ends: tuple[str, str]) -> None:
        self._edges = tables.connections()
        third = sorted({one for one, _ in self._edges} - set(ends))
        self._nodes: dict[str, NodeIndex] = {kind: tables.nodes(kind) for kind in third}

    def find(self, text: str) -> Waypoint:
        """The node that is meant by `text`: an id or a name of any third type, or `TYPE:` and either.

        Raises:
            UserError: None or several are meant.
        """
        if not text.strip():
            raise UserError(
                "no node is named", "--through", "Give a protein, a pathway, a phenotype: its name or its id."
            )
        kind, colon, rest = text.partition(":")
        if colon and kind.strip() in self._nodes:
            return self._waypoint(kind.strip(), self._nodes[kind.strip()].find(rest))
        exact = {kind: row for kind, nodes in self._nodes.items() if (row := nodes.known(text)) is not None}
        if len(exact) == 1:
            return self._waypoint(*exact.popitem())
        if exact:
            kinds = " or ".join(f"'{kind}:{text.strip()}'" for kind in exact)
            raise UserError(f"{text.strip()!r} is a node of {len(exact)} types", "--through", f"Give {kinds}.")
        found, near = [], []
        for kind, nodes in self._nodes.items():
            try:
                found.append(self._waypoint(kind, nodes.find(text)))
            except UserError:
                near += nodes.near(text, 2)
        if len(found) == 1:
            return found[0]
        hint = f"Near: {'; '.join(near[:6])}." if near else f"Types: {', '.join(self._nodes)}."
        if found:
            hint = f"Meant may be: {'; '.join(one.words for one in found)}."
        what = f"several nodes begin with {text.strip()!r}" if found else f"no node is called {text.strip()!r}"
        raise UserError(what, "--through", hint)

    def reached(self, point: Waypoint, end: str) -> Rows:
        """Rows of the nodes of a scored type that a waypoint reaches, int64 [n], ascending."""
        if (point.node_type, end) in self._edges:
            return self._joined(point.node_type, np.array([point.row]), end)
        found = [np.empty(0, np.int64)]
        for kind, by in self._edges:
            if kind == point.node_type and (by, end) in self._edges:
                found.append(self._joined(by, self._joined(kind, np.array([point.row]), by), end))
        return np.unique(np.concatenate(found))

    def _joined(self, kind: str, rows: Rows, other: str) -> Rows:
        x, y = self._edges[kind, other]
        return np.unique(y[np.isin(x, rows)])

    def _waypoint(self, kind: str, row: int) -> Waypoint:
        nodes = self._nodes[kind]
        return Waypoint(kind, row, nodes.ids[row], nodes.names[row])
