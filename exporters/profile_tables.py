"""`profiles.h5` of a bundle: what its graph says of heads and tails besides their labels, and how alike they are by it.

    /edges/<number>/{head, tail}      rows of the two ends, ascending; attributes head_type, relation, tail_type
    /nodes/<type>/{id, name}          of the types that embeddings.h5 does not name

How alike a profile is to those of a side's nodes is what the heuristic `neighbours` says, over the relations that the
profile names. For each of them, with B[i, c] = 1 where node i is joined to c (between nodes of the side itself
B = A + Aᵀ + I):

    w_c = log(1 + N / Σ_i B[i, c])                            rare neighbours tell more
    cos(q, i) = Σ_{c in q} w_c² B[i, c] / (|q| |i|)           |i|² = Σ_c w_c² B[i, c]

numpy alone: one question touches the columns that its profile names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from exporters.lookup import NodeIndex
from exporters.manifest import PROFILES, Manifest, damaged, hdf5_name, verify_files
from exporters.opened_tables import OpenedTables
from exporters.strange_files import check_rows, number_column, open_tables, text_column
from flykd_console.relation_names import spelling

Rows = NDArray[np.int64]
Values = NDArray[np.float64]

_ENDS = ("head", "tail")


@dataclass(frozen=True)
class Block:
    """One relation of the nodes of a side, by columns.

    Attributes:
        head_type: Of the relation, with `relation` and `tail_type`.
        other: Type of the nodes that it joins them to.
        kin: Whether that is their own type.
        indptr: Where each column's entries begin and end, int64 [C + 1].
        rows: Nodes of the side, int64 [n], by column.
        weight: w_c², float64 [C].
        length: |i|², float64 [N].
    """

    head_type: str
    relation: str
    tail_type: str
    other: str
    kin: bool
    indptr: Rows
    rows: Rows
    weight: Values
    length: Values

    @property
    def words(self) -> str:
        """The relation with its types."""
        return spelling(self.head_type, self.relation, self.tail_type)

    def joined(self, column: int) -> Rows:
        """The side's nodes that are joined to one of the others, int64 [n]."""
        return self.rows[self.indptr[column] : self.indptr[column + 1]]

    def similar(self, asked: Rows) -> Values:
        """cos(q, i) of every node i of the side, float64 [N].

        Args:
            asked: Columns that a profile names, each once, int64 [n]. Between nodes of the side the new node is a
                column of its own, which those that it names share with it.
        """
        shared, length = np.zeros(len(self.length)), self.length
        for column in asked.tolist():
            shared[self.joined(column)] += self.weight[column]
        own = float(self.weight[asked].sum())
        if self.kin:
            mine = np.log1p(len(self.length) / (len(asked) + 1.0)) ** 2
            shared[asked] += mine
            length = self.length.copy()
            length[asked] += mine
            own += mine
        scale = np.sqrt(length * own)
        return np.divide(shared, scale, out=np.zeros(len(shared)), where=scale > 0.0)


def block_of(
    edge_type: tuple[str, str, str], side_type: str, ends: tuple[Rows, Rows], counts: tuple[int, int]
) -> Block:
    """A relation as the nodes of a type see it.

    Args:
        ends: Rows of its heads and of its tails, int64 [n] each; a pair counts once.
        counts: Numbers of nodes of its head type and of its tail type.
    """
    head_type, relation, tail_type = edge_type
    kin = head_type == tail_type
    first = 0 if head_type == side_type else 1
    rows, columns = ends[first], ends[1 - first]
    size, width = counts[first], counts[1 - first]
    if kin:
        every = np.arange(size)
        rows, columns = np.concatenate([ends[0], ends[1], every]), np.concatenate([ends[1], ends[0], every])
    keys = np.unique(columns * size + rows)
    columns, rows = np.divmod(keys, max(size, 1))
    degree = np.bincount(columns, minlength=width)
    weight = np.log1p(size / np.maximum(degree, 1.0)) ** 2
    return Block(
        head_type=head_type,
        relation=relation,
        tail_type=tail_type,
        other=(tail_type, head_type)[first],
        kin=kin,
        indptr=np.concatenate([[0], np.cumsum(degree)]).astype(np.int64),
        rows=rows,
        weight=weight,
        length=np.bincount(rows, weights=weight[columns], minlength=size).astype(np.float64),
    )


