"""Who may import whom: the contracts of pyproject.toml, and what is really loaded when a quick command runs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from flykd_console.cli.app import ENTRIES

ROOT = Path(__file__).parent.parent
HEAVY = (
    "torch",
    "dgl",
    "textual",
    "polars",
    "pyarrow",
    "pandas",
    "numpy",
    "scipy",
    "pydantic",
    "onnx",
    "onnxruntime",
    "h5py",
)


def loaded(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `code`."""
    code += "\nimport sys, json\nprint('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def called(*arguments: str) -> str:
    """Code that runs the command line and stays."""
    return (
        "from flykd_console.cli.app import main\n"
        f"try:\n    main({list(arguments)!r})\n"
        "except SystemExit as left:\n    assert left.code == 0, left.code"
    )


def imported(folder: str) -> set[str]:
    """Top-level modules that the files below `folder` import anywhere."""
    found: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found


def test_every_library_that_is_imported_is_declared_and_pinned() -> None:
    own = {"flykd_console", "exporters", "tests", "benchmarks", "scripts"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {
        line.partition("==")[0].replace("_", "-").lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    homes = metadata.packages_distributions()

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^\w-]", text)[0].replace("_", "-").lower() for text in requirements}

    extras = project["optional-dependencies"]
    runtime = names(project["dependencies"]) | {
        name for extra in extras.keys() - {"dev"} for name in names(extras[extra])
    }
    development = runtime | names(extras["dev"])
    for folders, declared in ((("flykd_console", "exporters"), runtime), (("tests", "benchmarks"), development)):
        for module in sorted(set().union(*map(imported, folders)) - own - sys.stdlib_module_names):
            candidates = {name.replace("_", "-").lower() for name in homes.get(module, [module])}
            assert candidates & declared, f"{module} is imported in {folders} but not declared in pyproject.toml"
            assert candidates & pinned, f"{module} is not pinned in constraints.txt"


def test_the_contracts_of_the_project_hold() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-logo",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_loads_nothing_heavy(argument: str) -> None:
    assert loaded(called(argument)) & {*HEAVY, "msgspec", "httpx", "psutil"} == set()


@pytest.mark.parametrize("name", ENTRIES)
def test_help_of_a_command_loads_nothing_heavy_either(name: str) -> None:
    """Typer itself brings pydantic once a command's options are read."""
    assert loaded(called(name, "--help")) & set(HEAVY) - {"pydantic"} == set()


def test_a_profile_is_shown_without_torch_textual_or_tables() -> None:
    assert loaded(called("profiles", "show", "flykd")) & {*HEAVY} - {"pydantic"} == set()


def test_following_a_run_as_plain_lines_needs_no_torch_and_no_textual() -> None:
    assert loaded("import flykd_console.cli.training") & set(HEAVY) - {"pydantic"} == set()


def test_the_scorer_loads_numpy_and_h5py_and_none_of_the_rest() -> None:
    modules = loaded("import exporters.scorer")
    assert {"numpy", "h5py"} <= modules
    absent = {"torch", "dgl", "textual", "typer", "polars", "pyarrow", "pandas", "pydantic", "onnx", "msgspec"}
    assert modules & (absent | {"onnxruntime"}) == set()


def test_no_exporter_loads_torch_or_textual() -> None:
    names = [f"exporters.{path.stem}" for path in (ROOT / "exporters").glob("*.py") if path.stem != "__init__"]
    assert loaded("\n".join(f"import {name}" for name in names)) & {"torch", "dgl", "textual"} == set()


def test_the_dashboard_loads_no_torch() -> None:
    assert loaded("import flykd_console.dashboard.app") & {"torch", "dgl", "scipy", "pandas"} == set()


def test_what_trains_loads_no_terminal_program() -> None:
    assert loaded("import flykd_console.training.worker") & {"textual", "typer", "rich", "dgl"} == set()
