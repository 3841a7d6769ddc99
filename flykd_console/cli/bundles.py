"""Which bundle is meant: its folder, the run that it was exported from, or the newest run's."""

from __future__ import annotations

from pathlib import Path

from flykd_console.errors import UserError


def find_bundle(name: str | None) -> Path:
    """The folder of a bundle: named itself, or by the run that it was exported from; None: the newest run's.

    Raises:
        UserError: There is no such bundle or run, or the run has no export.
    """
    from exporters.manifest import MANIFEST
    from flykd_console.runs.find import find_run, list_runs, runs_root

    if name is None:
        exported = [run.export for run in list_runs() if (run.export / MANIFEST).is_file()]
        if not exported:
            raise UserError("no run has been exported yet", str(runs_root()), "Write a bundle: flykd-console export")
        return exported[0]
    path = Path(name)
    if (path / MANIFEST).is_file():
        return path
    if path.is_dir() and not (path / "profile.toml").is_file():
        raise UserError("this is not a bundle: it holds no manifest.json", name, "Write one: flykd-console export")
    if path.is_file():
        raise UserError("a bundle is a folder, and this is a file", name, f"Name its folder: {path.parent}")
    run = find_run(name)
    if not (run.export / MANIFEST).is_file():
        raise UserError(
            "this run has not been exported", run.name, f"Write its bundle: flykd-console export {run.name}"
        )
    return run.export
