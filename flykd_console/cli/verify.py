"""`flykd-console verify`: say whether everything of a run or a bundle is what it claims to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flykd_console.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporters.verification import Finding
    from flykd_console.runs.directory import RunDirectory
    from flykd_console.runs.stage_record import StageRecord


def command(
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|BUNDLE",
            help="A run's name, its beginning, or its folder; or a bundle's folder; default: the newest run.",
            show_default=False,
        ),
    ] = None,
    retrain: Annotated[
        int | None,
        typer.Option(
            metavar="SEED",
            help="Train this seed again, apart from every other run, and compare weights and figures.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Say whether everything of a run or a bundle is what it claims to be, without training.

    Checksums, figures from stored scores, the event log against the results, and the bundle against the run. Exit code
    0: all of it; 1: something differs. Nothing is changed.

    - flykd-console verify flykd-2026
    - flykd-console verify bundle
    - flykd-console verify flykd-2026 --retrain 45
    """
    from rich.text import Text

    from exporters.manifest import MANIFEST
    from exporters.verification import verify_bundle, verify_run
    from flykd_console.cli.console import PlainConsole
    from flykd_console.runs.find import find_run

    console, differs = PlainConsole(soft_wrap=True), False
    folder = Path(place) if place is not None else None
    findings: Iterator[Finding]
    directory: RunDirectory | None = None
    if folder is not None and (folder / MANIFEST).is_file() and not (folder / "profile.toml").is_file():
        findings = verify_bundle(folder)
    else:
        directory = find_run(place)
        findings = verify_run(directory)
    if retrain is not None and directory is None:
        raise UserError("a bundle holds nothing to train", str(folder), "Name the run that it came from.")
    console.print(directory.name if directory is not None else str(folder))
    for finding in findings:
        differs = differs or not finding.passed
        mark = ("✓", "green") if finding.passed else ("✗", "red")
        console.print(Text.assemble("  ", mark, f" {finding.name:<16} {finding.detail}"))
    if retrain is not None and directory is not None:
        finding = _retrained(directory, retrain)
        differs = differs or not finding.passed
        mark = ("✓", "green") if finding.passed else ("✗", "red")
        console.print(Text.assemble("  ", mark, f" {finding.name:<16} {finding.detail}"))
    if differs:
        raise typer.Exit(1)


def _retrained(directory: RunDirectory, seed: int) -> Finding:
    """Train one seed in a folder of its own, which is removed, and compare."""
    import subprocess
    import sys
    import tempfile

    from exporters.verification import Finding
    from flykd_console.profile.load import dump_profile, load_profile
    from flykd_console.runs.directory import RunDirectory
    from flykd_console.runs.results import read_results
    from flykd_console.runs.spawn import WORKER, worker_environment
    from flykd_console.runs.stage_record import read_record

    profile = load_profile(directory.profile, [f"run.seeds=[{seed}]"])
    stored = read_results(directory.results)
    if str(seed) not in stored.seeds:
        raise UserError(
            f"seed {seed} has no results", directory.name, f"Choose one of {', '.join(stored.seeds)} for --retrain."
        )
    with tempfile.TemporaryDirectory(prefix="flykd-verify-") as root:
        again = RunDirectory(Path(root) / directory.name)
        (again.path / "control").mkdir(parents=True)
        again.profile.write_text(dump_profile(profile))
        again.events.write_bytes(threads_of(directory, seed))
        command = [sys.executable, *WORKER, str(again.path), "--fresh"]
        done = subprocess.run(command, env=worker_environment(profile.engine.threads), capture_output=True, text=True)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            return Finding("retrained", False, f"training ended with exit code {done.returncode}: {last}")
        fresh = read_results(again.results).seeds[str(seed)]
        stages = [path.stem for path in sorted(again.seed(seed).glob("*.json"))]
        before = {stage: read_record(directory.record(seed, stage)) for stage in stages}
        after = {stage: read_record(again.record(seed, stage)) for stage in stages}
    metric = stored.headline
    worst, which = 0.0, ""
    for model, result in stored.seeds[str(seed)].items():
        was, now = result.test.value(metric), fresh[model].test.value(metric) if model in fresh else None
        if was is None or now is None:
            continue
        if abs(was - now) >= worst:
            worst, which = abs(was - now), model
    equal = [stage for stage, one in after.items() if one and _seal(before[stage]) == one.sha256]
    weights = f"weights of {len(equal)} of {len(stages)} stages are the same bytes"
    figures = f"the largest difference of test figures is {100 * worst:.4f} points ({which})"
    return Finding("retrained", worst <= 1e-4, f"seed {seed}: {weights}; {figures}")


def threads_of(directory: RunDirectory, seed: int) -> bytes:
    """Lines of a log from which training repeats how many threads each epoch of a seed had."""
    from flykd_console.runs.events import Epoch, Threads, encode
    from flykd_console.runs.log import EventFollower

    lines = []
    follower = EventFollower(directory.events)
    while events := follower.read(seconds=1.0):
        lines += [encode(event) for event in events if isinstance(event, Epoch | Threads) and event.seed == seed]
    return b"".join(lines)


def _seal(record: StageRecord | None) -> str:
    return record.sha256 if record is not None else ""
