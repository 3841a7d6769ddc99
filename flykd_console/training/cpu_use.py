"""How busy the cores are that this process may run on, and how much of that is its own: read from /proc/stat."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
# Columns of a core's line: user, nice, system, idle, iowait, irq, softirq, steal; the last is what other guests took.
_IDLE = (3, 4)
_COLUMNS = 8


@dataclass(frozen=True)
class CpuUse:
    """Means over a span of seconds.

    Attributes:
        busy: Cores in use by anyone, among those that this process may run on; what a host takes away counts.
        own: Cores that this process uses.
    """

    busy: float
    own: float


class CpuUseReader:
    """Reads the use of the cores since its last reading.

    Args:
        stat: Where the kernel tells it.
    """

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat = stat
        self._tick = os.sysconf("SC_CLK_TCK")
        self.cores = len(os.sched_getaffinity(0))
        self.restart()

    def restart(self) -> None:
        """The next reading tells of the time from here on."""
        self._since, self._own, self._busy = time.monotonic(), time.process_time(), self._seconds()

    @property
    def elapsed(self) -> float:
        """Seconds since the last reading."""
        return time.monotonic() - self._since

    def read(self) -> CpuUse | None:
        """The use since the last reading; None where the kernel does not tell."""
        since, own, busy = self._since, self._own, self._busy
        self.restart()
        elapsed = self._since - since
        if busy is None or self._busy is None or elapsed <= 0.0:
            return None
        return CpuUse((self._busy - busy) / elapsed, (self._own - own) / elapsed)

    def _seconds(self) -> float | None:
        """Seconds in use of all cores together; None where they cannot be read."""
        allowed = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        total = 0
        found = False
        try:
            for line in self._stat.read_text().splitlines():
                name, *columns = line.split()
                if name not in allowed:
                    continue
                found = True
                ticks = [int(column) for column in columns[:_COLUMNS]]
                total += sum(ticks) - sum(ticks[column] for column in _IDLE)
        except (OSError, ValueError, IndexError):
            return None
        return total / self._tick if found else None