class ProfileTables:
    """The opened file, beside the tables that name most of its nodes.

    Args:
        folder: Of the bundle; `manifest` of it, which lists the file.
        tables: The opened `embeddings.h5`.
        verify: Whether to hold the file against its SHA-256.

    Raises:
        UserError: The file is missing, altered, or no plain HDF5 file of edges.
    """

    def __init__(self, folder: Path, manifest: Manifest, tables: OpenedTables, verify: bool = True) -> None:
        self._path, self._manifest, self._tables = folder / PROFILES, manifest, tables
        if verify:
            verify_files(folder, {PROFILES: manifest.files[PROFILES]})
        self._file = open_tables(self._path)
        self._nodes: dict[str, NodeIndex] = {}
        self._blocks: dict[str, tuple[Block, ...]] = {}

    def close(self) -> None:
        """Close the file; what was read already stays usable."""
        self._file.close()

    @cached_property
    def edge_types(self) -> dict[tuple[str, str, str], Any]:
        """Head type, relation and tail type of every relation, and the group that holds its edges."""
        edges = self._file.get("edges")
        if not isinstance(edges, h5py.Group):
            raise damaged("holds no edges", self._path)
        found = {}
        scored = {self._manifest.head_type, self._manifest.tail_type}
        for name, group in edges.items():
            words = [group.attrs.get(word) for word in ("head_type", "relation", "tail_type")]
            text = tuple(word for word in words if isinstance(word, str) and word)
            if not isinstance(group, h5py.Group) or len(text) != 3 or not scored & {text[0], text[2]} or text in found:
                raise damaged(f"says not what edges it holds at edges/{name}", self._path)
            found[text[0], text[1], text[2]] = group
        return found

    def nodes(self, kind: str) -> NodeIndex:
        """Ids and names of a node type, from whichever of the two files names them."""
        if kind not in self._nodes:
            place = f"nodes/{hdf5_name(kind)}"
            group = self._file.get(place)
            if group is None:
                self._nodes[kind] = self._tables.nodes(kind)
            else:
                if not isinstance(group, h5py.Group) or "id" not in group or "name" not in group:
                    raise damaged(f"names no {kind} nodes", self._path)
                ids, names = (text_column(group[name], f"{place}/{name}", self._path) for name in ("id", "name"))
                check_rows(self._manifest, kind, ids, names, self._path)
                self._nodes[kind] = NodeIndex(kind, ids, names)
        return self._nodes[kind]

    def blocks(self, side_type: str) -> tuple[Block, ...]:
        """The relations of a scored type, in the order of their names; read when first asked for."""
        if side_type not in self._blocks:
            mine = sorted(one for one in self.edge_types if side_type in (one[0], one[2]))
            self._blocks[side_type] = tuple(self._block(one, side_type) for one in mine)
        return self._blocks[side_type]

    def check(self) -> int:
        """Read every edge; how many there are.

        Raises:
            UserError: One of them ends in a node that there is not.
        """
        return sum(len(self._ends(one)[0]) for one in self.edge_types)

    def _block(self, edge_type: tuple[str, str, str], side_type: str) -> Block:
        counts = (len(self.nodes(edge_type[0])), len(self.nodes(edge_type[2])))
        return block_of(edge_type, side_type, self._ends(edge_type), counts)

    def _ends(self, edge_type: tuple[str, str, str]) -> tuple[Rows, Rows]:
        """Rows of both ends of a relation's edges, int64 [n] each, every one within its node table."""
        group = self.edge_types[edge_type]
        columns = []
        for end, kind in zip(_ENDS, (edge_type[0], edge_type[2]), strict=True):
            place = f"{group.name}/{end}"
            column = number_column(group.get(end), place, self._path)
            if column.size and (column.min() < 0 or column.max() >= len(self.nodes(kind))):
                raise damaged(f"names rows at {place} that its tables do not have", self._path)
            columns.append(column)
        if len(columns[0]) != len(columns[1]):
            raise damaged(f"holds ends without their others at {group.name}", self._path)
        return columns[0], columns[1]
