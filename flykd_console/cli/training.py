"""From prepared run directories to their results: start the worker, show it, pass on Ctrl-C, say how it ended."""

from __future__ import annotations

import gc
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from rich.text import Text

from flykd_console.cli.batch import cause, complain, conclude_batch
from flykd_console.cli.console import PlainConsole, say
from flykd_console.cli.plain import follow_plain
from flykd_console.cli.tables import classes_table, ranking_table, relations_table, results_table
from flykd_console.errors import UserError
from flykd_console.profile.load import load_profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.find import runs_root
from flykd_console.runs.models import trains_nothing
from flykd_console.runs.results import read_results
from flykd_console.runs.spawn import spawn_worker
from flykd_console.runs.status import RunStatus, status_of

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
_FORCE_SECONDS = 5.0
_LAST_WORDS_SECONDS = 15.0


def train(
    batch: Sequence[RunDirectory],
    *,
    new: bool,
    fresh: bool,
    headless: bool,
    json: bool,
    max_hours: float | None = None,
) -> int:
    """Train runs one after another in one process, and follow them.

    Args:
        batch: Runs with their resolved profiles; most often one.
        new: The directories were made for this, and one goes again where the user's mistake lets nothing be trained.
        fresh: Reuse no finished stage of runs outside the batch.
        headless: Plain lines also on a terminal.
        json: The events themselves on standard output, and nothing else.
        max_hours: Stop with a checkpoint after so many hours; None: never.

    Returns:
        The exit code: 0 finished or left going; 1 one failed; 2 one of several met a mistake of the user's; 130 stopped
        by order, 128 + n by signal n.

    Raises:
        UserError: The worker found a mistake of the user's in the only run.
    """
    first = batch[0]
    # How many threads a process has is settled at its start.
    threads = max(load_profile(directory.profile).engine.threads for directory in batch)
    told = first.events.stat().st_size if first.events.exists() else 0
    worker = spawn_worker(first, then=batch[1:], threads=threads, fresh=fresh, max_hours=max_hours)
    number = 0
    if headless or not _on_terminal() or not _dashboard(first, worker):
        number = _follow(batch, worker, json, told)
    if not _has_begun(first, told):
        # What the log says is of an earlier start, and nothing about this one.
        if worker.poll() == 2:
            raise UserError(_last_line(first))
        return _conclude(first, worker, RunStatus(state="died", updated=0.0), new=new, quiet=json)
    if len(batch) > 1:
        return conclude_batch(batch, worker, quiet=json) or _stop_code(worker, number)
    status = status_of(first)
    if status.state in ("finished", "stopped", "failed"):
        with suppress(subprocess.TimeoutExpired):
            worker.wait(_LAST_WORDS_SECONDS)
    code = _conclude(first, worker, status, new=new, quiet=json)
    return code or _stop_code(worker, number)


def _stop_code(worker: subprocess.Popen[bytes], number: int) -> int:
    """The exit code of a run that did not fail: that of its stop, by the signal that came here or there; 0 without."""
    code = worker.poll()
    if code is None or code <= 128:
        return 0
    return 128 + number if number else code


def _last_line(directory: RunDirectory) -> str:
    """What a training process said that never began with the run."""
    try:
        lines = directory.worker_log.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else f"training did not begin; see {directory.worker_log}"


def _has_begun(directory: RunDirectory, told: int) -> bool:
    """Whether the log has grown past what it held before the worker was started."""
    return directory.events.exists() and directory.events.stat().st_size > told


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _dashboard(directory: RunDirectory, worker: subprocess.Popen[bytes]) -> bool:
    """Show the dashboard until it is left; False where it cannot be imported."""
    # Until the first frame is on the screen, which comes a sixth sooner so; the dashboard enables it again.
    gc.disable()
    try:
        from flykd_console.dashboard.app import run_dashboard
    except ImportError as error:
        gc.enable()
        say(f"The dashboard cannot start ({error}); plain lines follow.", err=True)
        return False
    run_dashboard(directory, worker=worker)
    return True


def _follow(batch: Sequence[RunDirectory], worker: subprocess.Popen[bytes], json: bool, offset: int) -> int:
    """Show plain lines; the signal that ordered a stop, 0 without one."""
    with _interrupts(batch[0]) as presses:
        for directory in batch:
            presses.aim(directory)
            try:
                outcome = follow_plain(
                    directory,
                    sys.stdout,
                    worker=worker,
                    json=json,
                    offset=offset if directory is batch[0] else 0,
                    leave=lambda: presses.count > 1,
                    tell_failure=len(batch) > 1,
                )
            except BrokenPipeError:
                again = f"flykd-console watch {directory.name}"
                print(f"Nobody reads on; training goes on. Watch it: {again}", file=sys.stderr)
                raise
            if outcome not in ("finished", "failed"):
                break
    if presses.count > 1 and worker.poll() is None:
        _force(worker, presses.directory)
    return presses.number


