"""Runs below a root: made, listed, and found by what a person types."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path

from flykd_console.errors import UserError
from flykd_console.runs.batch import batch_of, has_begun
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import NewerSchemaError
from flykd_console.runs.status import status_of


def runs_root() -> Path:
    """Where runs live: `$FLYKD_RUNS`, else `runs/` in the current folder."""
    return Path(os.environ.get("FLYKD_RUNS", "runs"))


def create_run(name: str, root: Path | None = None) -> RunDirectory:
    """Make `<root>/<name>-<yyyymmdd-hhmmss>/`; a number is added where that exists."""
    root = root or runs_root()
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for suffix in ["", *(f"-{i}" for i in range(2, 1000))]:
        path = root / (stem + suffix)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(
                f"the run's folder cannot be made ({error.strerror})", str(path), "Check who may write there."
            ) from None
        (path / "control").mkdir()
        return RunDirectory(path.absolute())
    raise UserError("too many runs of this name in one second", str(root / stem), "Try again.")


def list_runs(root: Path | None = None) -> list[RunDirectory]:
    """Every run below the root, newest first (by the time that `profile.schema.toml` was written)."""
    root = root or runs_root()
    found = []
    for path in root.iterdir() if root.is_dir() else ():
        # A run may be removed while we look.
        with suppress(OSError):
            found.append(((path / "profile.toml").stat().st_mtime_ns, path.name, path))
    return [RunDirectory(path.absolute()) for _, _, path in sorted(found, reverse=True)]


def _is_finished(run: RunDirectory) -> bool:
    try:
        return run.results.is_file() and status_of(run).state == "finished"
    except NewerSchemaError:
        return False


def find_run(run: str | None, root: Path | None = None, finished: bool = False) -> RunDirectory:
    """A run by name, unique beginning of a name, or path; None: the newest (finished) one.

    Raises:
        UserError: There is no such run, or several begin like this.
    """
    root = root or runs_root()
    if run is not None:
        path = Path(run)
        if (path / "profile.toml").is_file():
            return RunDirectory(path.absolute())
        found = list_runs(root)
        begun = [r for r in found if r.name.startswith(run)]
        # The name that a profile gave comes before longer names that begin alike.
        named = [r for r in begun if re.fullmatch(r"-\d{8}-\d{6}(-\d+)?", r.name[len(run) :])]
        matches = [r for r in found if r.name == run] or named or begun
        if len(matches) == 1:
            return matches[0]
        if matches:
            names = ", ".join(r.name for r in matches[:5])
            raise UserError(f"{len(matches)} runs begin with {run!r}: {names}", str(root), "Give more of the name.")
        raise UserError(f"there is no run {run!r}", str(root), "List them: flykd-console runs")
    runs = [r for r in list_runs(root) if not finished or _is_finished(r)]
    if not runs:
        what = "finished run" if finished else "run"
        raise UserError(f"there is no {what} in {root}/ yet", hint="Train one: flykd-console run flykd")
    return runs[0] if finished else _in_work(runs[0])


def _in_work(newest: RunDirectory) -> RunDirectory:
    """Of the runs that were started together with one, the last that has begun; they are trained in their order."""
    batch = batch_of(newest)
    begun = [run for run in batch if has_begun(run)]
    return begun[-1] if begun else batch[0]
