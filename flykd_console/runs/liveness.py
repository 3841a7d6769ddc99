"""Whether somebody trains a run: by its lock on this machine, by the age of its log where another machine trains it.

A lock, and a process number, mean nothing across machines that share a disk: not every such disk shows the locks of
others. But a trainer writes what it uses every second, also while it is paused.
"""

from __future__ import annotations

import socket
import time

from flykd_console.runs.directory import RunDirectory

# A shared disk may show a file's growth a minute late.
SILENT_SECONDS = 90.0


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
    if directory.is_running():
        return True
    if not other_machine(directory):
        return False
    try:
        return time.time() - directory.events.stat().st_mtime < SILENT_SECONDS
    except OSError:
        return False
