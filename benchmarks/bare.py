"""What a bare CUDA machine lacks: placeholders, so that the engine runs with torch, numpy and this package alone.

The engine itself is torch and numpy; it needs scipy's sparse arrays to lay out matrices once, and names a few other
libraries in annotations. Where one of them is not installed, `provide` puts a stand-in in its place: of scipy.sparse
the handful of operations that the engine uses, of the others a module that says what is missing when it is used.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


def provide(*names: str) -> list[str]:
    """Put stand-ins in place of top-level modules that are not installed; the names of those replaced."""
    missing = [name for name in names if name not in sys.modules and importlib.util.find_spec(name) is None]
    for name in missing:
        sys.modules[name] = _Missing(name)
    if "scipy" in missing:
        sparse = ModuleType("scipy.sparse")
        sparse.__dict__.update(
            csr_array=CsrArray, coo_array=CooArray, eye_array=eye_array, diags_array=diags_array, vstack=vstack
        )
        sys.modules["scipy"].sparse = sparse  # type: ignore[attr-defined]
        sys.modules["scipy.sparse"] = sparse
    return missing


class _Missing(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ModuleNotFoundError(f"{self.__name__} is not installed, and {self.__name__}.{name} is needed here")


class CooArray:
    """Entries of a sparse matrix: `row`, `col`, `data`."""

    def __init__(self, data: NDArray[Any], row: NDArray[Any], col: NDArray[Any], shape: tuple[int, int]) -> None:
        self.data, self.row, self.col, self.shape = data, row, col, shape


class CscArray(NamedTuple):
    """A sparse matrix by columns."""

    data: NDArray[Any]
    indices: NDArray[np.int64]
    indptr: NDArray[np.int64]


class CsrArray:
    """scipy.sparse.csr_array as far as the engine uses it; made of entries, their duplicates are summed at once."""

    data: NDArray[Any]
    indices: NDArray[np.int64]
    indptr: NDArray[np.int64]

    def __init__(self, source: Any, shape: tuple[int, int] | None = None) -> None:
        if isinstance(source, CsrArray):
            self.data, self.indices, self.indptr = source.data, source.indices, source.indptr
            self.shape: tuple[int, int] = source.shape
            return
        if isinstance(source, CooArray):
            data, (row, column), shape = source.data, (source.row, source.col), source.shape
        else:
            if len(source) == 3:
                assert shape is not None
                self.data, self.indices, self.indptr = (np.asarray(part) for part in source)
                self.shape = (int(shape[0]), int(shape[1]))
                return
            data, (row, column) = source
        assert shape is not None
        self.shape = (int(shape[0]), int(shape[1]))
        key = np.asarray(row, dtype=np.int64) * self.shape[1] + np.asarray(column, dtype=np.int64)
        unique, position = np.unique(key, return_inverse=True)
        data = np.asarray(data)
        self.data = np.bincount(position, weights=data, minlength=len(unique)).astype(data.dtype)
        self.indices = unique % self.shape[1]
        self.indptr = np.concatenate([[0], np.cumsum(np.bincount(unique // self.shape[1], minlength=self.shape[0]))])

    @property
    def nnz(self) -> int:
        return len(self.data)

    @property
    def T(self) -> CsrArray:  # noqa: N802
        entries = self.tocoo()
        return CsrArray((entries.data, (entries.col, entries.row)), shape=(self.shape[1], self.shape[0]))

    def copy(self) -> CsrArray:
        return CsrArray(self)

    def sum_duplicates(self) -> None:
        """Columns ascending within each row, each once."""
        summed = CsrArray(self.tocoo())
        self.data, self.indices, self.indptr = summed.data, summed.indices, summed.indptr

    def tocsc(self) -> CscArray:
        """By columns; within a column the rows ascend, entries of one place in their order."""
        entries = self.tocoo()
        order = np.argsort(entries.col, kind="stable")
        ends = np.cumsum(np.bincount(entries.col, minlength=self.shape[1]))
        return CscArray(entries.data[order], entries.row[order], np.concatenate([[0], ends]))

    def tocoo(self) -> CooArray:
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        return CooArray(self.data, rows, self.indices, self.shape)

    def tocsr(self) -> CsrArray:
        return self

    def __getitem__(self, key: Any) -> CsrArray:
        if isinstance(key, tuple):
            rows, columns = key
            chosen = self if isinstance(rows, slice) and rows == slice(None) else self[rows]
            return chosen if isinstance(columns, slice) else chosen._columns(np.asarray(columns))
        numbers = np.arange(self.shape[0])[key]
        lengths = np.diff(self.indptr)[numbers]
        starts = np.repeat(self.indptr[numbers] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        at = starts + np.arange(lengths.sum())
        rows = np.repeat(np.arange(len(numbers)), lengths)
        return CsrArray((self.data[at], (rows, self.indices[at])), shape=(len(numbers), self.shape[1]))

    def _columns(self, columns: NDArray[np.int64]) -> CsrArray:
        position = np.full(self.shape[1], -1, dtype=np.int64)
        position[columns] = np.arange(len(columns))
        entries = self.tocoo()
        kept = position[entries.col] >= 0
        return CsrArray(
            (entries.data[kept], (entries.row[kept], position[entries.col[kept]])),
            shape=(self.shape[0], len(columns)),
        )

    def __add__(self, other: CsrArray) -> CsrArray:
        mine, theirs = self.tocoo(), other.tocoo()
        rows, columns = (np.concatenate([getattr(x, name) for x in (mine, theirs)]) for name in ("row", "col"))
        return CsrArray((np.concatenate([mine.data, theirs.data]), (rows, columns)), shape=self.shape)

    def astype(self, dtype: Any) -> CsrArray:
        copy = CsrArray(self)
        copy.data = self.data.astype(dtype)
        return copy


def vstack(matrices: list[CsrArray], format: str = "csr") -> CsrArray:
    """scipy.sparse.vstack."""
    entries = [matrix.tocoo() for matrix in matrices]
    starts = np.cumsum([0, *(matrix.shape[0] for matrix in matrices)])
    rows = np.concatenate([e.row + start for e, start in zip(entries, starts[:-1], strict=True)])
    columns, data = (np.concatenate([getattr(e, name) for e in entries]) for name in ("col", "data"))
    return CsrArray((data, (rows, columns)), shape=(int(starts[-1]), matrices[0].shape[1]))


def eye_array(count: int, format: str = "csr", dtype: Any = np.float64) -> CsrArray:
    """scipy.sparse.eye_array."""
    return diags_array(np.ones(count, dtype=dtype))


def diags_array(diagonal: NDArray[Any]) -> CsrArray:
    """scipy.sparse.diags_array of the main diagonal."""
    numbers = np.arange(len(diagonal))
    return CsrArray((np.asarray(diagonal), (numbers, numbers)), shape=(len(diagonal), len(diagonal)))
