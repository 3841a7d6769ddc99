"""The training process: its signals, its output, its exit code; each run is `training.run`'s.

    python -m flykd_console.training.worker RUN_DIR [RUN_DIR...] [--fresh]

Several runs are trained one after another: one that fails does not keep the next from being trained, a stop leaves the
rest waiting. Exit code 0: finished; 1: one failed; 2: something the user can mend; 130: stopped by order, with a
checkpoint or at once; 128 + n: stopped by signal n, with a checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flykd_console.distill.curriculum import Curriculum
from flykd_console.errors import DivergedError, UserError
from flykd_console.profile.load import load_profile
from flykd_console.profile.models import entries_of, method_of, planned_stages
from flykd_console.profile.schema import Profile
from flykd_console.relation_names import relation_of
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import GraphFacts, Log, RunFailed, RunFinished, RunStarted
from flykd_console.runs.files import open_own, refuse_links, remove_leftovers
from flykd_console.runs.lock import held
from flykd_console.runs.log import EventFollower, EventWriter
from flykd_console.runs.stage import Phase
from flykd_console.runs.status import status_of
from flykd_console.training.mishaps import told as told_as
from flykd_console.training.orders import Orders, StopRequestedError, StopSignals

_NO_LOCKS = "this disk knows no locks: a second training process is refused on this machine only; start none elsewhere"


def main(arguments: list[str] | None = None) -> int:
    """Entry of the process; the exit code."""
    parser = argparse.ArgumentParser(prog="flykd_console.training.worker")
    parser.add_argument("runs", type=Path, nargs="+", metavar="run")
    parser.add_argument("--max-hours", type=float, metavar="H", help="stop with a checkpoint after so many hours")
    parser.add_argument("--fresh", action="store_true", help="take nothing over from other runs")
    options = parser.parse_args(arguments)
    batch = [RunDirectory(path.absolute()) for path in options.runs]
    codes = []
    stop = StopSignals(None if options.max_hours is None else 3600.0 * options.max_hours)
    with stop.caught():
        for number, directory in enumerate(batch):
            with _output_to(directory.worker_log if number else None):
                codes.append(_locked_run(directory, options.fresh, stop, in_batch=len(batch) > 1))
            if _is_stopped(directory, stop):
                # Runs that are left waiting are not done.
                codes += [stop.code] if number + 1 < len(batch) else []
                break
    return next((code for code in (1, 2) if code in codes), max(codes))


def _is_stopped(directory: RunDirectory, stop: StopSignals) -> bool:
    """Whether the batch ends here; a stop that came too late for the run is meant for what follows."""
    for order in ("stop", "abort"):
        if directory.order_file(order).exists():
            directory.withdraw(order)
            stop.asked = True
    return stop.asked


def _locked_run(directory: RunDirectory, fresh: bool, stop: StopSignals, in_batch: bool) -> int:
    if in_batch and not directory.profile.is_file():
        print(f"{directory.name} is not there any more; the next run follows.", file=sys.stderr)
        return 0
    try:
        refuse_links(directory.path)
        with held(directory) as locked:
            remove_leftovers(directory.path)
            if in_batch and status_of(directory).state == "finished":
                return 0
            return _run(directory, fresh, stop, locked)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        # Before the run's first word, or at its last one.
        mishap = told_as(error, directory)
        if mishap is None:
            raise
        print(mishap, file=sys.stderr)
        return 2


@contextmanager
def _output_to(path: Path | None) -> Iterator[None]:
    """Send what is printed, also by libraries, to the end of a file; None leaves it where it goes."""
    if path is None or not path.parent.is_dir():
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    target = open_own(path, os.O_WRONLY | os.O_APPEND)
    try:
        for number in kept:
            os.dup2(target, number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, before in kept.items():
            os.dup2(before, number)
            os.close(before)
        os.close(target)


def _run(directory: RunDirectory, fresh: bool, stop: StopSignals, locked: bool) -> int:
    resumed = directory.events.exists() and directory.events.stat().st_size > 0
    # The run's own clock: what earlier starts took counts too.
    began = time.time() - _seconds_before(directory)
    events = EventWriter(directory.events)
    orders = Orders(directory, events, stop, began)
    try:
        with orders.open(), _forwarded_warnings(events):
            profile = load_profile(directory.profile)
            events.write(_first_event(directory, profile, resumed))
            if not locked:
                events.write(Log(level="warning", message=_NO_LOCKS))
            # Only now: torch takes seconds to import, and whoever watches has something to look at already.
            from flykd_console.training.run import train_run

            train_run(directory, profile, events, orders, fresh, began)
    except StopRequestedError:
        if stop.late:
            events.write(Log(level="info", message="The hours that the run was given are over"))
        events.write(RunFinished(outcome="stopped", seconds=time.time() - began))
        return stop.code
    except UserError as error:
        print(error, file=sys.stderr)
        events.write(RunFailed(error=str(error)))
        return 2
    except BaseException as error:
        mishap = told_as(error, directory)
        if mishap is not None:
            # The log may be on the disk that is full; the line in it then comes second.
            print(mishap, file=sys.stderr)
            with suppress(OSError):
                events.write(RunFailed(error=str(mishap)))
            return 2
        traceback.print_exc()
        told = str(error) if isinstance(error, DivergedError) else f"{type(error).__name__}: {error}"
        events.write(RunFailed(error=told, traceback=traceback.format_exc()))
        return 1
    finally:
        events.close()
    return 0


def _seconds_before(directory: RunDirectory) -> float:
    """Seconds between the first and the last word of every earlier start of the run, together."""
    total = started = last = 0.0
    try:
        follower = EventFollower(directory.events)
        while events := follower.read(seconds=1.0):
            for event in events:
                if isinstance(event, RunStarted):
                    total, started = total + last - started, event.t
                last = event.t
    except FileNotFoundError:
        return 0.0
    if not started:
        return 0.0
    return total + last - started


def _first_event(directory: RunDirectory, profile: Profile, resumed: bool) -> RunStarted:
    # Written before torch is imported, so that whoever watches has something to show at once.
    return RunStarted(
        run=directory.name,
        name=profile.run.name,
        method=method_of(profile),
        seeds=profile.run.seeds,
        # How many steps pretraining takes depends on the graph: `run.prepared` tells.
        stages=planned_stages(profile, dict.fromkeys(profile.run.seeds, min(1, profile.pretrain.epochs))),
        device=profile.run.device,
        graph=GraphFacts(source=profile.source, targets=[relation_of(target) for target in profile.targets]),
        teacher_dim=profile.teacher.dim,
        student_dim=profile.student.dim,
        teacher_layers=profile.teacher.layers,
        student_layers=profile.student.layers,
        teacher_kind=profile.teacher.kind,
        student_kind=profile.student.kind,
        models=entries_of(profile),
        headline=profile.headline,
        schedule=_planned_schedule(profile),
        pid=os.getpid(),
        host=socket.gethostname(),
        resumed=resumed,
    )


def _planned_schedule(profile: Profile) -> dict[str, list[tuple[float, float]]] | None:
    """The curriculum of a profile's students of links; None where it has none."""
    stages = planned_stages(profile, dict.fromkeys(profile.run.seeds, 0))
    if profile.classifies or not any(stage.phase is Phase.DISTILL for stage in stages):
        return None
    settings = profile.distill
    return Curriculum(settings.curriculum, tuple(settings.sources), settings.epochs).schedule()


@contextmanager
def _forwarded_warnings(events: EventWriter) -> Iterator[None]:
    """Library warnings become lines of the run's log."""

    class ToEvents(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines = record.getMessage().strip().splitlines()
            events.write(Log(level="warning", message=lines[0] if lines else ""))

    handler = ToEvents(level=logging.WARNING)
    logging.captureWarnings(True)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        logging.captureWarnings(False)


if __name__ == "__main__":
    sys.exit(main())
