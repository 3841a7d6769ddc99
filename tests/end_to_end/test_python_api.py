"""`import flykd_console as fk`: train, load, frames and a scorer; what it costs to import; mistakes as one error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import flykd_console as fk
from flykd_console.profile.load import dump_profile
from tests.support.tiny_run import MODELS, small_kg, tiny_profile


@pytest.fixture
def profile(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    path = runs.parent / "tiny.toml"
    path.write_text(dump_profile(tiny_profile(small_kg(runs.parent))))
    return path


def test_a_profile_is_trained_and_its_run_gives_frames_and_a_scorer(
    profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fk.train(profile, seeds=[46], settings={"student.dim": 6})
    assert "seed 46 (1/1)" in capsys.readouterr().out
    assert run.state == "finished"
    assert run.seeds == [46]
    assert run.profile.student.dim == 6
    assert [entry.name for entry in run.models] == list(MODELS)

    student = run.results.filter(model="student", part="test", metric="macro_auprc")
    assert student["value"].to_list() == [run.summary.seeds["46"]["student"].test.macro_auprc]
    assert set(run.relations["relation"]) == {"contraindication", "indication"}
    curves = run.curves
    assert curves.columns == ["seed", "stage", "epoch", "name", "value"]
    total = curves.filter(stage="student", name="loss/total")
    assert total["epoch"].to_list() == list(range(1, 11))
    validated = curves.filter(stage="student", name="validation/macro_auprc")
    assert validated["epoch"].to_list() == [5, 10]
    assert "student" in run.scores(46).columns

    assert run.bundle is None
    with run.export() as scorer:
        assert isinstance(scorer, fk.Scorer)
        assert scorer.manifest.dim == 6
        assert len(scorer.rank_heads(0, "indication", top=3)) == 3
    assert run.bundle == run.path / "export"

    again = fk.load(run.name)
    assert again.path == run.path
    assert isinstance(again.results, pl.DataFrame)
    assert fk.load().path == run.path


def test_mistakes_are_the_users_error_and_leave_no_run(profile: Path, runs: Path) -> None:
    with pytest.raises(fk.UserError, match="must be at least 2"):
        fk.train(profile, settings={"student.dim": 0})
    with pytest.raises(fk.UserError, match="there is no run"):
        fk.load("nothing")
    assert not runs.exists()
    with pytest.raises(fk.UserError, match="'cures' is not in the graph"):
        fk.train(profile, settings={"graph.targets": ["cures"]}, show=False)
    assert not list(runs.iterdir())


def test_a_failure_of_training_is_an_error_that_names_the_output(profile: Path) -> None:
    with pytest.raises(fk.TrainingError, match=r"the loss .* is nan at epoch .*worker\.log"):
        fk.train(profile, settings={"finetune.lr": 1e20}, show=False)


def test_importing_it_imports_next_to_nothing_and_using_it_no_torch() -> None:
    code = (
        "import sys, flykd_console as fk\n"
        "heavy = {'torch', 'polars', 'numpy', 'typer', 'pydantic', 'onnxruntime'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert sorted(dir(fk)) == sorted(fk.__all__)\n"
        "fk.train, fk.load, fk.Scorer, fk.Run\n"
        "assert 'torch' not in sys.modules\n"
        "try:\n    fk.nothing\nexcept AttributeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no attribute 'nothing'" in done.stdout


def test_the_stub_names_what_the_module_gives() -> None:
    stub = Path(fk.__file__).with_suffix(".pyi").read_text()
    for name in fk.__all__:
        assert getattr(fk, name) is not None
        assert name in stub
