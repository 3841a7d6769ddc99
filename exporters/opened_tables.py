"""`embeddings.h5` of a bundle, read as it is asked for: nodes, embeddings, true pairs, nearest tails, connections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from exporters.lookup import NodeIndex
from exporters.manifest import EMBEDDINGS, PARTS, Manifest, damaged, hdf5_name, read_table, table_path
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
        try:
            # A bundle never changes, and file locks fail on some network disks.
            self._file = h5py.File(self._path, "r", locking=False)
        except OSError:
            raise damaged("is no readable HDF5 file", self._path) from None
        types = {"head": manifest.head_type, "tail": manifest.tail_type}
        self._places = {
            (side, name): table_path(self._file, name, side, kind)
            for name in manifest.relations
            for side, kind in types.items()
        }
        self._embeddings: dict[str, Floats] = {}
        self._pairs: dict[tuple[str, str], Rows] = {}
        self._nearest: dict[str, NearestTails | None] = {}
        self._silent: dict[str, frozenset[int]] = {}

    def close(self) -> None:
        """Close the file; what was read already stays usable."""
        self._file.close()

    def nodes(self, kind: str) -> NodeIndex:
        """Ids and names of a node type."""
        group = self._get(f"nodes/{hdf5_name(kind)}")
        ids, names = (group[name].asstr()[:].tolist() for name in ("id", "name"))
        return NodeIndex(kind, ids, names)

    def embeddings(self, side: str, relation: str) -> Floats:
        """float32 [n, d]; relations that share a table share the array."""
        place = self._places[side, relation]
        if place not in self._embeddings:
            self._embeddings[place] = self._widened(place)
        return self._embeddings[place]

    def unembedded(self, side: str, relation: str) -> frozenset[int]:
        """Rows that are all zeros: no training edge led to them."""
        place = self._places[side, relation]
        if place not in self._silent:
            table = self.embeddings(side, relation)
            self._silent[place] = frozenset(np.flatnonzero(~table.any(axis=1)).tolist())
        return self._silent[place]

    def vector(self, relation: str) -> Floats:
        """The relation's, float32 [d]."""
        vector: Floats = self._get(f"relations/{hdf5_name(relation)}/vector")[:]
        return vector

    def pairs(self, relation: str, part: str) -> Rows:
        """True pairs (head row, tail row) of a part, int64 [n, 2]."""
        if (relation, part) not in self._pairs:
            self._pairs[relation, part] = (
                self._get(f"relations/{hdf5_name(relation)}/pairs/{part}")[:].astype(np.int64).reshape(-1, 2)
            )
        return self._pairs[relation, part]

    def known(self, relation: str, side: str, row: int) -> Mapping[int, str]:
        """The nodes that one at a side makes true pairs with, and the part of each; training wins over the others."""
        place = 0 if side == "head" else 1
        known: dict[int, str] = {}
        for part in reversed(PARTS):
            pairs = self.pairs(relation, part)
            known.update(dict.fromkeys(pairs[pairs[:, place] == row, 1 - place].tolist(), part))
        return known

    def nearest(self, relation: str) -> NearestTails | None:
        """Each tail's nearest trained tails; None where the bundle holds none."""
        if relation not in self._nearest:
            place = f"relations/{hdf5_name(relation)}/nearest"
            found = None
            if place in self._file:
                indptr, index, similarity = (
                    self._get(f"{place}/{name}")[:] for name in ("indptr", "index", "similarity")
                )
                found = NearestTails(indptr.astype(np.int64), index.astype(np.int64), similarity)
            self._nearest[relation] = found
        return self._nearest[relation]

    def connections(self) -> dict[tuple[str, str], tuple[Rows, Rows]]:
        """Edges by (third type, the type that it is joined to): rows of both ends, int64 [n] each."""
        if "connections" not in self._file:
            return {}
        found = {}
        for group in self._get("connections").values():
            x, y = (group[name][:].astype(np.int64) for name in ("x", "y"))
            found[str(group.attrs["x_type"]), str(group.attrs["y_type"])] = (x, y)
        return found

    def _widened(self, place: str) -> Floats:
        try:
            table: Floats = read_table(self._file, place)
        except KeyError as error:
            raise damaged(f"lacks {place} ({error})", self._path) from None
        return table

    def _get(self, path: str) -> Any:
        try:
            return self._file[path]
        except KeyError:
            raise damaged(f"lacks {path}", self._path) from None
