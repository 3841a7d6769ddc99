"""The lock file holds what the default install asks for, in the versions that are tested, every file by its hash."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from scripts import licences, lock

ROOT = Path(__file__).parents[2]


def test_the_lock_file_holds_every_default_dependency_by_hashes() -> None:
    assert lock.check(lock.LOCKED.read_text()) == []


def test_torch_has_a_hash_for_every_python_and_system() -> None:
    _, hashes = lock.entries(lock.LOCKED.read_text())["torch"]
    assert len(hashes) > 5
    assert len(set(hashes)) == len(hashes)


def test_what_is_wrong_with_a_lock_file_is_named() -> None:
    text = lock.LOCKED.read_text()
    version, hashes = lock.entries(text)["numpy"]
    assert f"numpy: 1.0 is locked, {version} stands in constraints.txt" in lock.check(
        text.replace(f"numpy=={version}", "numpy==1.0")
    )
    without = text
    for one in hashes:
        without = without.replace(f"    --hash={one} \\\n", "").replace(f" \\\n    --hash={one}", "")
    assert lock.check(without) == ["numpy: no hash"]
    assert "h5py: not locked" in lock.check(text.replace("h5py==", "h6py=="))


def test_hashes_of_cpu_builds_come_to_torchs_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    version, hashes = lock.entries(lock.LOCKED.read_text())["torch"]
    digest = "ab" * 32
    page = tmp_path / "index.html"
    page.write_text(
        f'<a href="/whl/cpu/torch-{version}%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl#sha256={digest}">x</a>'
        f'<a href="/whl/cpu/torch-{version}%2Bcpu-cp39-cp39-win_amd64.whl#sha256={"cd" * 32}">x</a>'
    )
    monkeypatch.setattr(lock, "CPU_INDEX", page.as_uri())
    found = lock.entries(lock.with_cpu_builds(lock.LOCKED.read_text()))["torch"][1]
    assert set(found) - set(hashes) == {f"sha256:{digest}"} - set(hashes)
    assert set(found) >= set(hashes)


def test_floors_close_the_advisories_that_are_named_beside_them() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {"onnx>=1.21", "h5py>=3.16"} <= set(asked)


def test_every_locked_package_has_its_licence_listed() -> None:
    listed = (ROOT / "docs" / "licences.md").read_text()
    assert [name for name in lock.entries(lock.LOCKED.read_text()) if f"| {name} |" not in listed] == []


@pytest.mark.parametrize(
    ("headers", "licence"),
    [
        ([("License-Expression", "MIT OR Apache-2.0"), ("License", "long text")], "MIT OR Apache-2.0"),
        ([("Classifier", "License :: OSI Approved :: BSD License"), ("License", "x\ny")], "BSD License"),
        ([("License", "Apache 2.0")], "Apache 2.0"),
        ([("License", "first line\nof a whole text")], "first line"),
        ([], "not stated"),
    ],
)
def test_a_licence_is_what_the_package_says_of_itself(headers: list[tuple[str, str]], licence: str) -> None:
    assert licences.licence_of(headers) == licence
