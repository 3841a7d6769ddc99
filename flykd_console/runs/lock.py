"""The lock of a run; whether somebody trains it: by the lock here, by the age of its log on another machine.

A lock, and a process number, mean nothing across machines that share a disk: not every such disk shows the locks of
others. But a trainer writes what it uses every second, also while it is paused.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory

# A shared disk may show a file's growth a minute late.
SILENT_SECONDS = 90.0


def is_held(directory: RunDirectory) -> bool:
    """Whether a worker holds the run's lock on this machine."""
    try:
        handle = os.open(directory.lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        fcntl.flock(handle, fcntl.LOCK_UN)
        return False
    finally:
        os.close(handle)


@contextmanager
def held(directory: RunDirectory) -> Iterator[None]:
    """Hold the run as its only worker.

    Raises:
        UserError: Another worker holds it.
    """
    handle = os.open(directory.lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _locked_within(handle, seconds=1.0):
            raise UserError(
                "this run is being trained already", directory.name, f"Watch it: flykd-console watch {directory.name}"
            )
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n{socket.gethostname()}\n".encode())
        yield
    finally:
        os.close(handle)


def _locked_within(handle: int, seconds: float) -> bool:
    """Take the lock; those who only look at a run hold it for an instant, which is waited for."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def other_machine(directory: RunDirectory) -> str:
    """The machine that last trained the run, where it is not this one; empty where it is, or nobody knows."""
    try:
        lines = directory.lock.read_text(errors="replace").split("\n")
    except OSError:
        return ""
    host = lines[1].strip() if len(lines) > 1 else ""
    return "" if host == socket.gethostname() else host


def is_alive(directory: RunDirectory) -> bool:
    """Whether a worker holds the run here, or another machine, which had it last, has written of late.

    A run that has just ended on another machine still counts: what it said last is to be asked first.
    """
    if is_held(directory):
        return True
    if not other_machine(directory):
        return False
    try:
        return time.time() - directory.events.stat().st_mtime < SILENT_SECONDS
    except OSError:
        return False
