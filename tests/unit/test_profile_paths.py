"""Which keys of a profile are paths, and what a structure loss's table needs to say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field, ValidationError

from flykd_console.profile.distill import Distill
from flykd_console.profile.files import make_paths_absolute
from flykd_console.profile.load import load_profile
from flykd_console.profile.paths import files_of, paths_in
from flykd_console.profile.schema import Profile
from flykd_console.profile.section import FilePath, Section, StructureSettings


class Pulls(StructureSettings):
    """A structure loss's table with a file."""

    needed: ClassVar = ("file",)

    weight: float = Field(0.0, ge=0.0)
    file: FilePath | None = None


class Method(Section):
    """Paths in every shape that a table may have them."""

    pulls: Pulls = Pulls()
    tables: list[FilePath] = Field([])
    ends: tuple[FilePath, int] = ("", 0)
    named: dict[str, FilePath] = Field({})
    method: str = "a.csv"


GIVEN: dict[str, Any] = {
    "pulls": {"weight": 1.0, "file": "a.csv"},
    "tables": ["b.csv", "c.csv"],
    "ends": ["d.csv", 3],
    "named": {"x": "e.csv"},
}


def test_a_path_is_found_wherever_its_key_is_marked() -> None:
    found = {
        ("pulls", "file"): "a.csv",
        ("tables", 0): "b.csv",
        ("tables", 1): "c.csv",
        ("ends", 0): "d.csv",
        ("named", "x"): "e.csv",
    }
    assert dict(paths_in(Method, GIVEN)) == found
    assert files_of(Method.model_validate(GIVEN)) == {
        "pulls.file": "a.csv",
        "tables[0]": "b.csv",
        "tables[1]": "c.csv",
        "ends[0]": "d.csv",
        "named.x": "e.csv",
    }


def test_a_loss_that_takes_no_part_reads_no_file() -> None:
    assert files_of(Method.model_validate({"pulls": {"file": "a.csv"}})) == {}
    # But its path is still relative to the file that says it.
    assert dict(paths_in(Method, {"pulls": {"file": "a.csv"}})) == {("pulls", "file"): "a.csv"}


@pytest.mark.parametrize(
    "broken", [5, [], "x", {"pulls": 3}, {"pulls": {"file": 3}}, {"tables": {"x": 1}}, {"ends": []}, {"named": [1]}]
)
def test_what_does_not_fit_is_passed_over(broken: Any) -> None:
    assert dict(paths_in(Method, broken)) == {}


def test_every_file_of_a_profile_is_beside_the_file_that_names_it(tmp_path: Path) -> None:
    entry = {"kind": "scores", "file": "s.csv"}
    data: dict[str, Any] = {
        "graph": {"source": "kg.csv"},
        "split": {"train": "../train.csv", "area": "list.csv"},
        "distill": {"teachers": [{"kind": "network"}, entry, {"kind": "none", "file": "x"}, 3]},
        "models": {"narrow": {"distill": {"teachers": [dict(entry)]}}, "broken": 3},
    }
    make_paths_absolute(data, tmp_path)
    assert data["graph"]["source"] == str(tmp_path / "kg.csv")
    assert data["split"] == {"train": str(tmp_path.parent / "train.csv"), "area": str(tmp_path / "list.csv")}
    teachers = [{"kind": "network"}, entry | {"file": str(tmp_path / "s.csv")}, {"kind": "none", "file": "x"}, 3]
    assert data["distill"]["teachers"] == teachers
    assert data["models"]["narrow"]["distill"]["teachers"] == teachers[1:2]


@pytest.mark.parametrize("source", ["embedded", "synthetic", "primekg"])
def test_the_graphs_that_have_names_and_areas_are_no_paths(source: str) -> None:
    data = {"graph": {"source": source}, "split": {"area": "cardiovascular"}}
    assert dict(paths_in(Profile, data)) == {}


def test_a_file_given_by_set_is_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text("[distill]\nteachers = 1\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    profile = load_profile(tmp_path / "mine.toml", ['distill.teachers=[{kind="scores", file="s.csv"}]'])
    assert files_of(profile.distill) == {"teachers[0].file": os.path.abspath("s.csv")}


def test_a_method_without_files_names_none() -> None:
    assert files_of(Distill()) == {}


def test_a_key_that_a_loss_needs_is_asked_for_where_the_loss_takes_part() -> None:
    assert Pulls().file is None
    with pytest.raises(ValidationError, match="file is needed where a weight is above 0"):
        Pulls(weight=1.0)


def test_a_structure_table_without_a_default_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match=r"Bare.file needs a default, such as None; name it in `needed`"):

        class Bare(StructureSettings):
            file: FilePath
