"""`embeddings.h5` of a bundle, read as it is asked for: nodes, embeddings, true pairs, nearest tails, connections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from exporters.candidates import Candidates
from exporters.lookup import NodeIndex
from exporters.manifest import EMBEDDINGS, PARTS, Manifest, damaged, hdf5_name, read_table, table_path
from exporters.strange_files import (
    check_rows,
    check_table,
    check_vector,
    edge_rows,
    number_column,
    open_tables,
    pair_rows,
    sparse_rows,
    text_column,
)
from exporters.true_pairs import TruePairs
from flykd_console.explore.rivals import NearestTails

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


def other_side(side: str) -> str:
    """The other end of a pair."""
    return "tail" if side == "head" else "head"


class OpenedTables:
    """The tables of one bundle; what was read once is kept.

    Raises:
        UserError: The file is no HDF5 file, or lacks something.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._path = folder / EMBEDDINGS
        self._file = open_tables(self._path)
        self._manifest = manifest
        self._types = types = {"head": manifest.head_type, "tail": manifest.tail_type}
        self._places = {
            (side, name): table_path(self._file, name, side, kind)
            for name in manifest.relations
            for side, kind in types.items()
        }
        self._embeddings: dict[str, Floats] = {}
        self._pairs: dict[tuple[str, str], Rows] = {}
        self._nearest: dict[str, NearestTails | None] = {}
        self._known: dict[str, TruePairs] = {}
        self._rows: dict[str, Rows] = {}
        self._weighted: dict[str, Floats] = {}
        self._candidates: dict[tuple[str, str], Candidates] = {}

    def close(self) -> None:
        """Close the file; what was read already stays usable."""
        self._file.close()

    def nodes(self, kind: str) -> NodeIndex:
        """Ids and names of a node type."""
        group = self._get(f"nodes/{hdf5_name(kind)}")
        if not isinstance(group, h5py.Group) or "id" not in group or "name" not in group:
            raise damaged(f"names no {kind} nodes", self._path)
        ids, names = (text_column(group[name], f"nodes/{kind}/{name}", self._path) for name in ("id", "name"))
        check_rows(self._manifest, kind, ids, names, self._path)
        return NodeIndex(kind, ids, names)

    def embeddings(self, side: str, relation: str) -> Floats:
        """float32 [n, d]; relations that share a table share the array."""
        place = self._places[side, relation]
        if place not in self._embeddings:
            count = self._manifest.nodes.get(self._types[side], 0)
            self._embeddings[place] = check_table(self._widened(place), (count, self._manifest.dim), place, self._path)
        return self._embeddings[place]

    def embedded(self, side: str, relation: str) -> Rows:
        """Rows with an embedding, int64 [n], ascending: to the others, all zeros, no training edge led."""
        place = self._places[side, relation]
        if place not in self._rows:
            self._rows[place] = np.flatnonzero(self.embeddings(side, relation).any(axis=1))
        return self._rows[place]

    def unembedded(self, side: str, relation: str) -> frozenset[int]:
        """Rows that are all zeros."""
        every = np.arange(len(self.embeddings(side, relation)))
        return frozenset(np.setdiff1d(every, self.embedded(side, relation)).tolist())

    def vector(self, relation: str) -> Floats:
        """The relation's, float32 [d]."""
        place = f"relations/{hdf5_name(relation)}/vector"
        vector: Floats = check_vector(self._get(place), self._manifest.dim, place, self._path)
        return vector

    def factors(self, side: str, relation: str) -> Floats:
        """What a product of two rows, one of either side, makes a logit of: embeddings, of heads times the relation's
        vector; float32 [n, d].
        """
        if side == "tail":
            return self.embeddings(side, relation)
        if relation not in self._weighted:
            # Who takes the products refuses those that are not finite.
            with np.errstate(over="ignore"):
                self._weighted[relation] = self.embeddings(side, relation) * self.vector(relation)
        return self._weighted[relation]

    def candidates(self, side: str, relation: str) -> Candidates:
        """The nodes of a side that lists of the relation rank."""
        if (side, relation) not in self._candidates:
            found = Candidates(self.factors(side, relation), self.embedded(side, relation))
            self._candidates[side, relation] = found
        return self._candidates[side, relation]

    def pairs(self, relation: str, part: str) -> Rows:
        """True pairs (head row, tail row) of a part, int64 [n, 2]."""
        if (relation, part) not in self._pairs:
            place = f"relations/{hdf5_name(relation)}/pairs/{part}"
            head, tail = (self._manifest.nodes.get(self._types[side], 0) for side in ("head", "tail"))
            self._pairs[relation, part] = pair_rows(self._get(place), place, (head, tail), self._path)
        return self._pairs[relation, part]

    def test_set(self, relation: str) -> tuple[Rows, Rows, Rows]:
        """Heads, tails and labels of the pairs that were kept back for a test, int64 [n] each."""
        place = f"relations/{hdf5_name(relation)}/test_set"
        head, tail = (self._manifest.nodes.get(self._types[side], 0) for side in ("head", "tail"))
        columns = [number_column(self._get(f"{place}/{name}"), place, self._path) for name in ("head", "tail", "label")]
        if len({len(column) for column in columns}) != 1:
            raise damaged(f"holds no test set at {place}", self._path)
        for column, count in zip(columns, (head, tail, 2), strict=True):
            if column.size and (column.min() < 0 or column.max() >= count):
                raise damaged(f"names rows at {place} that its tables do not have", self._path)
        return columns[0], columns[1], columns[2]

    def known(self, relation: str) -> TruePairs:
        """The true pairs of a relation, by node and by pair."""
        if relation not in self._known:
            counts = self._manifest.nodes.get(self._types["head"], 0), self._manifest.nodes.get(self._types["tail"], 0)
            self._known[relation] = TruePairs({part: self.pairs(relation, part) for part in PARTS}, counts)
        return self._known[relation]

    def nearest(self, relation: str) -> NearestTails | None:
        """Each tail's nearest trained tails; None where the bundle holds none."""
        if relation not in self._nearest:
            place = f"relations/{hdf5_name(relation)}/nearest"
            found = None
            if place in self._file:
                tails = self._manifest.nodes.get(self._types["tail"], 0)
                found = NearestTails(*sparse_rows(self._get(place), tails, place, self._path))
            self._nearest[relation] = found
        return self._nearest[relation]

    def connections(self) -> dict[tuple[str, str], tuple[Rows, Rows]]:
        """Edges by (third type, the type that it is joined to): rows of both ends, int64 [n] each."""
        if "connections" not in self._file:
            return {}
        found = {}
        for name, group in self._get("connections").items():
            place = f"connections/{name}"
            ends = [group.attrs.get(end) for end in ("x_type", "y_type")]
            if not isinstance(group, h5py.Group) or not all(isinstance(end, str) for end in ends):
                raise damaged(f"holds no edges at {place}", self._path)
            counts = self._count(ends[0]), self._count(ends[1])
            found[ends[0], ends[1]] = edge_rows(group, counts, place, self._path)
        return found

    def _count(self, kind: str) -> int:
        """Nodes of a type, by its table of ids."""
        ids = self._get(f"nodes/{hdf5_name(kind)}/id")
        if not isinstance(ids, h5py.Dataset) or ids.ndim != 1:
            raise damaged(f"names no {kind} nodes", self._path)
        return len(ids)

    def _widened(self, place: str) -> Floats:
        try:
            table: Floats = read_table(self._file, place)
        except KeyError as error:
            raise damaged(f"lacks {place} ({error})", self._path) from None
        except (OSError, RuntimeError, ValueError, TypeError, AttributeError, MemoryError) as error:
            raise damaged(f"holds no table at {place} ({type(error).__name__})", self._path) from None
        return table

    def _get(self, path: str) -> Any:
        try:
            return self._file[path]
        except KeyError:
            raise damaged(f"lacks {path}", self._path) from None
