"""Opening `answers.h5` of a bundle that may be a stranger's: each table is held to the manifest when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from exporters.classes.manifest import ANSWERS, GRAPHS, PARTS, ClassManifest
from exporters.manifest import damaged
from exporters.strange_files import number_column, open_tables, pair_rows

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
# Numbers of a dense table of features: 4 GiB.
MOST_FEATURES = 1 << 30


class OpenedAnswers:
    """The tables of one bundle, each checked against the manifest when it is read.

    Raises:
        UserError: The file is no HDF5 file, or holds anything but plain tables.
    """

    def __init__(self, folder: Path, manifest: ClassManifest) -> None:
        self._path, self._manifest = folder / ANSWERS, manifest
        self._file = open_tables(self._path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def parts(self) -> NDArray[np.int64]:
        """Of each sample 0 to 2 as in PARTS, -1: none."""
        return self._column("samples/part", self._manifest.samples, -1, len(PARTS))

    def labels(self) -> Integers:
        """Of each sample its class, -1: unknown."""
        return self._column("samples/label", self._manifest.samples, -1, self._manifest.classes)

    def logits(self, model: str) -> Floats:
        """float32 [N, C]."""
        place = f"models/{model}/logits"
        table = self._get(place)
        return self._checked(table, (self._manifest.samples, self._manifest.classes), place)

    def embedding(self, model: str) -> Floats | None:
        """float32 [N, d]; None of the ensemble."""
        place = f"models/{model}/embedding"
        if place not in self._file:
            return None
        table = self._get(place)
        return self._checked(table, (self._manifest.samples, *table.shape[1:]), place)

    def edges(self) -> Integers:
        """int64 [e, 2]."""
        nodes = self._manifest.nodes
        return np.asarray(pair_rows(self._get("graph/edges"), "graph/edges", (nodes, nodes), self._path))

    def graph_of(self) -> Integers:
        """Which graph each node belongs to; where nodes are classified empty."""
        if self._manifest.task != GRAPHS:
            return np.zeros(0, dtype=np.int64)
        return self._column("graph/graph_of", self._manifest.nodes, 0, self._manifest.samples)

    def features(self) -> Floats:
        """float32 [n, f]."""
        manifest = self._manifest
        if manifest.nodes * manifest.features > MOST_FEATURES:
            raise damaged("promises more features than fit into memory", self._path)
        indptr = self._column("graph/x_indptr", manifest.nodes + 1, 0, None)
        indices = self._column("graph/x_indices", None, 0, manifest.features)
        data = self._get("graph/x_data")
        if data.ndim != 1 or data.dtype != np.float32 or len(data) != len(indices):
            raise damaged("holds no features at graph/x_data", self._path)
        if indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
            raise damaged("holds no features at graph/x_indptr", self._path)
        rows = np.repeat(np.arange(manifest.nodes), np.diff(indptr))
        dense = np.zeros((manifest.nodes, manifest.features), dtype=np.float32)
        np.add.at(dense, (rows, indices), data[:])
        if not np.isfinite(dense).all():
            raise damaged("holds features that are not finite", self._path)
        return dense

    def _column(self, place: str, length: int | None, lowest: int, count: int | None) -> Integers:
        """Whole numbers from `lowest` to below `count` (None: any), as many as `length` says (None: any)."""
        column: Integers = number_column(self._get(place), place, self._path)
        wrong = length is not None and len(column) != length
        if len(column) and (column.min() < lowest or (count is not None and column.max() >= count)):
            wrong = True
        if wrong:
            raise damaged(f"holds other numbers at {place} than its manifest allows", self._path)
        return column

    def _checked(self, table: Any, shape: tuple[int, ...], place: str) -> Floats:
        if table.ndim != 2 or table.shape != shape or table.dtype != np.float32:
            raise damaged(f"holds no table of {' × '.join(map(str, shape))} numbers at {place}", self._path)
        values: Floats = table[:]
        if not np.isfinite(values).all():
            raise damaged(f"holds values at {place} that are not finite", self._path)
        return values

    def _get(self, place: str) -> Any:
        found = self._file.get(place)
        if not isinstance(found, h5py.Dataset):
            raise damaged(f"lacks {place}", self._path)
        return found
