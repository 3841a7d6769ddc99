"""How many threads an epoch is worth on a machine that others use too: chosen by epochs' own times and by free cores.

OpenMP's threads wait for each other many times an epoch, spinning. One that has lost its core holds up all others, so
that a single busy process makes several threads many times slower than one. Nothing here measures or applies anything:
a choice is fed with times and says a number, so that it can be tried on a simulated machine.

A change is a trial first: free cores, or epochs that have grown slow, say when to try and how many; what is quicker by
the clock stays.
"""

from __future__ import annotations

import math
import statistics
from collections import deque

# Cores that must be missing, or free, before a change is tried; between the two nothing happens.
_MISSING, _FREE = 0.5, 0.7
# An epoch that takes so much longer than the best of its stage has lost something to somebody: waiting for a thread
# without a core costs tenfold and more, while what a curriculum or a pause of the disk adds is no reason to try.
_SLOW = 3.0
# What a trial's epochs may take of those before it to be kept: fewer threads must be quicker, more must not be slower.
_KEPT = {"fewer": 0.97, "more": 1.02}
# Fewer threads that take about as long as more did still wait for somebody: fewer yet are tried.
_AS_SLOW = 1.25
# A trial ends at an epoch that is so much slower.
_HOPELESS = 3.0
# Epochs, or seconds, that tell a pace.
_EPOCHS, _SECONDS = 4, 1.0
# Seconds until what has failed is tried again: twice as many each time.
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 40.0
# Seconds without any word on free cores after which more threads are tried unasked.
_BLIND = 8.0


def free_cores(cores: int, busy: float, own: float, threads: int) -> float:
    """Cores that other processes leave to this one.

    Args:
        cores: That this process may run on.
        busy: How many of them are in use, by anyone.
        own: How many of them this process uses.
        threads: Of this process, spinning where they wait.
    """
    others = max(0.0, busy - own)
    if busy > 0.95 * cores and own > 0.0:
        # Each runnable thread has the same share of what is there; with more room others would take more.
        others = max(others, others * threads / own)
    return max(0.0, cores - others)


def threads_for(room: float, most: int) -> int:
    """Threads that have a core each where so many cores are free, 1 to `most`."""
    return max(1, min(most, int(room + 1.0 - _FREE)))


class ThreadChoice:
    """Chooses after each epoch how many threads the next one has.

    Args:
        most: Threads on a machine at rest; the least is 1.
        threads: Those to begin with.

    Attributes:
        threads: Of the next epoch.
        trying: Whether those are a trial, of which nothing is known yet.
        tried_from: Threads before the trial that was last begun.
        before: Seconds an epoch took before the trial that was last decided.
        now: Seconds it takes since.
    """

    def __init__(self, most: int, threads: int | None = None) -> None:
        self.most = most
        self.threads = most if threads is None else min(threads, most)
        self.trying = False
        self.tried_from = self.threads
        self.before = self.now = 0.0
        self._times: deque[float] = deque(maxlen=50)
        self._best = math.inf
        self._skip = 1
        self._room_told: float | None = None
        self._had_room = True
        self._hears = False
        self._waits = {"fewer": _FIRST_WAIT, "more": _FIRST_WAIT}
        self._not_before = {"fewer": 0.0, "more": 0.0}

    def new_stage(self) -> None:
        """Epochs of another kind follow: what earlier ones took says nothing of them."""
        if self.trying:
            self._settle(self.tried_from)
        self._best = math.inf
        self._forget()

    def after(self, t: float, seconds: float, room: float | None = None) -> int:
        """Take an epoch; the number of threads of the next one.

        Args:
            t: Now, seconds of any clock.
            seconds: What the epoch took.
            room: Cores that others leave, where there is a new word on it since the last change.
        """
        if room is not None:
            self._hear(t, room)
        elif self._room_told is None:
            self._room_told = t
        if self._skip and seconds < _SECONDS / 2:
            # Threads that have just begun are cold.
            self._skip -= 1
            return self.threads
        self._skip = 0
        self._times.append(seconds)
        while len(self._times) > 1 and sum(self._times) - self._times[0] > _SECONDS:
            self._times.popleft()
        if self.trying:
            self._judge(t, seconds)
        else:
            self._consider(t, room)
        return self.threads

    @property
    def _told(self) -> bool:
        """Whether there are epochs enough to tell the pace."""
        return len(self._times) >= _EPOCHS or sum(self._times) >= _SECONDS

    @property
    def _pace(self) -> float:
        return statistics.median(self._times)

    def _hear(self, t: float, room: float) -> None:
        self._room_told = t
        self._hears = True
        if self.trying:
            return
        has_room = room >= self.threads + _FREE
        if has_room and not self._had_room:
            # Somebody has gone: what failed while they were there counts no more.
            self._waits["more"], self._not_before["more"] = _FIRST_WAIT, t
        self._had_room = has_room

    def _consider(self, t: float, room: float | None) -> None:
        """Try another number where there is a reason to."""
        if not self._told:
            return
        self._best = min(self._pace, self._best)
        missing = room is not None and room < self.threads - _MISSING
        if self.threads > 1 and (missing or self._pace > _SLOW * self._best) and t >= self._not_before["fewer"]:
            self._try(self._fewer(room))
        elif self.threads < self.most and t >= self._not_before["more"]:
            more = self._more(t, room)
            if more > self.threads:
                self._try(more)

    def _fewer(self, room: float | None) -> int:
        """As many as have a core, or half as many where the cores are there and yet something is lost."""
        if room is None or room >= self.threads:
            return max(1, self.threads // 2)
        return threads_for(room, self.threads - 1)

    def _more(self, t: float, room: float | None) -> int:
        if room is not None:
            return threads_for(room, self.most)
        assert self._room_told is not None
        return self.most if t - self._room_told >= _BLIND else 0

    def _try(self, threads: int) -> None:
        self.tried_from, self.before = self.threads, self._pace
        self.threads, self.trying = threads, True
        self._forget()

    def _judge(self, t: float, seconds: float) -> None:
        """Decide a trial once its epochs tell a pace."""
        hopeless = seconds > _HOPELESS * self.before
        if not self._told and not hopeless:
            return
        self.now = self._pace
        way = "more" if self.threads > self.tried_from else "fewer"
        if self.now < _KEPT[way] * self.before and not hopeless:
            if way == "more":
                # It worked: the next that comes is answered as quickly as the first.
                self._waits = dict.fromkeys(self._waits, _FIRST_WAIT)
            self._settle(self.threads)
            return
        if way == "fewer" and self.threads > 1 and self.now < _AS_SLOW * self.before:
            self.threads //= 2
            self._forget()
            return
        self._not_before[way] = t + self._waits[way]
        # Where nothing tells that others have gone, only trying does.
        longest = _LONGEST_WAIT if way == "fewer" or self._hears else _FIRST_WAIT
        self._waits[way] = min(2.0 * self._waits[way], longest)
        self._settle(self.tried_from)

    def _settle(self, threads: int) -> None:
        self.threads, self.trying = threads, False
        self._forget()

    def _forget(self) -> None:
        self._times.clear()
        self._skip = 1
        self._room_told = None
