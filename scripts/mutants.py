"""Mutation testing of the algebra: change one place of a file, run its tests, and say which changes none notices.

    python scripts/mutants.py                       # 10 drawn mutants of each file
    python scripts/mutants.py --count 0 curriculum  # every mutant of one file

A mutant exchanges one operator (+ and -, * and /, < and <=, == and !=, and and or, min and max), one number (n and
n + 1), or one `not`. Tests of a file run in a process of their own with the changed file in front of the sound one, at
most 120 seconds. A mutant that all of them pass survives, and is printed with its line: either no test says what that
place is for, or the change changes nothing.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 120
# By name a file of the algebra, and the tests that are to notice.
FILES: dict[str, tuple[str, list[str]]] = {
    "curriculum": ("flykd_console/distill/curriculum.py", ["tests/unit/test_distill.py"]),
    "sampling": (
        "flykd_console/distill/labels/random_graph.py",
        ["tests/unit/test_samplers.py", "tests/unit/test_distill.py"],
    ),
    "pooling": (
        "flykd_console/model/disease_pooling.py",
        ["tests/unit/test_model.py", "tests/unit/test_similarity.py"],
    ),
    "metrics": (
        "flykd_console/tasks/link_prediction/metrics.py",
        ["tests/unit/test_ranking.py", "tests/unit/test_ranks.py", "tests/unit/test_results.py"],
    ),
    "ranks": (
        "flykd_console/tasks/link_prediction/ranks.py",
        ["tests/unit/test_ranking.py", "tests/unit/test_ranks.py"],
    ),
    "popularity": ("flykd_console/heuristics/popularity.py", ["tests/unit/test_heuristics.py"]),
    "neighbours": ("flykd_console/heuristics/neighbours.py", ["tests/unit/test_heuristics.py"]),
    "rivals": ("flykd_console/explore/rivals.py", ["tests/unit/test_rivals.py"]),
}
_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.In: ast.NotIn,
}  # fmt: skip
_NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any"}


def main() -> None:
    """Change, test, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="FILE", help=f"of {', '.join(FILES)}; default: all")
    parser.add_argument("--count", type=int, default=10, help="drawn mutants of each file (10); 0: every one")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    options = parser.parse_args()
    tried = noticed = 0
    for name in options.names or FILES:
        path, tests = FILES[name]
        found = list(mutants((ROOT / path).read_text()))
        if options.count:
            found = random.Random(options.seed).sample(found, min(options.count, len(found)))
        alive = 0
        for line, words, text in found:
            if survives(path, text, tests):
                alive += 1
                print(f"  survives: {path}:{line}: {words}", flush=True)
        print(f"{name}: {len(found) - alive} of {len(found)} mutants noticed", flush=True)
        tried, noticed = tried + len(found), noticed + len(found) - alive
    print(f"{noticed} of {tried} mutants noticed")


def survives(path: str, text: str, tests: list[str]) -> bool:
    """Whether the tests pass with a changed file."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        copied = Path(name)
        for room in ("flykd_console", "exporters", "profiles", "tests", "benchmarks", "scripts"):
            shutil.copytree(ROOT / room, copied / room, ignore=shutil.ignore_patterns("__pycache__", "__snapshots__"))
        for file in ("pyproject.toml", "constraints.txt", "requirements.txt", "README.md"):
            shutil.copy(ROOT / file, copied / file)
        (copied / path).write_text(text)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        environment = os.environ | {"PYTHONPATH": name, "OMP_NUM_THREADS": "1"}
        try:
            done = subprocess.run(command, cwd=name, env=environment, capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Every mutant of a file: the line, what was changed, and the changed text."""
    tree = ast.parse(source)
    for place, node in enumerate(ast.walk(tree)):
        for number, words in enumerate(_changes(node)):
            changed = copy.deepcopy(tree)
            twin = next(one for at, one in enumerate(ast.walk(changed)) if at == place)
            _change(twin, number)
            text = ast.unparse(changed)
            if text != ast.unparse(tree):
                yield getattr(node, "lineno", 0), words, text


def _changes(node: ast.AST) -> list[str]:
    """What can be changed about a node, in words."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        known = type(node.op) in _OPERATORS
        return [f"{type(node.op).__name__} → {_OPERATORS[type(node.op)].__name__}"] if known else []
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _OPERATORS:
        return [f"{type(node.ops[0]).__name__} → {_OPERATORS[type(node.ops[0])].__name__}"]
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return [f"{node.value} → {_other(node.value)}"]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        return [f"{type(node.op).__name__} left out"]
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return [f"{node.id} → {_NAMES[node.id]}"]
    if isinstance(node, ast.Attribute) and node.attr in _NAMES:
        return [f".{node.attr} → .{_NAMES[node.attr]}"]
    return []


def _change(node: ast.AST, number: int) -> None:
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        node.op = _OPERATORS[type(node.op)]()  # type: ignore[assignment]
    elif isinstance(node, ast.Compare):
        node.ops[0] = _OPERATORS[type(node.ops[0])]()  # type: ignore[call-overload]
    elif isinstance(node, ast.Constant):
        node.value = _other(node.value)  # type: ignore[arg-type]
    elif isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd()
    elif isinstance(node, ast.Name):
        node.id = _NAMES[node.id]
    elif isinstance(node, ast.Attribute):
        node.attr = _NAMES[node.attr]


def _other(value: float) -> float:
    return not value if isinstance(value, bool) else value + 1


if __name__ == "__main__":
    main()
