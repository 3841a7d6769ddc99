"""Everything for a GPU in one call: a step that fails or takes too long is told and keeps no other from running."""

from __future__ import annotations

import argparse
import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from benchmarks import gpu_all
from benchmarks.gpu_all import Step, carry_out, junit_counts, prepared, steps_of

REPORT = """<?xml version="1.0"?><testsuites><testsuite tests="3" failures="1" errors="0" skipped="1">
<testcase classname="a" name="one"/>
<testcase classname="a" name="two"><failure message="apart by 0.1&#10;more&#10;and more"/></testcase>
<testcase classname="a" name="three"><skipped/></testcase></testsuite></testsuites>"""


def test_a_step_leaves_what_it_found_and_how_long_it_took(tmp_path: Path) -> None:
    writes = "import json, sys; json.dump({'ms': 3}, open(sys.argv[1], 'w')); print('said')"
    with (tmp_path / "log").open("w", buffering=1) as log:
        found = carry_out(Step("one", ["-c", writes, "{json}"], 1.0), tmp_path, dict(os.environ), 60.0, log)
        assert found["state"] == "done"
        assert found["found"] == {"ms": 3}
        found = carry_out(Step("two", ["-c", "raise SystemExit(3)"], 1.0), tmp_path, dict(os.environ), 60.0, log)
        assert found["state"] == "exit code 3"
        slow = Step("three", ["-c", "import time; time.sleep(60)"], 1.0)
        found = carry_out(slow, tmp_path, dict(os.environ), 0.5, log)
        assert found["state"].startswith("not over")
        assert found["seconds"] < 30
    said = (tmp_path / "log").read_text()
    assert "said" in said
    assert "=== two" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log"]


def test_failures_of_tests_are_named_with_their_first_lines(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    assert junit_counts(report) == {
        "tests": 3,
        "failures": 1,
        "errors": 0,
        "skipped": 1,
        "failed": {"a.two": ["apart by 0.1", "more"]},
    }


def test_every_script_of_a_step_is_there_and_takes_its_options() -> None:
    options = argparse.Namespace(graph="embedded", scale=0.1, device="cpu", epochs=10)
    root = Path(gpu_all.ROOT)
    scripts = [step.command[0] for step in steps_of(options) if step.command[0] != "-m"]
    assert scripts
    assert all((root / script).is_file() for script in scripts)
    assert sum(step.share for step in steps_of(options)[:3]) <= 1.0


def test_wheels_are_unpacked_once_and_found_after_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    wheels.mkdir()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("carried/__init__.py", "")
    (wheels / "carried-1-py3-none-any.whl").write_bytes(packed.getvalue())
    monkeypatch.setattr(gpu_all, "WHEELS", wheels)
    monkeypatch.setattr(gpu_all, "SITE", site)
    environment = prepared("cpu")
    assert (site / "carried" / "__init__.py").is_file()
    assert environment["PYTHONPATH"].split(os.pathsep)[-1] == str(site)
    assert environment["FLYKD_TEST_DEVICE"] == "cpu"
    (site / "carried" / "__init__.py").write_text("kept = True")
    prepared("cpu")
    assert (site / "carried" / "__init__.py").read_text() == "kept = True"
    assert json.dumps(environment)
