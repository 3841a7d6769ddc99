"""The second distribution, `scorer/`: it holds every file that the scorer reads, and works with those alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from exporters.bundle import export_run
from exporters.scorer import Scorer
from tests.support.finished_run import RunSpec, make_finished_run

SCORER = Path(__file__).parents[1] / "scorer"
ABSENT = (
    "torch",
    "dgl",
    "polars",
    "pyarrow",
    "pydantic",
    "msgspec",
    "onnx",
    "onnxruntime",
    "safetensors",
    "rich",
    "typer",
    "sklearn",
    "scipy",
    "pandas",
    "jinja2",
)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """What a wheel of the distribution puts into an environment."""
    project = tomllib.loads((SCORER / "pyproject.toml").read_text())
    files: dict[str, str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for source, place in files.items():
        target = tmp_path / "site" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SCORER / source, target)
    return tmp_path / "site"


def test_the_scorer_works_with_the_files_of_its_distribution_alone(tmp_path: Path, installed: Path) -> None:
    bundle = tmp_path / "bundle"
    export_run(make_finished_run(tmp_path / "runs", RunSpec()), out=bundle)
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("head,tail\nH0001,T0008\n")
    mine = tmp_path / "mine.toml"
    mine.write_text("[edges]\ntail_protein = ['P1']\n")
    code = (
        "import sys\n"
        f"for name in {ABSENT!r}:\n"
        "    sys.modules[name] = None\n"
        "import exporters\n"
        f"assert exporters.__file__.startswith({str(installed)!r}), exporters.__file__\n"
        "from exporters.pairs import score_file\n"
        "from exporters.scorer import Scorer\n"
        f"scorer = Scorer({str(bundle)!r})\n"
        "ranked = scorer.rank('T0008', 'indication', top=3, adjust=True)\n"
        "print(len(ranked), len(scorer.nearest('T0008', 'indication', top=4)))\n"
        "try:\n"
        f"    Scorer({str(bundle)!r}, engine='onnx')\n"
        "except Exception as error:\n"
        "    assert 'Install flykd-scorer[onnx]' in str(error), error\n"
        "else:\n"
        "    sys.exit('onnx without onnxruntime')\n"
        f"print(len(score_file(scorer, __import__('pathlib').Path({str(pairs)!r}))))\n"
        "profile = {'edges': {'tail_protein': ['P1'], 'phenotype': ['E1']}}\n"
        "print(len(scorer.profile(profile, 'indication', top=3, adjust=True).ranking))\n"
        "from exporters.__main__ import main\n"
        f"assert main([{str(bundle)!r}, '--profile', {str(mine)!r}, '--relation', 'indication', '--top', '2']) == 0\n"
        f"sys.exit(main([{str(bundle)!r}, '--disease', 'T0008', '--relation', 'indication', '--top', '3']))"
    )
    # Of our own environment the libraries alone: the path of the two packages is the copy's.
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=installed, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == ["3 4", "2", "3"]
    assert len(lines) == 3 + 1 + 2 + 1 + 3


def test_the_distribution_asks_for_two_libraries_and_has_the_version_of_the_console() -> None:
    project = tomllib.loads((SCORER / "pyproject.toml").read_text())
    names = {requirement.split(">")[0] for requirement in project["project"]["dependencies"]}
    assert names == {"numpy", "h5py"}
    version = SCORER / project["tool"]["hatch"]["version"]["path"]
    assert version.resolve() == (SCORER.parent / "flykd_console" / "__init__.py").resolve()


def test_the_distribution_has_every_file_of_the_service() -> None:
    project = tomllib.loads((SCORER / "pyproject.toml").read_text())
    files: dict[str, str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    folder = SCORER.parent / "exporters" / "serve"
    there = {one for one in folder.rglob("*") if one.is_file() and "__pycache__" not in one.parts}
    listed = {(SCORER / name).resolve() for name in files}
    assert {one.resolve() for one in there} <= listed
    assert all(place == name.removeprefix("../") for name, place in files.items())
    console = tomllib.loads((SCORER.parent / "pyproject.toml").read_text())["project"]
    extras = project["project"]["optional-dependencies"]["serve"]
    assert set(console["optional-dependencies"]["serve"]) <= set(extras)
    assert set(extras) <= {*console["dependencies"], *console["optional-dependencies"]["serve"]}


def test_nearest_are_of_the_nodes_own_type_by_cosine_and_without_itself(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    export_run(make_finished_run(tmp_path / "runs", RunSpec()), out=bundle)
    with Scorer(bundle) as scorer:
        found = scorer.nearest(4, "indication", top=1000)
        assert [one.rank for one in found] == list(range(1, len(scorer.tails)))
        assert 4 not in {one.index for one in found}
        similarities = [one.similarity for one in found]
        assert similarities == sorted(similarities, reverse=True)
        assert all(-1.0001 <= one <= 1.0001 for one in similarities)
        drugs = scorer.nearest(0, "indication", top=3, node_type="drug")
        assert {one.id for one in drugs} <= set(scorer.heads.ids)
        assert scorer.rank(4, "indication") == scorer.rank_heads(4, "indication")
        assert scorer.rank(0, "indication", node_type="drug") == scorer.rank_tails(0, "indication")
