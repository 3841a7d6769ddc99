"""The scripts of the house: which mutants there are, and what coverage says of rooms."""

from __future__ import annotations

import ast
from pathlib import Path

from scripts import coverage_by_room, mutants

SOURCE = '''
def clipped(x: int, low: int = 0) -> int:
    """max of a + b in words."""
    if not x or x < low:
        return max(low, 1)
    return x * 2
'''


def test_every_mutant_is_another_program_in_one_place() -> None:
    sound = ast.unparse(ast.parse(SOURCE)).splitlines()
    found = list(mutants.mutants(SOURCE))
    assert {words for _, words, _ in found} == {
        "0 → 1", "1 → 2", "2 → 3", "Or → And", "Lt → LtE", "Not left out", "max → min", "Mult → Div",
    }  # fmt: skip
    for line, _, text in found:
        differ = [a for a, b in zip(sound, text.splitlines(), strict=True) if a != b]
        assert len(differ) == 1
        assert line > 0
    assert all('"""max of a + b in words."""' in text for _, _, text in found)


def test_files_and_tests_of_the_algebra_are_there() -> None:
    for path, tests in mutants.FILES.values():
        for name in (path, *tests):
            assert (Path(mutants.ROOT) / name).is_file(), name


def test_coverage_is_added_up_by_room() -> None:
    def file(lines: int, of: int, branches: int) -> dict[str, dict[str, int]]:
        told = {"covered_lines": lines, "num_statements": of, "covered_branches": branches, "num_branches": 4}
        return {"summary": told}

    rooms = coverage_by_room.by_room(
        {
            "flykd_console/graph/load.py": file(9, 10, 4),
            "flykd_console/graph/split/make.py": file(1, 10, 0),
            "exporters/bundle.py": file(5, 5, 4),
        }
    )
    assert rooms.keys() == {"flykd_console/graph", "exporters"}
    assert coverage_by_room.share(rooms["flykd_console/graph"], "line") == 0.5
    assert coverage_by_room.share(rooms["flykd_console/graph"], "branch") == 0.5
    assert coverage_by_room.share(rooms["exporters"], "line") == 1.0
