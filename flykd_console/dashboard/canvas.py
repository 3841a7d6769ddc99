"""Curves as braille: decimation that keeps extremes, a line rasteriser in numpy, axes with round ticks.

Pure functions from numbers to rows of (text, style) runs; no widget, no Textual. Why not a library: at 120x36 with five
curves a chart, three charts cost textual-plot 69 ms and textual-plotext 98 ms a redraw (already decimated), both join
curves across missing values, and neither labels a curve at its end. This costs a few milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Cells = NDArray[np.int32]

# The dot of a braille cell by (row, column): bits of U+2800.
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.int32)
EMPTY = -1


def decimate(x: Floats, y: Floats, low: float, high: float, columns: int) -> tuple[Floats, Floats]:
    """Two points a column at most, the smallest and the largest of each, in the order in which they came.

    Args:
        x: Ascending positions [n].
        y: Values [n]; NaN is a gap and stays one where a whole column holds nothing else.
        low: Left end of what is shown.
        high: Right end of what is shown; one point beyond each end is kept, so that lines run out of the picture.
        columns: Pixel columns between the two.

    Returns:
        x and y, each of at most 2·columns + 2 points.
    """
    first = max(0, int(np.searchsorted(x, low, side="left")) - 1)
    last = min(len(x), int(np.searchsorted(x, high, side="right")) + 1)
    x, y = x[first:last], y[first:last]
    if len(x) <= 2 * columns:
        return x, y
    step = (high - low) / columns or 1.0
    bucket = np.floor((x - low) / step)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(bucket)) + 1))
    gap = np.isnan(y)
    down = np.minimum.reduceat(np.where(gap, np.inf, y), starts)
    up = np.maximum.reduceat(np.where(gap, -np.inf, y), starts)
    none = down > up
    down[none] = up[none] = np.nan
    ends = np.append(starts[1:], len(x)) - 1
    rising = ~(y[ends] < y[starts])
    out_x, out_y = np.repeat(x[starts], 2), np.empty(2 * len(starts))
    out_x[1::2] = x[ends]
    out_y[0::2] = np.where(rising, down, up)
    out_y[1::2] = np.where(rising, up, down)
    return out_x, out_y


# Dots of a dash, and of the gap after it.
_DASH = 5


def linear_ticks(low: float, high: float, count: int, whole: bool = False) -> list[float]:
    """Round values (1, 2, 2.5 or 5 times a power of ten) between the ends, at most about `count`; `whole`: integers."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    rough = (high - low) / max(1, count)
    exponent = math.floor(math.log10(rough))
    power = 10.0**exponent
    # What a sum of steps leaves behind its last digit is dropped: twelve places, and more where steps are small.
    places = 12 + max(0, -exponent)
    ticks: list[float] = []
    # One value alone says nothing about the scale: then the next finer steps.
    for step in sorted((s * power for s in (0.5, 1.0, 2.0, 2.5, 5.0, 10.0) if s * power <= rough * 10), reverse=True):
        if whole and (step < 1.0 or step != round(step)):
            continue
        if step > rough * 0.999 or len(ticks) < 2:
            first = math.ceil(low / step - 1e-9)
            ticks = [round(i * step, places) for i in range(first, math.floor(high / step + 1e-9) + 1)]
    return ticks or [float(math.ceil(low))] if whole else ticks


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Round values on a logarithmic axis: powers of ten, with 2 and 5, or even steps where the range is short."""
    if high / low < 8.0:
        return linear_ticks(low, high, count)
    ticks: list[float] = []
    for mantissas in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
        exponents = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
        ticks = [m * 10.0**e for e in exponents for m in mantissas if low * 0.999 <= m * 10.0**e <= high * 1.001]
        if len(ticks) >= min(3, count):
            break
    if len(ticks) < 2:
        return linear_ticks(low, high, count)
    while len(ticks) > max(2, count):
        ticks = ticks[::2]
    return ticks


def tick_words(ticks: list[float], room: int | None = None) -> list[str]:
    """The ticks as short texts, all with the same number of decimals.

    Args:
        ticks: The values.
        room: Cells that a text may take; in longer ones the last digits are given up for a power of ten.
    """
    words = _even_words(ticks)
    if room is None or max(map(len, words), default=0) <= room:
        return words
    words = [word.replace("\u202f", "") for word in words]
    if max(map(len, words)) <= room:
        return words
    largest = max(abs(t) for t in ticks)
    single = [_power_word(t, _exponent(t)) for t in ticks]
    if max(map(len, single)) <= room and all(
        abs(float(w) - t) <= 1e-6 * abs(t) for w, t in zip(single, ticks, strict=True)
    ):
        return single
    # 5e-4, 10e-4, 15e-4 are shorter than 5.0e-4, 1.0e-3, 1.5e-3, and as easy to compare.
    for power in range(_exponent(largest), max(_exponent(largest) - 4, -300), -1):
        if all(abs(round(t / 10.0**power) * 10.0**power - t) <= 1e-6 * largest for t in ticks):
            return [_power_word(t, power) for t in ticks]
    return [f"{t:.0e}".replace("e-0", "e-").replace("e+0", "e") for t in ticks]


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)) + 1e-9) if value else 0


def _power_word(value: float, power: int) -> str:
    return f"{round(value / 10.0**power)}e{power}" if value else "0"


def _even_words(ticks: list[float]) -> list[str]:
    largest = max((abs(t) for t in ticks), default=0.0)
    small = bool(largest) and (largest >= 1e6 or largest < 1e-2)
    for digits in range(7):
        if small:
            words = [f"{t:.{digits}e}".replace("e-0", "e-").replace("e+0", "e") if t else "0" for t in ticks]
            exact = all(abs(float(f"{t:.{digits}e}") - t) <= 1e-6 * largest for t in ticks)
        else:
            words = [f"{t:,.{digits}f}".replace(",", "\u202f") for t in ticks]
            exact = all(abs(float(f"{t:.{digits}f}") - t) <= 1e-9 * max(1.0, largest) for t in ticks)
        if exact:
            return words
    return [f"{t:.3g}" for t in ticks]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: what it shows and how it maps to [0, 1].

    `log` maps by the logarithm; positions of values that are not positive are NaN.
    """

    low: float
    high: float
    log: bool = False

    def position(self, values: Floats) -> Floats:
        """Where values lie between the ends, 0 to 1 (and beyond)."""
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = np.where(values > 0, np.log(np.where(values > 0, values, 1.0)), np.nan)
            low, high = math.log(self.low), math.log(self.high)
            return (logs - low) / ((high - low) or 1.0)
        return (values - self.low) / ((self.high - self.low) or 1.0)

    def at(self, fraction: float) -> float:
        """The value at a place between the ends."""
        if self.log:
            return math.exp(math.log(self.low) + fraction * (math.log(self.high) - math.log(self.low)))
        return self.low + fraction * (self.high - self.low)

    def ticks(self, count: int) -> list[float]:
        return log_ticks(self.low, self.high, count) if self.log else linear_ticks(self.low, self.high, count)


