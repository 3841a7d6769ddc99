"""Write `docs/licences.md`: every package of the default install, its version, and the licence that it states.

    python scripts/licences.py

Read from the installed packages' own metadata; a package that is not installed here (for another system, or a GPU)
keeps the line that it has, or says so. Graphs have terms of their own, which `graph fetch` names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.lock import LOCKED, entries

LISTED = Path(__file__).parents[1] / "docs" / "licences.md"
HEAD = """# Licences

flykd-console is under Apache-2.0. What its default install brings, with the licence that each package states of itself
(`python scripts/licences.py` writes this list from `requirements.txt`):

| package | version | licence |
|---|---|---|
"""
HEADERS = ("License-Expression", "Classifier", "License")
ELSEWHERE = "not installed where this was written"


def main() -> None:
    """Write the list."""
    before = _known(LISTED.read_text()) if LISTED.is_file() else {}
    lines = []
    for name, (version, _) in sorted(entries(LOCKED.read_text()).items()):
        try:
            found = metadata(name)
            licence = licence_of((key, value) for key in HEADERS for value in found.get_all(key) or [])
        except PackageNotFoundError:
            licence = before.get(name, ELSEWHERE)
        lines.append(f"| {name} | {version} | {licence} |\n")
    LISTED.write_text(HEAD + "".join(lines))
    print(f"{LISTED}: {len(lines)} packages")


def licence_of(headers: Iterable[tuple[str, str]]) -> str:
    """What a package's metadata says: the expression, else the classifiers, else the first line of the text."""
    given = list(headers)
    expression = [value for name, value in given if name == "License-Expression"]
    if expression:
        return expression[0]
    classifiers = [value.split(" :: ")[-1] for name, value in given if value.startswith("License ::")]
    if classifiers:
        return ", ".join(classifiers)
    text = [value.strip() for name, value in given if name == "License" and value.strip()]
    return re.sub(r"\s+", " ", text[0].splitlines()[0]).replace("|", "/")[:80] if text else "not stated"


def _known(text: str) -> dict[str, str]:
    rows = re.findall(r"^\| (\S+) \| \S+ \| (.+) \|$", text, re.MULTILINE)
    return {name: licence for name, licence in rows if licence != ELSEWHERE}


if __name__ == "__main__":
    main()
