"""The lock of a run; whether somebody trains it: by the lock here, by the age of its log on another machine.

A lock, and a process number, mean nothing across machines that share a disk: not every such disk shows the locks of
others. But a trainer writes what it uses every second, also while it is paused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import open_own, write_all

# A shared disk may show a file's growth a minute late.
SILENT_SECONDS = 90.0
# What flock says on a disk without locks (some NFS and Lustre).
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_TAIL = 1 << 14
_LAST_WORDS = (b'"kind":"run.finished"', b'"kind":"run.failed"')


def is_held(directory: RunDirectory) -> bool:
    """Whether a worker holds the run's lock on this machine."""
    try:
        handle = os.open(directory.lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return _owner_lives(directory)
    else:
        fcntl.flock(handle, fcntl.LOCK_UN)
        return False
    finally:
        os.close(handle)


@contextmanager
def held(directory: RunDirectory) -> Iterator[bool]:
    """Hold the run as its only worker; False where the disk knows no locks and only the owner's name protects it.

    Raises:
        UserError: Another worker holds it, or the lock cannot be written.
    """
    try:
        handle = open_own(directory.lock, os.O_RDWR)
    except OSError as error:
        raise UserError(
            f"the run cannot be locked ({error.strerror})",
            str(directory.lock),
            "Check the disk and who may write there.",
        ) from None
    try:
        locked = _locked_within(handle, seconds=1.0)
        owned_here = locked is None and _owner_lives(directory)
        if locked is False or owned_here or _written_elsewhere(directory):
            pid, host = _owner(directory)
            who = f", by process {pid} on {host}" if host else ""
            raise UserError(
                f"this run is being trained already{who}",
                directory.name,
                f"Watch it: flykd-console watch {directory.name}",
            )
        try:
            os.ftruncate(handle, 0)
            write_all(handle, f"{os.getpid()}\n{socket.gethostname()}\n{_started(os.getpid())}\n".encode())
        except OSError as error:
            raise UserError(
                f"the run cannot be locked ({error.strerror})", str(directory.lock), "Check the disk, then try again."
            ) from None
        yield locked is not None
    finally:
        os.close(handle)


def _locked_within(handle: int, seconds: float) -> bool | None:
    """Take the lock; those who only look at a run hold it for an instant, which is waited for.

    Returns:
        False: somebody else has it; None: the disk knows no locks.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return None
            raise
        else:
            return True


def _owner(directory: RunDirectory) -> tuple[int, str]:
    """Process and host that the lock names; 0 and nothing where it names none."""
    lines = _lines(directory)
    pid = int(lines[0]) if lines[0].isdecimal() and len(lines[0]) < 10 else 0
    return pid, lines[1].strip()


def _owner_lives(directory: RunDirectory) -> bool:
    """Whether the process that the lock names lives on this machine: by its number and its start."""
    pid, host = _owner(directory)
    if not pid or host != socket.gethostname() or pid == os.getpid():
        return False
    started = _started(pid)
    return bool(started) and started == _lines(directory)[2].strip()


def _written_elsewhere(directory: RunDirectory) -> bool:
    """Whether another machine has the run and has written of late without a last word."""
    if not other_machine(directory):
        return False
    try:
        recent = time.time() - directory.events.stat().st_mtime < SILENT_SECONDS
        with open(directory.events, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            over = any(mark in file.read() for mark in _LAST_WORDS)
    except OSError:
        return False
    return recent and not over


def _started(pid: int) -> str:
    """When a process of this machine began, in ticks since it was booted; empty where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def _lines(directory: RunDirectory) -> list[str]:
    """The lock's three lines, empty where they are missing."""
    try:
        lines = directory.lock.read_text(errors="replace")[:1000].split("\n")
    except OSError:
        lines = []
    return [*lines, "", "", ""][:3]


def other_machine(directory: RunDirectory) -> str:
    """The machine that last trained the run, where it is not this one; empty where it is, or nobody knows."""
    host = _owner(directory)[1]
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
