"""What Python refuses of a bundle, the commands refuse: one line with file and reason, exit code 2, nothing printed."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from exporters.bundle import export_run
from exporters.manifest import EMBEDDINGS
from exporters.scorer import Scorer
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from tests.support.finished_run import RunSpec, make_finished_run
from tests.unit.test_cli_app import call
from tests.unit.test_scorer import DAMAGES
from tests.unit.test_strange_files import _resign as resign


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = make_finished_run(tmp_path_factory.mktemp("runs"), RunSpec(seeds=(45,)))
    export_run(run)
    return run


@pytest.fixture
def copy(run: RunDirectory, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run.export, tmp_path / "moved"))


def refused(bundle: Path, capsys: pytest.CaptureFixture[str], says: str, *asked: str) -> None:
    """Asking the command for a list, or a score, ends with one line."""
    for arguments in (asked or ("--tail", "T0003"), ("--head", "H0001", "--tail", "T0003")):
        assert call("score", str(bundle), *arguments) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        assert says in " ".join(said.err.split())


@pytest.mark.parametrize("damage", sorted(set(DAMAGES) - {"no folder", "no manifest"}))
def test_the_command_refuses_what_python_refuses(damage: str, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    DAMAGES[damage][0](copy)
    with pytest.raises(UserError) as python:
        Scorer(copy)
    refused(copy, capsys, python.value.title)
    out = copy.parent / "every.csv"
    assert call("score", str(copy), "--all", "--to", str(out)) == 2
    assert [path.name for path in copy.parent.iterdir()] == ["moved"]


@pytest.mark.parametrize(
    "place",
    ["nodes/drug/embedding", "relations/indication/tail_embedding", "relations/indication/vector"],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_by_python_and_command(
    place: str, value: float, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(copy / EMBEDDINGS, "r+") as file:
        table = file[place][:]
        table.reshape(-1)[3] = value
        file[place][...] = table
    resign(copy)
    with Scorer(copy) as scorer, pytest.raises(UserError, match=f"values at {place} that are not finite"):
        scorer.rank_heads(3, "indication")
    refused(copy, capsys, f"values at {place} that are not finite", "--tail", "T0003", "--relation", "indication")


def test_tables_that_are_no_hdf5_or_somebody_elses_are_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / EMBEDDINGS).write_bytes(b"not a table at all" * 100)
    resign(copy)
    refused(copy, capsys, "embeddings.h5 is no readable HDF5 file")
    with h5py.File(copy / EMBEDDINGS, "w") as file:
        file["weights"] = np.ones(3)
    resign(copy)
    refused(copy, capsys, "embeddings.h5 lacks nodes/drug")
