"""Plain arrays of `.npz` files and of edges, with numpy alone: what reading data and scoring new data share."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flykd_console.errors import CHECK_PATH, UserError

Integers = NDArray[np.int64]


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Every array of a file.

    Raises:
        UserError: It cannot be read, is no such file, or holds pickled objects, which are refused.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if isinstance(file, np.ndarray):
                raise UserError("is a single array; an .npz of named arrays is wanted", str(path), CHECK_PATH)
            return {name: file[name] for name in file.files}
    except OSError as error:
        reason = error.strerror or "is no .npz"
        raise UserError(f"the file cannot be read ({reason})", str(path), CHECK_PATH) from None
    except ValueError as error:
        if "pickle" in str(error).lower():
            raise UserError(
                "holds pickled objects, which could run code when read: refused",
                str(path),
                "Save plain arrays: numpy.savez_compressed(path, edges=..., y=...).",
            ) from None
        raise UserError(f"is damaged ({error})", str(path), CHECK_PATH) from None
    except (zipfile.BadZipFile, EOFError, KeyError) as error:
        raise UserError(f"is no .npz, or a damaged one ({error})", str(path), CHECK_PATH) from None


def whole_numbers(arrays: Mapping[str, NDArray[np.generic]], name: str, path: Path, dimensions: int) -> Integers:
    """An array of whole numbers."""
    if name not in arrays:
        raise UserError(f"has no array {name!r}", str(path), f"It has {', '.join(sorted(arrays)) or 'none'}.")
    array = arrays[name]
    if array.dtype.kind not in "iub" or array.ndim != dimensions:
        raise UserError(
            f"{name} is {array.dtype} {shape_words(array)}, but whole numbers of {dimensions} dimensions are wanted",
            str(path),
        )
    return array.astype(np.int64)


def shape_words(array: NDArray[np.generic]) -> str:
    """The shape as a list: [3, 2]."""
    return str(list(array.shape))


def check_indices(indices: Integers, nodes: int, name: str, path: Path) -> None:
    """Refuse numbers of nodes outside 0 to nodes - 1."""
    bad = indices[(indices < 0) | (indices >= nodes)]
    if len(bad):
        raise UserError(f"{name} names node {bad[0]}, but there are {nodes} (0 to {nodes - 1})", str(path))


def undirected(edges: Integers) -> Integers:
    """Edges once each, u < v, without self loops, ascending, int64 [e, 2]."""
    low, high = edges.min(axis=1), edges.max(axis=1)
    kept = np.stack([low, high], axis=1)[low != high]
    found: Integers = np.unique(kept, axis=0).astype(np.int64).reshape(-1, 2)
    return found
