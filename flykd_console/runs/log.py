"""Writing and following `events.jsonl`: append-only, one record per line, a torn last line cut off before appending."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from flykd_console.runs.events import AnyEvent, Event, decode, encode
from flykd_console.runs.files import open_own, write_all

_BLOCK = 1 << 18
# No record is as long as this; what is longer is passed over without being held.
_LONGEST_LINE = 1 << 25


class EventWriter:
    """Appends records; safe to share between threads. Each record reaches the file in one write.

    Raises:
        UserError: The log's name is a symbolic link, or no ordinary file.
    """

    def __init__(self, path: Path, cut: bool = True) -> None:
        # A second writer must not cut: the first may be in the middle of a line.
        if cut:
            cut_torn_line(path)
        self._handle = open_own(path, os.O_WRONLY | os.O_APPEND)
        self._torn = False
        # A signal's handler may have to speak while the same thread writes.
        self._lock = threading.RLock()

    def write(self, *events: Event) -> None:
        """Append the records in order."""
        data = b"".join(map(encode, events))
        with self._lock:
            if self._torn:  # a full disk took half of a line: it is to spoil no other
                data = b"\n" + data
            self._torn = True
            write_all(self._handle, data)
            self._torn = False

    def write_last(self, *events: Event) -> None:
        """Append the records and keep every other thread from ever writing: the process is about to end."""
        self._lock.acquire()
        self.write(*events)

    def close(self) -> None:
        os.close(self._handle)


def cut_torn_line(path: Path) -> None:
    """Cut off a last line without a newline, which a killed writer leaves behind."""
    try:
        if path.is_symlink():
            return  # whoever writes on refuses it
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
                if len(block) == _BLOCK and b"\n" not in block:
                    block += file.readline(_LONGEST_LINE)
                    if b"\n" not in block and len(block) >= _LONGEST_LINE:
                        self.offset += len(block)
                        self.skipped += 1
                        continue
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
