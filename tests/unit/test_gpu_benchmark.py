"""The GPU benchmark runs with torch, numpy and this package's sources alone, under the paper's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import bare, gpu
from flykd_console.profile.schema import Profile

ROOT = Path(__file__).resolve().parents[2]
# Everything that the package declares, but for torch and numpy.
ABSENT = """
import importlib.abc, importlib.util, runpy, sys
absent = set("dgl scipy pydantic pydantic_core polars msgspec sklearn safetensors psutil pynvml rich typer textual "
             "pandas pyarrow h5py onnx onnxruntime httpx platformdirs tomli_w rapidfuzz matplotlib jinja2".split())
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name.split(".")[0] in absent else found(name)
sys.argv = ["gpu.py", "--device", "cpu", "--scale", "0.003", "--epochs", "10"]
runpy.run_path("benchmarks/gpu.py", run_name="__main__")
assert not {"dgl", "pydantic"} & sys.modules.keys()
"""


def test_gpu_benchmark_needs_torch_and_numpy_alone() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ABSENT], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "stand-ins used: scipy, polars" in done.stdout
    assert "float32" in done.stdout


def test_settings_of_the_gpu_benchmark_are_the_profile_s_defaults() -> None:
    def check(mine: Any, theirs: Any, at: str = "") -> None:
        for key, value in vars(mine).items():
            if hasattr(value, "__dict__"):
                check(value, getattr(theirs, key), f"{at}{key}.")
            elif f"{at}{key}" not in ("distill.lsp.layers", "distill.hidden.layers", "graph.pooling.relations"):
                assert getattr(theirs, key) == value, f"{at}{key}"

    check(gpu.settings(2000), Profile())
    mine, theirs = gpu.settings(2000).distill.curriculum, Profile().distill.curriculum
    for source in ("original", "pseudo_train", "pseudo_random"):
        for fraction in np.linspace(0, 1, 33):
            assert mine.weight(source, fraction) == pytest.approx(theirs.weight(source, fraction))


def test_stand_in_of_sparse_arrays_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    rows, columns, values = rng.integers(0, 9, 60), rng.integers(0, 7, 60), rng.random(60).astype(np.float32)
    mine = bare.CsrArray((values, (rows, columns)), shape=(9, 7))
    theirs = sp.csr_array((values, (rows, columns)), shape=(9, 7))
    theirs.sum_duplicates()

    def same(a: bare.CsrArray, b: Any) -> None:
        b = sp.csr_array(b)
        b.sum_duplicates()
        dense = np.zeros(a.shape, dtype=np.float32)
        entries = a.tocoo()
        np.add.at(dense, (entries.row, entries.col), entries.data)
        np.testing.assert_allclose(dense, b.toarray(), rtol=1e-6)

    same(mine, theirs)
    assert mine.nnz == theirs.nnz
    np.testing.assert_array_equal(mine.indptr, theirs.indptr)
    np.testing.assert_array_equal(mine.indices, theirs.indices)
    same(mine.T, theirs.T)
    same(mine[np.array([3, 3, 0])], theirs[[3, 3, 0]])
    same(mine[:, np.array([5, 1])], theirs[:, [5, 1]])
    same(mine + mine, theirs + theirs)
    same(bare.vstack([mine, mine]), sp.vstack([theirs, theirs]))
    by_column = theirs.tocsc()
    np.testing.assert_array_equal(mine.tocsc().indices, by_column.indices)
    np.testing.assert_array_equal(mine.tocsc().indptr, by_column.indptr)
