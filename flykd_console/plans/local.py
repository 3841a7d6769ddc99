"""Jobs side by side on this machine: each in a process of its own, on one thread, and on a GPU of its own.

A job that fails sinks no other. Jobs that share their teachers wait until the first of them has trained those.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from flykd_console.plans.job import Job
from flykd_console.plans.machine import environment_of
from flykd_console.runs.lock import is_held
from flykd_console.runs.spawn import spawn_worker
from flykd_console.runs.status import status_of

_POLL_SECONDS = 0.1
_FORCE_SECONDS = 5.0


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        state: As `runs.status` says: `finished`, `stopped`, `failed` or `died`; `elsewhere` where another process has
            it; `waiting` where it was not begun.
        error: What went wrong, in words; empty where nothing did.
        reused: It was finished before.
    """

    job: Job
    state: str
    error: str = ""
    reused: bool = False


@dataclass
class _Running:
    job: Job
    slot: int
    process: subprocess.Popen[bytes]


@dataclass
class _Stop:
    """Whether a stop was asked for, and whether a second one was."""

    presses: int = 0
    running: list[_Running] = field(default_factory=list)


def is_finished(job: Job) -> bool:
    """Whether a job is done, and needs no training."""
    return job.directory.results.is_file() and status_of(job.directory).state == "finished"


def unfinished(jobs: Sequence[Job], over: Callable[[Job, Outcome], None]) -> list[Job]:
    """Make the jobs' runs; those that need training, while `over` hears of the others.

    Raises:
        UserError: A run's folder cannot be made.
    """
    waiting: list[Job] = []
    for job in jobs:
        job.prepare()
        if is_finished(job):
            over(job, Outcome(job, "finished", reused=True))
        else:
            waiting.append(job)
    return waiting


def carry_out(
    jobs: Sequence[Job],
    *,
    at_once: int,
    gpus: Sequence[str] = (),
    fresh: bool = False,
    on_start: Callable[[Job], None] = lambda job: None,
    on_end: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Bring every job to its end; the outcomes in the order of the jobs.

    Ctrl-C and SIGTERM stop what is in training, with checkpoints; the second one ends it at once.

    Args:
        at_once: How many are in training at a time.
        gpus: What is shared out over them; none: they see what this process sees.
        fresh: Take nothing over from other runs.
        on_start: Hears of each job as it begins; `on_end` how it ended.

    Raises:
        UserError: A run's folder cannot be made.
    """
    outcomes: dict[int, Outcome] = {}

    def over(job: Job, outcome: Outcome) -> None:
        outcomes[id(job)] = outcome
        on_end(outcome)

    waiting = unfinished(jobs, over)
    with _stops() as stop:
        while waiting or stop.running:
            for done in [one for one in stop.running if one.process.poll() is not None]:
                stop.running.remove(done)
                over(done.job, outcome_of(done.job, done.process.returncode))
            if stop.presses and waiting:
                for job in waiting:
                    over(job, Outcome(job, "waiting"))
                waiting = []
            while len(stop.running) < at_once and not stop.presses:
                ready = _next(waiting, stop.running)
                if ready is None:
                    break
                waiting.remove(ready)
                if is_held(ready.directory):
                    over(ready, Outcome(ready, "elsewhere"))
                    continue
                slot = _free_slot(stop.running, at_once)
                threads = 1 if at_once > 1 else ready.profile.engine.threads
                process = spawn_worker(
                    ready.directory, threads=threads, fresh=fresh, environment=environment_of(slot, gpus)
                )
                stop.running.append(_Running(ready, slot, process))
                on_start(ready)
            time.sleep(_POLL_SECONDS)
    return [outcomes[id(job)] for job in jobs]


def _next(waiting: Sequence[Job], running: Sequence[_Running]) -> Job | None:
    """The first job whose teachers nobody is training at the moment."""
    busy = {one.job.teaches for one in running if not all(file.is_file() for file in one.job.teacher_files)}
    return next((job for job in waiting if not job.teaches or job.teaches not in busy), None)


def _free_slot(running: Sequence[_Running], at_once: int) -> int:
    taken = {one.slot for one in running}
    return next(slot for slot in range(at_once) if slot not in taken)


def outcome_of(job: Job, code: int) -> Outcome:
    """What became of a job whose process has ended."""
    try:
        status = status_of(job.directory)
    except OSError as error:
        return Outcome(job, "failed", f"its log cannot be read ({error.strerror})")
    if status.state in ("finished", "stopped"):
        return Outcome(job, status.state)
    if status.state == "failed":
        return Outcome(job, "failed", status.error)
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Outcome(job, "died", f"its process ended without a last word ({how}); see {job.directory.worker_log}")


@contextmanager
def _stops() -> Iterator[_Stop]:
    """Ctrl-C or SIGTERM orders a stop of what is in training, with checkpoints; the second one ends it at once."""
    stop = _Stop()

    def press(number: int, frame: FrameType | None) -> None:
        stop.presses += 1
        for one in stop.running:
            with suppress(OSError):
                one.job.directory.order("stop" if stop.presses == 1 else "abort")
        if stop.presses == 1:
            # Not print: a handler may run in the middle of one.
            os.write(2, b"\nStopping after this epoch, with checkpoints. Ctrl-C again ends it at once.\n")

    # Only the main thread hears signals; a program that calls from another one sees to its own.
    heard = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, press) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for one in stop.running:  # an error in here leaves nobody behind
            one.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                one.process.wait(_FORCE_SECONDS)
