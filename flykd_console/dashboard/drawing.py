"""Draws one chart: curves, axes, legend, labels at the ends of curves, markers; from a spec to rows of styled text.

Pure: the same spec, size and look give the same rows, on a screen, in a saved picture and in a test.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flykd_console.dashboard.canvas import Axis, Canvas, decimate, linear_ticks, tick_words
from flykd_console.dashboard.chart_spec import GUTTER, ChartSpec, Curve, Ink, Row
from flykd_console.dashboard.legend import legend
from flykd_console.dashboard.page import Page, end_labels, set_markers
from flykd_console.dashboard.palette import Look
from flykd_console.dashboard.scales import Piece, column_of, columns_where, row_of, visible, y_axis_of
from flykd_console.words import clipped, grouped

__all__ = ["GUTTER", "ChartSpec", "Curve", "Ink", "Row", "draw", "plot_width"]

_MIN_PLOT = (8, 2)


def draw(spec: ChartSpec, width: int, height: int, look: Look) -> list[Row]:
    """The chart as `height` rows, each `width` cells wide."""
    shown = [c for c in spec.curves if len(c.x)]
    if width < 20 or height < 3 or not shown:
        return _message(spec.empty, width, height, look)
    x_axis = Axis(spec.x_low, spec.x_high)
    plot_w = plot_width(spec, width)
    margin = width - GUTTER - plot_w
    if plot_w < _MIN_PLOT[0]:
        return _message(spec.empty, width, height, look)
    pieces = [visible(c, spec, 2 * plot_w) for c in shown]
    y_axis, cut = y_axis_of(spec, pieces)
    marks, remark = _marks(pieces, cut, y_axis.low if spec.plateau else None, x_axis, plot_w)
    remark = "  ".join(filter(None, (_levels_below(spec, y_axis), remark)))
    spec = replace(spec, note="  ".join(filter(None, (spec.note, remark))))
    most = 2 if height >= (11 if spec.cursor is None else 7) else 1
    # Beside a mean with its band the others are the background: it is the band that tells of them.
    told = [curve for curve in shown if spec.band is None or not curve.faded]
    head = legend(told, spec, width, most, look) if height >= 5 else []
    legend_rows = len(head)
    axis_rows = 2 if height >= 9 else 1
    plot_h = height - legend_rows - axis_rows
    if plot_h < _MIN_PLOT[1]:
        return _message(spec.empty, width, height, look)

    canvas = Canvas(plot_w, plot_h)
    inks: list[Ink] = []
    if spec.band is not None:
        x, low, high = spec.band
        canvas.band(x_axis.position(x), y_axis.position(low), y_axis.position(high))
    for piece in pieces:
        if piece.raw is not None and not piece.faded:
            x, raw = decimate(piece.raw_x, piece.raw, spec.x_low, spec.x_high, 2 * plot_w)
            inks.append(Ink(look.blend(piece.colour, 0.38)))
            canvas.line(x_axis.position(x), y_axis.position(raw), len(inks) - 1)
    for piece in sorted(pieces, key=lambda p: not p.faded):
        inks.append(Ink(look.blend(piece.colour, 0.45) if piece.faded else piece.colour))
        canvas.line(x_axis.position(piece.x), y_axis.position(piece.y), len(inks) - 1, piece.dashed)

    page = Page(canvas, inks, plot_w + margin)
    y_ticks = y_axis.ticks(max(2, min(6, plot_h // 2)))
    tick_rows = {
        row_of(y_axis, tick, plot_h): word for tick, word in zip(y_ticks, _y_words(spec, y_ticks), strict=True)
    }
    for row in tick_rows:
        page.grid(row, Ink(look.faint))
    for row, words in _level_words(spec, y_axis, plot_h, plot_w):
        page.level(row, words, Ink(look.muted))
    if spec.now is not None:
        page.vertical(column_of(x_axis, spec.now, plot_w), "│", "now", Ink(look.accent, bold=True))
    if spec.cursor is not None and spec.x_low <= spec.cursor <= spec.x_high:
        page.vertical(column_of(x_axis, spec.cursor, plot_w), "┊", "", Ink(look.foreground))
    for at_top, column, sign in marks:
        page.write(0 if at_top else plot_h - 1, column, sign, Ink(look.foreground))
    set_markers(page, pieces, x_axis, y_axis, look)
    if margin:
        end_labels(page, [p for p in pieces if spec.band is None or not p.faded], x_axis, y_axis, look)

    rows: list[Row] = head
    for row in range(plot_h):
        word = tick_rows.get(row, "")
        scale = f"{word:>{GUTTER - 1}}"[: GUTTER - 1] + ("┤" if word else "│")
        rows.append([(scale, Ink(look.muted)), *page.row(row, look)])
    rows.extend(_x_axis_rows(x_axis, plot_w, margin, axis_rows, look))
    return rows


def _level_words(spec: ChartSpec, y_axis: Axis, height: int, width: int) -> list[tuple[int, str]]:
    """The rows of levels, and what is said there: names and values, names alone, or one of them where it is narrow."""
    rows: dict[int, list[tuple[str, float]]] = {}
    for name, value in sorted(spec.levels, key=lambda level: -level[1]):
        if 0.0 <= float(y_axis.position(np.array([value]))[0]) <= 1.0:
            rows.setdefault(row_of(y_axis, value, height), []).append((name, value))
    found = []
    for row, levels in rows.items():
        forms = [
            ", ".join(f"{name} {value:.1f}" for name, value in levels),
            ", ".join(name for name, _ in levels),
            f"{levels[0][0]} +{len(levels) - 1}" if len(levels) > 1 else levels[0][0],
        ]
        words = next((form for form in forms if len(form) <= 0.7 * width), clipped(forms[-1], max(1, width - 2)))
        found.append((row, words))
    return found


def _levels_below(spec: ChartSpec, y_axis: Axis) -> str:
    """Levels that the axis does not reach, in words: the highest, and how many more there are."""
    if not spec.plateau:
        return ""
    below = sorted((level for level in spec.levels if level[1] < y_axis.low), key=lambda level: -level[1])
    if not below:
        return ""
    others = f" +{len(below) - 1}" if len(below) > 1 else ""
    return f"below: {below[0][0]} {below[0][1]:.1f}{others}"


def _marks(
    pieces: list[Piece], cut: float | None, bottom: float | None, x_axis: Axis, width: int
) -> tuple[list[tuple[bool, int, str]], str]:
    """Signs for what is not drawn: `▴` and `▾` where values were cut off, `×` in the last row where none is finite.

    Returns:
        (in the top row, column, sign) of each, and the remark that explains them.
    """
    found, remarks = [], []
    if cut is not None:
        columns, count = columns_where(pieces, x_axis, width, lambda y: y > cut)
        found += [(True, column, "▴") for column in columns]
        remarks += [f"▴ {grouped(count)} above"] if count else []
    if bottom is not None:
        columns, _ = columns_where(pieces, x_axis, width, lambda y: y < bottom)
        found += [(False, column, "▾") for column in columns]
    columns, count = columns_where(pieces, x_axis, width, np.isnan)
    found += [(False, column, "×") for column in columns]
    remarks += [f"× {grouped(count)} not finite"] if count else []
    return found, "  ".join(remarks)


def plot_width(spec: ChartSpec, width: int) -> int:
    """Columns of the plot itself in a chart of a width; left of it is `GUTTER`, right of it room for labels."""
    label = max((len(curve.label) for curve in spec.curves if len(curve.x)), default=0)
    margin = min(6, label) + 1 if width >= 36 else 0
    return width - GUTTER - margin


def _y_words(spec: ChartSpec, ticks: list[float]) -> list[str]:
    return [clipped(word, GUTTER - 1) for word in tick_words(ticks, GUTTER - 1)]


def _x_axis_rows(axis: Axis, plot_w: int, margin: int, rows: int, look: Look) -> list[Row]:
    ink = Ink(look.muted)
    ticks = linear_ticks(axis.low, axis.high, max(2, plot_w // 14), whole=True)  # epochs
    while len(ticks) > 2 and len(ticks) * (len(tick_words(ticks)[-1]) + 3) > plot_w:
        ticks = ticks[::2]
    words = tick_words(ticks)
    columns = [column_of(axis, tick, plot_w) for tick in ticks]
    out: list[Row] = []
    if rows > 1:
        line = ["─"] * plot_w
        for column in columns:
            line[column] = "┴"
        out.append([(" " * (GUTTER - 1) + "└" + "".join(line) + " " * margin, ink)])
    labels = [" "] * (GUTTER + plot_w + margin)
    end = -1
    for column, word in zip(columns, words, strict=True):
        start = max(0, min(GUTTER + column - len(word) // 2, len(labels) - len(word)))
        if start > end:
            labels[start : start + len(word)] = word
            end = start + len(word)
    out.append([("".join(labels), ink)])
    return out


def _message(words: str, width: int, height: int, look: Look) -> list[Row]:
    """Words in the middle of an empty chart."""
    import textwrap

    lines = textwrap.wrap(words, max(10, width - 4))[:height] if width > 0 else []
    top = (height - len(lines)) // 2
    rows: list[Row] = []
    for i in range(height):
        text = lines[i - top][:width].center(width) if 0 <= i - top < len(lines) else " " * width
        rows.append([(text, Ink(look.muted))])
    return rows
