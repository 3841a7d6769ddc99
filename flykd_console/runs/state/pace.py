"""How fast epochs are now, and how much slower than at its best the machine is: what rate and time to go follow.

The present pace is that of a window of seconds, not of epochs: three seconds of training are enough to tell it, and
what lies further back does not linger. How slow the machine is follows from the same kind of stage at different times,
and is carried from stage to stage: with it every measured second is made one of the same machine.
"""

from __future__ import annotations

from collections import deque

WINDOW = 3.0
"""Seconds of training that tell the present pace; an epoch that takes longer tells it alone."""
_SETTLES = 2.0 * WINDOW
_ALIKE = 1.5
_ENOUGH = 3
# Per cent of a core that other processes use: below the first they slow nothing down, from the second on it is they.
_IDLE, _BUSY = 25.0, 50.0


class Machine:
    """How slow the machine is, in units of what it was when the run began.

    Within a kind of stage the pace is compared with that kind's own before; a difference of less than half is the
    stage's (a curriculum, a refreshed graph), and so is one while no other process uses the machine.

    Attributes:
        slow: What an epoch takes now as a multiple of the unit.
        best: The least that it was.
    """

    def __init__(self) -> None:
        self.slow = 1.0
        self.best = 1.0
        self._before = 1.0
        self._unsettled_until: float | None = None

    def follow(self, t: float, present: float, usual: float, others: float | None) -> float | None:
        """Take the present pace of a kind; a new usual pace of it where the stage itself has changed.

        Args:
            t: Now, Unix seconds.
            present: Seconds an epoch now.
            usual: The kind's, in the unit.
            others: CPU that other processes use, per cent of a core; None where nobody says it.
        """
        found = present / usual
        alike = 1.0 / _ALIKE < found / self.slow < _ALIKE
        if self._unsettled_until is None and alike:
            return None
        if self._unsettled_until is None:
            self._before = self.slow
        if not alike:
            self._unsettled_until = t + _SETTLES
        self.slow = found
        if self._unsettled_until is not None and t >= self._unsettled_until:
            self._unsettled_until = None
            if self.slow > _ALIKE * self._before and others is not None and others < _IDLE:
                self.slow = self._before
                return present / self.slow
            self.best = min(self.best, self.slow)
        return None

    def is_usual(self, seconds: float, usual: float) -> bool:
        """Whether an epoch tells the usual pace of its kind: the machine is as it was for some seconds."""
        return self._unsettled_until is None and 1.0 / _ALIKE < seconds / (usual * self.slow) < _ALIKE

    def new_stage(self) -> None:
        """What was going on ends with the stage."""
        self._unsettled_until = None
        self.best = min(self.best, self.slow)

    @property
    def slowdown(self) -> float:
        """How many times slower it is than at its best; 1 where the difference is no more than stages have."""
        found = self.slow / min(self.best, self.slow)
        return found if found >= _ALIKE else 1.0

    def words(self, others: float | None) -> str:
        """That training is slower than it was, by how much, and whether others use the machine; else empty."""
        slowdown = self.slowdown
        if slowdown < _ALIKE:
            return ""
        much = f"{slowdown:.{1 if slowdown < 10 else 0}f} times slower"
        return f"machine busy, {much}" if others is not None and others >= _BUSY else f"{much} than before"


class PresentPace:
    """The newest epochs of the stage in training."""

    def __init__(self) -> None:
        self._newest: deque[tuple[float, int]] = deque()
        self._seconds = 0.0
        self._epochs = 0
        self._last_t: float | None = None
        self._longest_gap = 0.0
        self._evaluated = False

    def clear(self) -> None:
        """A stage begins, or training was interrupted."""
        self._newest.clear()
        self._seconds, self._epochs = 0.0, 0
        self._last_t = None

    def evaluated(self, t: float) -> None:
        """An evaluation ended: what passed since the last epoch was no training."""
        if self._last_t is not None:
            self._longest_gap = max(self._longest_gap, t - self._last_t)
            self._last_t = t
            self._evaluated = True

    def paused(self, t: float) -> None:
        """A pause began or ended: what passed says nothing."""
        if self._last_t is not None:
            self._last_t = t

    def add(self, t: float, seconds: float, epochs: int) -> None:
        """Take epochs that ended at a time, of so many seconds each, above 0."""
        if self._last_t is not None:
            self._longest_gap = max(self._longest_gap, t - self._last_t - epochs * seconds)
        self._last_t = t
        self._newest.append((seconds, epochs))
        self._seconds += seconds * epochs
        self._epochs += epochs
        while len(self._newest) > 1:
            oldest, count = self._newest[0]
            if self._seconds - oldest * count < WINDOW:
                break
            self._newest.popleft()
            self._seconds -= oldest * count
            self._epochs -= count

    def quick(self) -> float | None:
        """Seconds of an epoch by the quicker of the newest; None before the third."""
        if len(self._newest) < _ENOUGH:
            return None
        return sorted(seconds for seconds, _ in self._newest)[(len(self._newest) - 1) // 3]

    def restart(self, seconds: float) -> None:
        """Forget the first epochs of a stage, which are slower than those to come; one takes so long from here on."""
        self._newest.clear()
        self._newest.append((seconds, 1))
        self._seconds, self._epochs = seconds, 1

    def seconds_an_epoch(self, now: float | None) -> float | None:
        """Seconds an epoch takes at present; None before the first.

        An epoch that is not over and has taken longer than that, and than twice the longest evaluation so far, counts
        as it is. Before the first evaluation it may as well be that.
        """
        if not self._epochs:
            return None
        told = self._seconds / self._epochs
        if now is None or self._last_t is None or not self._evaluated:
            return told
        return max(told, now - self._last_t - 2.0 * self._longest_gap)
