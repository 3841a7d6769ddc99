"""The GPU benchmark trains the paper's profile, on a CPU too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu import profile_of
from flykd_console.profile.load import load_profile

ROOT = Path(__file__).resolve().parents[2]


def test_the_gpu_benchmark_trains_every_stage(tmp_path: Path) -> None:
    environment = {**os.environ, "FLYKD_CACHE": str(tmp_path), "COLUMNS": "120"}
    command = [sys.executable, "benchmarks/gpu.py", "--device", "cpu", "--graph", "embedded", "--epochs", "10"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "rows; k = 100,000" in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if "float32" in line]
    cells = [cell.strip() for cell in row.split("│")]
    assert [cell.endswith(" s") for cell in cells[2:6]] == [True] * 4
    assert [float(cell.removesuffix(" s")) > 0.0 for cell in cells[3:6]] == [True] * 3
    assert cells[6] == "1.00x"


@pytest.mark.parametrize(("precision", "cuda_graphs"), [("float32", True), ("tf32", False)])
def test_its_profile_is_the_papers(precision: str, cuda_graphs: bool) -> None:
    made, paper = profile_of([], 2000, "cpu", precision, cuda_graphs), load_profile("primekg/flykd")
    assert (made.engine.precision, made.engine.cuda_graphs) == (precision, cuda_graphs)
    assert (made.teacher, made.student, made.distill) == (paper.teacher, paper.student, paper.distill)
    # It is evaluated at the end alone, and its seconds leave that out.
    rarely = paper.finetune.model_copy(update={"validate_every": 2000})
    assert made.finetune == rarely
    assert made.pretrain.epochs == 0
