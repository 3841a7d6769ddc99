"""Writing and following `events.jsonl`: append-only, one record per line, a torn last line cut off before appending."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from flykd_console.runs.events import AnyEvent, Event, decode, encode

_BLOCK = 1 << 18


class EventWriter:
    """Appends records; safe to share between threads. Each record reaches the file in one write."""

    def __init__(self, path: Path, cut: bool = True) -> None:
        # A second writer must not cut: the first may be in the middle of a line.
        if cut:
            cut_torn_line(path)
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        # A signal's handler may have to speak while the same thread writes.
        self._lock = threading.RLock()

    def write(self, *events: Event) -> None:
        """Append the records in order."""
        data = b"".join(map(encode, events))
        with self._lock:
            while data:
                data = data[os.write(self._handle, data) :]

    def write_last(self, *events: Event) -> None:
        """Append the records and keep every other thread from ever writing: the process is about to end."""
        self._lock.acquire()
        self.write(*events)

    def close(self) -> None:
        os.close(self._handle)


def cut_torn_line(path: Path) -> None:
    """Cut off a last line without a newline, which a killed writer leaves behind."""
    try:
        with open(path, "r+b") as file:
            end = file.seek(0, os.SEEK_END)
            position = end
            while position > 0:
                start = max(0, position - _BLOCK)
                file.seek(start)
                newline = file.read(position - start).rfind(b"\n")
                if newline >= 0:
                    if start + newline + 1 < end:
                        file.truncate(start + newline + 1)
                    return
                position = start
            file.truncate(0)
    except FileNotFoundError:
        return


class EventFollower:
    """Reads a growing log in bounded batches, never past the last complete line.

    Attributes:
        offset: Bytes consumed so far.
        skipped: Lines that held no readable record.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self.skipped = 0

    def read(self, seconds: float = 0.05) -> list[AnyEvent]:
        """The next records, at most about `seconds` of work; empty where nothing new is there.

        Raises:
            FileNotFoundError: The log is not there (not yet, or no more).
            NewerSchemaError: The log was written by a newer program.
        """
        events: list[AnyEvent] = []
        deadline = time.monotonic() + seconds
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            while True:
                block = file.read(_BLOCK)
                if block and b"\n" not in block:
                    block += file.readline()
                end = block.rfind(b"\n") + 1
                if end == 0:
                    return events
                for line in block[:end].splitlines():
                    event = decode(line)
                    if event is None:
                        self.skipped += 1
                    else:
                        events.append(event)
                self.offset += end
                file.seek(self.offset)
                if time.monotonic() > deadline:
                    return events

    @property
    def behind(self) -> int:
        """Bytes written and not read yet."""
        try:
            return max(0, self.path.stat().st_size - self.offset)
        except FileNotFoundError:
            return 0
