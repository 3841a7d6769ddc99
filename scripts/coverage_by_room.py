"""Print lines and branches that tests reached, by room of the program, from the `.coverage` of `make coverage`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

# Rooms of which more than this share is wanted.
WANTED = {"flykd_console/graph", "flykd_console/model", "flykd_console/tasks", "flykd_console/distill", "exporters"}
SHARE = 0.9


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", str(path)], check=True)
        files = json.loads(path.read_text())["files"]
    rooms = by_room(files)
    print(f"{'room':<32} {'lines':>8} {'branches':>9}")
    for room, found in sorted(rooms.items()):
        mark = "  wanted: more" if room in WANTED and share(found, "line") < SHARE else ""
        print(f"{room:<32} {100 * share(found, 'line'):>7.1f}% {100 * share(found, 'branch'):>8.1f}%{mark}")


def by_room(files: dict[str, dict[str, dict[str, int]]]) -> dict[str, Counter[str]]:
    """Reached and existing lines and branches by room: a folder of `flykd_console`, or `exporters`."""
    rooms: dict[str, Counter[str]] = {}
    for name, file in files.items():
        parts = Path(name).parts
        room = parts[0] if parts[0] == "exporters" else "/".join(parts[:2])
        told = file["summary"]
        rooms.setdefault(room, Counter()).update(
            {
                "line": told["covered_lines"],
                "lines": told["num_statements"],
                "branch": told["covered_branches"],
                "branches": told["num_branches"],
            }
        )
    return rooms


def share(found: Counter[str], what: str) -> float:
    """The share of lines (`line`) or branches (`branch`) that was reached; 1 where there are none."""
    total = found["lines" if what == "line" else "branches"]
    return found[what] / total if total else 1.0


if __name__ == "__main__":
    main()
