"""Curves one line high, in braille: two points a cell, for tables and the resources panel."""

from __future__ import annotations

from flykd_console.runs.state.series import Series


def newest(series: Series | None, width: int, top: float | None = None) -> str:
    """The newest points, right-aligned, from 0 to `top` (default: the largest of them)."""
    if series is None or width <= 0 or len(series) < 2:
        return ""
    from flykd_console.dashboard.canvas import Canvas, as_array

    y = as_array(series.y[-2 * width :])
    known = y[y == y]
    top = top or (float(known.max()) * 1.1 if len(known) else 0.0) or 1.0
    canvas = Canvas(width, 1)
    last = 2 * width - 1
    canvas.line((as_array(range(len(y))) + last + 1 - len(y)) / last, y / top, 0)
    return "".join(map(chr, canvas.codes()[0].tolist()))


def whole(series: Series, width: int, end: float, low: float, high: float) -> str:
    """The whole series from x = 0 to `end`, its values between `low` and `high`; gaps stay gaps."""
    if width <= 0 or len(series) < 2:
        return ""
    from flykd_console.dashboard.canvas import Canvas, as_array, decimate

    x, y = decimate(as_array(series.x), as_array(series.y), 0.0, end, 2 * width)
    canvas = Canvas(width, 1)
    canvas.line(x / (end or 1.0), (y - low) / ((high - low) or 1.0), 0)
    return "".join(map(chr, canvas.codes()[0].tolist()))
