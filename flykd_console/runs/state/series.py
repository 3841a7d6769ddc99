"""A growing curve in bounded memory: two arrays of doubles that are thinned, extremes kept, when they grow too long.

The arrays are the standard library's, so that folding a log needs no numpy and the first frame need not wait for it.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right

LIMIT = 16_384
_GROUP = 4


class Series:
    """Points (x, y) with x ascending. A y that is not finite is kept as NaN and drawn as a gap.

    Attributes:
        x: Where, usually the epoch; doubles.
        y: What; doubles.
        version: Grows with every change, so that a drawing knows whether it is stale.
        rewrites: Grows when old points change or go, so that what was derived from them is thrown away.
    """

    __slots__ = ("rewrites", "version", "x", "y")

    def __init__(self) -> None:
        self.x: array[float] = array("d")
        self.y: array[float] = array("d")
        self.version = 0
        self.rewrites = 0

    def __len__(self) -> int:
        return len(self.x)

    @property
    def last(self) -> float:
        """The newest y, NaN where there is none."""
        return self.y[-1] if self.y else math.nan

    def at(self, x: float) -> float | None:
        """The y of the point at `x`; None where there is none."""
        place = bisect_right(self.x, x) - 1
        if place < 0 or self.x[place] != x:
            return None
        return self.y[place]

    def append(self, x: float, y: float | None) -> None:
        """Add a point at the right end; None and infinities become NaN."""
        self.x.append(x)
        self.y.append(y if y is not None and math.isfinite(y) else math.nan)
        self.version += 1
        if len(self.x) > LIMIT:
            self._thin()

    def cut_after(self, x: float) -> None:
        """Forget every point beyond `x`: a resumed stage trains those epochs again."""
        keep = bisect_right(self.x, x)
        if keep < len(self.x):
            del self.x[keep:], self.y[keep:]
            self.version += 1
            self.rewrites += 1

    def _thin(self) -> None:
        """Halve the points: of each four the smallest and the largest stay, or one of them and the gap."""
        xs, ys = array("d"), array("d")
        for start in range(0, len(self.x), _GROUP):
            group = range(start, min(start + _GROUP, len(self.x)))
            solid = [i for i in group if self.y[i] == self.y[i]]
            gaps = [i for i in group if self.y[i] != self.y[i]]
            low = min(solid, key=self.y.__getitem__, default=gaps[0] if gaps else start)
            high = gaps[0] if gaps and solid else max(solid, key=self.y.__getitem__, default=low)
            for i in sorted({low, high}):
                xs.append(self.x[i])
                ys.append(self.y[i])
        self.x, self.y = xs, ys
        self.rewrites += 1


class Smoothed:
    """The exponential moving average of a series, with bias correction, extended as the series grows.

    A gap stays a gap and is not smeared over its neighbours.

    Args:
        series: What is followed.
        weight: Of the past, in [0, 1).
    """

    def __init__(self, series: Series, weight: float) -> None:
        self._series, self._weight = series, weight
        self._rewrites = series.rewrites
        self._y: array[float] = array("d")
        self._mean = self._norm = 0.0

    @property
    def y(self) -> array[float]:
        """Smoothed values, one for each point of the series."""
        if self._rewrites != self._series.rewrites:
            self._rewrites = self._series.rewrites
            self._y = array("d")
            self._mean = self._norm = 0.0
        keep, new = self._weight, 1.0 - self._weight
        for value in self._series.y[len(self._y) :]:
            if value != value:
                self._y.append(math.nan)
                continue
            self._mean = keep * self._mean + new * value
            self._norm = keep * self._norm + new
            self._y.append(self._mean / self._norm)
        return self._y
