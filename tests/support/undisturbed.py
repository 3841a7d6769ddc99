"""An undisturbed run with its bundle, and whether another that was broken and mended is the same, byte for byte."""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import io
import json
from pathlib import Path

import polars as pl

from exporters.bundle import export_run
from exporters.manifest import MANIFEST, read_records, verify_files
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results
from flykd_console.runs.sealed import seal_of
from flykd_console.training import worker
from tests.support.tiny_run import make_run, small_kg, tiny_profile

# What a bundle holds beside the name of its run.
TABLES = ("embeddings.h5", "ranking_head.onnx", "scoring_head.onnx")


class Undisturbed:
    """Runs of one profile below `root`, each in a folder of its own, so that none takes anything over."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def new(self, name: str) -> RunDirectory:
        """A run that has not begun."""
        return make_run(self.root / name, tiny_profile(small_kg(self.root)))

    @property
    def whole(self) -> RunDirectory:
        """The undisturbed one; trained and exported where it is not yet."""
        found = [path.parent for path in (self.root / "whole").glob("*/profile.toml")]
        run = RunDirectory(found[0]) if found else self.new("whole")
        if not run.export.is_dir():
            assert quietly(run) == 0
            export_quietly(run)
        return run

    def differs(self, run: RunDirectory) -> str:
        """What of a finished run is otherwise, empty where nothing is."""
        names = sorted(path.name for path in self.whole.seed(45).iterdir() if path.suffix != ".json")
        here = sorted(path.name for path in run.seed(45).iterdir() if path.suffix != ".json")
        if here != names:
            return f"other files: {set(here) ^ set(names)}"
        _, other, missing = filecmp.cmpfiles(self.whole.seed(45), run.seed(45), names, shallow=False)
        if other or missing:
            return f"differs: {', '.join([*other, *missing])}"
        if read_results(run.results).summary != read_results(self.whole.results).summary:
            return "other results"
        if run.export.is_dir() and digests(run.export, TABLES) != digests(self.whole.export, TABLES):
            return "another bundle"
        return ""


def quietly(run: RunDirectory) -> int:
    """Train in this process; its exit code."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return worker.main([str(run.path)])


def export_quietly(run: RunDirectory) -> None:
    """Export in this process; what the user could mend is passed over."""
    with contextlib.suppress(UserError):
        export_run(run, seed=45)


def digests(folder: Path, names: tuple[str, ...] = ()) -> dict[str, str]:
    """SHA-256 of the files of a folder by name."""
    chosen = [folder / name for name in names] or sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in chosen}


def not_whole(run: RunDirectory) -> str:
    """What under its own name is no whole file; empty where everything is."""
    for path in sorted(run.path.rglob("*")):
        try:
            if path.suffix in (".safetensors", ".state"):
                seal_of(path.read_bytes(), path)
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".parquet":
                pl.read_parquet(path)
        except Exception as error:
            # What a killed writer left under a temporary name is nobody's.
            if not any(part.startswith(".") for part in path.relative_to(run.path).parts):
                return f"{path.name} is not whole: {error}"
    if not run.export.is_dir():
        return ""
    try:
        verify_files(run.export, read_records(run.export))
    except UserError as error:
        return f"{run.export.name}/{MANIFEST}: {error}"
    return ""