@dataclass
class _Presses:
    """How often Ctrl-C was pressed, and the run that the first one stops."""

    directory: RunDirectory
    count: int = 0
    number: int = 0

    def aim(self, directory: RunDirectory) -> None:
        """Follow another run; a stop that came too late for the one before is meant for it."""
        self.directory = directory
        if self.count:
            directory.order("stop")


@contextmanager
def _interrupts(directory: RunDirectory) -> Iterator[_Presses]:
    """Ctrl-C, SIGTERM, SIGHUP or SIGUSR1 orders a stop; a second one is left to the caller."""
    presses = _Presses(directory)

    def press(number: int, frame: FrameType | None) -> None:
        if presses.count and number == signal.SIGUSR1:
            return  # a reminder; it forces nothing
        presses.count += 1
        presses.number = presses.number or number
        if presses.count == 1:
            presses.directory.order("stop")
            # Not print: a handler may run in the middle of one.
            with suppress(OSError):  # the terminal may be what hung up
                os.write(2, b"\nStopping after this epoch, with a checkpoint. Ctrl-C again ends it at once.\n")

    before = {number: signal.signal(number, press) for number in _STOPPING}
    try:
        yield presses
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _force(worker: subprocess.Popen[bytes], directory: RunDirectory) -> None:
    """Have the worker end at once, which it notes in the log; kill it where it does not listen."""
    with suppress(OSError):
        directory.order("abort")
    try:
        worker.wait(_FORCE_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _conclude(
    directory: RunDirectory, worker: subprocess.Popen[bytes], status: RunStatus, *, new: bool, quiet: bool
) -> int:
    console = PlainConsole(file=sys.stderr if quiet else sys.stdout, soft_wrap=True)
    name = directory.name
    if status.state == "finished":
        if not quiet:
            _show_results(directory)
        return 0
    if status.state == "stopped":
        how = ", with a checkpoint. Go on" if status.saved else " at once. Go on from the last checkpoint"
        console.print(Text.assemble(f"Stopped{how}: ", (f"flykd-console run --resume {name}", "bold")))
        return 0
    if status.state == "failed":
        if not status.traceback:
            _user_mistake(directory, status, new)
        complain(f"The run failed: {status.error}. The whole story: {directory.worker_log}")
        return 1
    if worker.poll() is None:
        console.print("Training goes on without this window.")
        console.print(Text.assemble("  watch it  ", (f"flykd-console watch {name}", "bold")))
        console.print(Text.assemble("  stop it   ", (f"flykd-console runs stop {name}", "bold")))
        return 0
    again = f" Go on from the last checkpoint: flykd-console run --resume {name}" if status.stage else ""
    complain(f"Training ended {cause(worker.returncode)}. Its output: {directory.worker_log}.{again}")
    return 1


def _user_mistake(directory: RunDirectory, status: RunStatus, new: bool) -> NoReturn:
    if new and status.stage is None:
        shutil.rmtree(directory.path, ignore_errors=True)
        with suppress(OSError):
            runs_root().rmdir()  # only where it is empty
    raise UserError(status.error)


def _show_results(directory: RunDirectory) -> None:
    results = read_results(directory.results)
    console = PlainConsole()
    console.print()
    console.print(results_table(results))
    console.print()
    classes = classes_table(results)
    # Here and not above: what compares runs is imported for it.
    from flykd_console.cli.robustness_tables import robustness_table

    for table in (classes, robustness_table(results), relations_table(results), ranking_table(results)):
        if table is not None:
            console.print(table)
            console.print()
    measured = [model for models in results.seeds.values() for model in models.values()]
    relations = [name for model in measured for name in model.test.relations or model.validation.relations]
    relation = "indication" if "indication" in relations else next(iter(relations), "RELATION")
    bundle = shlex.quote(os.path.relpath(directory.export))
    if classes is not None:
        steps = {
            f"flykd-console export {directory.name}": "write and verify the bundle (encoders in ONNX, answers in HDF5)",
            f"flykd-console score {bundle} --samples 0-9": "tell classes with it",
            f"flykd-console report {directory.name}": "write gains, curves, agreement and calibration as one HTML file",
            f"flykd-console watch {directory.name}": "look at the curves again; d looks samples up",
        }
        _show_steps(console, steps)
        return
    steps = {
        f"flykd-console export {directory.name}": "write and verify the bundle (HDF5 and ONNX)",
        f"flykd-console score {bundle} --disease NAME --relation {shlex.quote(relation)}": "rank drugs with it",
        f"flykd-console watch {directory.name}": "look at the curves again",
    }
    if trains_nothing(results.models):
        steps = {f"flykd-console compare {directory.name} RUN": "hold a trained run of the same split against it"}
    if any(model.test.relations for model in measured):
        steps[f"flykd-console report {directory.name}"] = "write curves, intervals and provenance as one HTML file"
    _show_steps(console, steps)


def _show_steps(console: PlainConsole, steps: Mapping[str, str]) -> None:
    """Commands that may come next, and what each is for."""
    console.print("Next")
    for step, purpose in steps.items():
        console.print(f"  {step}", style="bold", markup=False, soft_wrap=True)
        console.print(f"      {purpose}", markup=False)