class Canvas:
    """A grid of braille cells, each owned by the last curve that touched it.

    Attributes:
        dots: [4·height, 2·width] bool.
        owner: [height, width] index of a style, `EMPTY` where nothing was drawn.
        shade: [height, width] bool: cells with a tinted background.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.dots: NDArray[np.bool_] = np.zeros((4 * height, 2 * width), dtype=np.bool_)
        self.owner: Cells = np.full((height, width), EMPTY, dtype=np.int32)
        self.shade: NDArray[np.bool_] = np.zeros((height, width), dtype=np.bool_)

    def line(self, px: Floats, py: Floats, style: int, dashed: bool = False) -> None:
        """Join points by straight lines; a NaN breaks the line, and a point alone between two gaps is a dot.

        Args:
            px: Columns in [0, 1], left to right [n].
            py: Rows in [0, 1], bottom to top [n].
            style: Owner of the touched cells.
            dashed: Every other few columns are left out.
        """
        rows, columns = self.dots.shape
        x = px * (columns - 1)
        y = (1.0 - py) * (rows - 1)
        solid = np.isfinite(x) & np.isfinite(y)
        if not solid.any():
            return
        joined = solid[:-1] & solid[1:]
        x0, y0, x1, y1 = _clipped(x[:-1][joined], y[:-1][joined], x[1:][joined], y[1:][joined], columns, rows)
        # A step of at most one dot each way: a steep line has no holes.
        longest = np.maximum(np.abs(x1 - x0), np.abs(y1 - y0))
        steps = np.maximum(np.ceil(longest), 1.0).astype(np.int64) + 1
        which = np.repeat(np.arange(len(steps)), steps)
        offset = np.arange(len(which)) - np.repeat(np.cumsum(steps) - steps, steps)
        t = offset / (steps[which] - 1)
        line_x = x0[which] + t * (x1 - x0)[which]
        line_y = y0[which] + t * (y1 - y0)[which]
        every_x, every_y = np.concatenate((line_x, x[solid])), np.concatenate((line_y, y[solid]))
        if dashed:
            drawn = every_x % (2 * _DASH) < _DASH
            every_x, every_y = every_x[drawn], every_y[drawn]
        self._set(every_x, every_y, style)

    def _set(self, x: Floats, y: Floats, style: int) -> None:
        rows, columns = self.dots.shape
        column, row = np.rint(x), np.rint(y)
        inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        column, row = column[inside].astype(np.int64), row[inside].astype(np.int64)
        self.dots[row, column] = True
        self.owner[row // 4, column // 2] = style

    def band(self, px: Floats, low: Floats, high: Floats) -> None:
        """Tint the cells between two curves.

        Args:
            px: Columns in [0, 1], ascending [n].
            low: Lower rows in [0, 1] [n].
            high: Upper rows in [0, 1] [n].
        """
        solid = np.isfinite(px) & np.isfinite(low) & np.isfinite(high)
        if solid.sum() < 2:
            return
        px, low, high = px[solid], low[solid], high[solid]
        at = (np.arange(self.width) + 0.5) / self.width
        inside = (at >= px[0] - 0.5 / self.width) & (at <= px[-1] + 0.5 / self.width)
        lower, upper = np.interp(at, px, low), np.interp(at, px, high)
        centre = 1.0 - (np.arange(self.height) + 0.5)[:, None] / self.height
        half = 0.5 / self.height
        self.shade |= inside & (centre + half > lower) & (centre - half < upper)

    def codes(self) -> Cells:
        """The cells as code points [height, width]; an empty cell is a space."""
        cells = self.dots.reshape(self.height, 4, self.width, 2)
        bits = (cells * _BITS[None, :, None, :]).sum(axis=(1, 3)).astype(np.int32)
        return np.where(bits > 0, bits + 0x2800, 0x20).astype(np.int32)


def _clipped(
    x0: Floats, y0: Floats, x1: Floats, y1: Floats, columns: int, rows: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """The parts of segments that are in the picture, one dot more to each side (Liang and Barsky 1984), [k] each."""
    enter, leave = np.zeros(len(x0)), np.ones(len(x0))
    for start, end, size in ((x0, x1, columns), (y0, y1, rows)):
        step = end - start
        moves = step != 0.0
        across = np.where(moves, step, 1.0)
        first, last = (-1.0 - start) / across, (size - start) / across
        outside = (start < -1.0) | (start > size)
        enter = np.where(moves, np.maximum(enter, np.minimum(first, last)), np.where(outside, 1.0, enter))
        leave = np.where(moves, np.minimum(leave, np.maximum(first, last)), np.where(outside, 0.0, leave))
    seen = enter <= leave
    x0, y0, x1, y1, enter, leave = (values[seen] for values in (x0, y0, x1, y1, enter, leave))
    dx, dy = x1 - x0, y1 - y0
    return x0 + enter * dx, y0 + enter * dy, x0 + leave * dx, y0 + leave * dy


def runs_of(codes: Cells, style: Cells) -> list[tuple[str, int]]:
    """One row of code points [width] and styles [width] as runs of equal style."""
    cuts = np.concatenate(([0], np.flatnonzero(np.diff(style)) + 1, [len(style)])).tolist()
    text = codes.astype("<u4").tobytes().decode("utf-32-le")
    return [(text[a:b], int(style[a])) for a, b in pairwise(cuts)]


def as_array(values: Any) -> Floats:
    """A copy of an array of doubles as numpy, so that the array may go on growing."""
    return np.array(values, dtype=np.float64)
