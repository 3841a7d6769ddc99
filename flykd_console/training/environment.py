"""`environment.json`: what a run was made with, so that a figure can be traced to its code, data and machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from flykd_console import __version__
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import replace_file

_LIBRARIES = ("torch", "dgl", "numpy", "scipy", "polars", "scikit-learn", "safetensors", "pydantic", "msgspec")
# Those that a model's numbers come from.
_COMPUTING = ("torch", "dgl", "numpy", "scipy")


def describe(graph: Mapping[str, Any], device: str, device_name: str, threads: int) -> dict[str, Any]:
    """Versions, machine, command and graph of this process's run; `graph`: source, fingerprint, nodes, edges."""
    return {
        "flykd_console": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "device": device,
        "device_name": device_name,
        "threads": threads,
        "command": json.loads(os.environ.get("FLYKD_COMMAND", "null")) or sys.argv,
        "git_commit": _git_commit(),
        "started": time.time(),
        "graph": {
            "source": graph["source"],
            "fingerprint": graph["fingerprint"],
            "nodes": graph["nodes"],
            "edges": graph["edges"],
        },
        "splits": {},
    }


def write(directory: RunDirectory, facts: dict[str, Any]) -> None:
    """Put `environment.json` in place."""
    replace_file(directory.environment, json.dumps(facts, indent=2, ensure_ascii=False).encode() + b"\n")


def differences(directory: RunDirectory, other: RunDirectory) -> list[str]:
    """What two runs were made with that can move their figures, in words: threads and versions; none where equal.

    Also none where either run left no readable `environment.json`.
    """
    ours, theirs = _read(directory), _read(other)
    if not ours or not theirs:
        return []
    found = []
    if ours.get("threads") != theirs.get("threads"):
        found.append(f"{theirs.get('threads')} threads there, {ours.get('threads')} here")
    versions = [{**facts.get("libraries", {}), "flykd_console": facts.get("flykd_console")} for facts in (ours, theirs)]
    for library in ("flykd_console", *_COMPUTING):
        here, there = (of.get(library) for of in versions)
        if here != there:
            found.append(f"{library} {there} there, {here} here")
    return found


def _read(directory: RunDirectory) -> dict[str, Any]:
    try:
        facts = json.loads(directory.environment.read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of the source tree that this package runs from; None where it is installed from a wheel."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
