"""Where events come from: a run's log as it grows, or a finished log replayed by its own clock. Neither blocks long."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import AnyEvent, NewerSchemaError
from flykd_console.runs.log import EventFollower

_LONGEST_GAP = 3.0


class Source(Protocol):
    """What the dashboard reads.

    Attributes:
        problem: Why nothing more can be read, in words; empty while all is well.
        behind: Bytes that wait to be read.
        skipped: Lines that held no readable record.
        replaying: Events come from the past; nobody obeys orders.
        over: A replay has come to its end.
        words: What a replay is called in the header; empty for a log that is followed.
    """

    problem: str
    replaying: bool

    @property
    def over(self) -> bool: ...

    @property
    def words(self) -> str: ...

    @property
    def behind(self) -> int: ...

    @property
    def skipped(self) -> int: ...

    def read(self, seconds: float) -> list[AnyEvent]:
        """The next events, at most about `seconds` of work."""
        ...

    def quiet_for(self) -> float:
        """Seconds since the log last grew."""
        ...


class LiveSource:
    """Follows `events.jsonl` of a run directory, which may be on a disk shared with the machine that trains."""

    replaying = False
    over = False
    words = ""

    def __init__(self, directory: RunDirectory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock
        self._follower = EventFollower(directory.events)
        self._grew = clock()
        with suppress(OSError):
            # An old log is quiet from the start, by the clock of the disk.
            self._grew = min(self._grew, directory.events.stat().st_mtime)
        self.problem = ""

    @property
    def behind(self) -> int:
        return self._follower.behind

    @property
    def skipped(self) -> int:
        return self._follower.skipped

    def read(self, seconds: float) -> list[AnyEvent]:
        before = self._follower.offset
        try:
            events = self._follower.read(seconds)
        except FileNotFoundError:
            self.problem = "" if self._directory.path.is_dir() else "vanished"
            if not self.problem and before:
                self.problem = "log vanished"
            return []
        except NewerSchemaError as error:
            self.problem = f"newer: {error.versions}"
            return []
        except OSError as error:
            self.problem = f"unreadable: {error.strerror or error}"
            return []
        self.problem = ""
        if self._follower.offset != before and self._caught_up_once:
            self._grew = self._clock()
        if not self._caught_up_once and self._follower.behind == 0:
            self._caught_up_once = True
        return events

    _caught_up_once = False

    def quiet_for(self) -> float:
        return max(0.0, self._clock() - self._grew)


class ReplaySource:
    """Hands out a log's events by their own times, `speed` times as fast; long silences are cut to three seconds."""

    replaying = True
    problem = ""

    def __init__(self, path: Path, speed: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._follower = EventFollower(path)
        self._speed, self._monotonic = speed, monotonic
        self._waiting: deque[AnyEvent] = deque()
        self._last_real: float | None = None
        self._now: float | None = None
        self._exhausted = False
        self.paused = False

    @property
    def behind(self) -> int:
        return 0

    @property
    def skipped(self) -> int:
        return self._follower.skipped

    @property
    def over(self) -> bool:
        return self._exhausted and not self._waiting

    @property
    def words(self) -> str:
        if self.over:
            return "end of the replay"
        return f"replay {self._speed:g}x" + (", held" if self.paused else "")

    def read(self, seconds: float) -> list[AnyEvent]:
        real = self._monotonic()
        passed = 0.0 if self._last_real is None or self.paused else (real - self._last_real) * self._speed
        self._last_real = real
        if len(self._waiting) < 2_000 and not self._exhausted:
            try:
                fresh = self._follower.read(seconds)
            except (OSError, NewerSchemaError) as error:
                self.problem = f"unreadable: {error}"
                fresh = []
            self._waiting.extend(fresh)
            self._exhausted = not fresh
        if not self._waiting:
            return []
        if self._now is None:
            self._now = self._waiting[0].t
        self._now += passed
        out: list[AnyEvent] = []
        while self._waiting:
            gap = self._waiting[0].t - self._now
            if gap > _LONGEST_GAP * self._speed:
                self._now = self._waiting[0].t - _LONGEST_GAP * self._speed
            if gap > 0:
                break
            out.append(self._waiting.popleft())
        return out

    def quiet_for(self) -> float:
        return 0.0
