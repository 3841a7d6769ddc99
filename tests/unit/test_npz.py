"""Files of attributed graphs: what is read, and how what does not fit is refused in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flykd_console.data.npz import read_attributed
from flykd_console.errors import UserError
from tests.support.tiny_cohort import small_citations, write_npz


def test_a_file_gives_back_the_graph(tmp_path: Path) -> None:
    graph = small_citations()
    read = read_attributed(write_npz(tmp_path / "small.npz", graph))
    assert read.fingerprint == graph.fingerprint
    assert {part: nodes.tolist() for part, nodes in read.parts.items()} == {
        part: nodes.tolist() for part, nodes in graph.parts.items()
    }


def test_pickled_arrays_are_refused_and_never_read(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path(tmp_path / "exploded").touch, ()

    path = tmp_path / "bomb.npz"
    np.savez(path, y=np.array([Bomb()], dtype=object))
    with pytest.raises(UserError, match="pickled"):
        read_attributed(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"y": None}, "has no array 'y'"),
        ({"y": np.array([-2] + [0] * 59)}, "is -2, but classes are counted from 0"),
        ({"y": np.array([-1] * 60)}, "whose class y does not know"),
        ({"y": np.zeros(7, dtype=np.int64)}, "names node"),
        ({"edges": np.array([[0, 60]])}, "names node 60"),
        ({"edges": np.array([[0, 0]])}, "joins no two nodes"),
        ({"edges": np.array([[0.5, 1.0]])}, "whole numbers"),
        ({"x_indices": np.zeros(3, dtype=np.int64)}, "no matrix in CSR"),
        ({"x_shape": np.array([60, 2])}, "beyond the 2"),
        ({"x_shape": None, "x": np.ones((5, 2))}, "have 5 rows, but y has 60"),
        ({"x": np.full((60, 2), np.nan)}, "not all finite"),
        ({"val_idx": np.array([0])}, "is in train_idx and in val_idx"),
        ({"val_idx": None}, "has no array 'val_idx'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_attributed(write_npz(tmp_path / "bad.npz", small_citations(), **changed))


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    path.write_text("not an archive")
    with pytest.raises(UserError):
        read_attributed(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_attributed(tmp_path / "absent.npz")
