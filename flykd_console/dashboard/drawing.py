"""Draws one chart: curves, axes, legend, labels at the ends of curves, markers; from a spec to rows of styled text.

Pure: the same spec, size and look give the same rows, on a screen, in a saved picture and in a test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flykd_console.dashboard.canvas import (
    EMPTY,
    Axis,
    Canvas,
    Cells,
    Floats,
    decimate,
    runs_of,
    tick_words,
)
from flykd_console.dashboard.palette import Look
from flykd_console.dashboard.wording import clipped, grouped, loss

GUTTER = 6
_MIN_PLOT = (8, 2)


class Ink(NamedTuple):
    """How a run of text looks."""

    colour: str
    bold: bool = False
    background: str | None = None


Row = list[tuple[str, Ink]]


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        name: In the legend.
        label: At the end of the line, short.
        x: Ascending positions [n].
        y: Values [n], NaN for a gap.
        colour: Hex.
        raw: The unsmoothed values [n], drawn faintly below; None where `y` is raw.
        faded: Drawn in the background, another curve has the attention.
        value: What the legend says instead of the last value; None for that.
    """

    name: str
    label: str
    x: Floats
    y: Floats
    colour: str
    raw: Floats | None = None
    faded: bool = False
    value: str | None = None


@dataclass(frozen=True)
class ChartSpec:
    """What a chart shows.

    Attributes:
        curves: Drawn in order, the last on top.
        x_low: Left end.
        x_high: Right end.
        y_low: Lower end; alone: the data may only lie above it. None: from the data.
        y_high: Upper end, likewise.
        log_y: Logarithmic y; falls back to linear where nothing is positive.
        now: Where training is: a marked vertical line.
        cursor: Where the reader reads values: another vertical line, and the legend says the values there.
        band: x, lower and upper [n] of a tinted band.
        empty: What to say where there is nothing to draw.
        note: A quiet remark in the top right corner.
        clip: Cut outliers off, and mark where.
        per_cent: Values are per cent, said with two decimals.
    """

    curves: tuple[Curve, ...] = ()
    x_low: float = 0.0
    x_high: float = 1.0
    y_low: float | None = None
    y_high: float | None = None
    log_y: bool = False
    now: float | None = None
    cursor: float | None = None
    band: tuple[Floats, Floats, Floats] | None = None
    empty: str = ""
    note: str = ""
    clip: bool = False
    per_cent: bool = False


def draw(spec: ChartSpec, width: int, height: int, look: Look) -> list[Row]:
    """The chart as `height` rows, each `width` cells wide."""
    shown = [c for c in spec.curves if len(c.x)]
    if width < 20 or height < 3 or not shown:
        return _message(spec.empty, width, height, look)
    most = 2 if height >= (11 if spec.cursor is None else 7) else 1
    legend = _legend(shown, spec, width, most, look) if height >= 5 else []
    legend_rows = len(legend)
    axis_rows = 2 if height >= 9 else 1
    plot_w, plot_h = plot_width(spec, width), height - legend_rows - axis_rows
    margin = width - GUTTER - plot_w
    if plot_w < _MIN_PLOT[0] or plot_h < _MIN_PLOT[1]:
        return _message(spec.empty, width, height, look)

    pieces = [_visible(c, spec, 2 * plot_w) for c in shown]
    y_axis, clipped_high = _y_axis(spec, pieces)
    x_axis = Axis(spec.x_low, spec.x_high)

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
        canvas.line(x_axis.position(piece.x), y_axis.position(piece.y), len(inks) - 1)

    page = _Page(canvas, inks, plot_w + margin)
    y_ticks = y_axis.ticks(max(2, min(6, plot_h // 2)))
    tick_rows = {_row(y_axis, tick, plot_h): word for tick, word in zip(y_ticks, _y_words(spec, y_ticks), strict=True)}
    for row in tick_rows:
        page.grid(row, Ink(look.faint))
    if spec.now is not None:
        page.vertical(_column(x_axis, spec.now, plot_w), "│", "now", Ink(look.accent, bold=True))
    if spec.cursor is not None:
        page.vertical(_column(x_axis, spec.cursor, plot_w), "┊", "", Ink(look.foreground))
    for column in _columns_above(pieces, clipped_high, x_axis, plot_w):
        page.write(0, column, "▴", Ink(look.muted))
    if margin:
        _end_labels(page, pieces, x_axis, y_axis, look)

    rows: list[Row] = legend
    for row in range(plot_h):
        word = tick_rows.get(row, "")
        head = f"{word:>{GUTTER - 1}}"[: GUTTER - 1] + ("┤" if word else "│")
        rows.append([(head, Ink(look.muted)), *page.row(row, look)])
    rows.extend(_x_axis_rows(x_axis, plot_w, margin, axis_rows, look))
    return rows


def plot_width(spec: ChartSpec, width: int) -> int:
    """Columns of the plot itself in a chart of a width; left of it is `GUTTER`, right of it room for labels."""
    label = max((len(curve.label) for curve in spec.curves if len(curve.x)), default=0)
    margin = min(6, label) + 1 if width >= 36 else 0
    return width - GUTTER - margin


# Below float32's smallest normal number a logarithmic axis has no ticks to offer.
_LEAST_ON_LOG = 1e-37


@dataclass
class _Piece:
    """A curve as far as it is in the picture, thinned."""

    x: Floats
    y: Floats
    raw_x: Floats
    raw: Floats | None
    label: str
    colour: str
    faded: bool


def _visible(curve: Curve, spec: ChartSpec, columns: int) -> _Piece:
    x, y = decimate(curve.x, curve.y, spec.x_low, spec.x_high, columns)
    return _Piece(x, y, curve.x, curve.raw, curve.label, curve.colour, curve.faded)


def _y_axis(spec: ChartSpec, pieces: list[_Piece]) -> tuple[Axis, float | None]:
    """The y axis that holds what is visible, and the height above which points were cut off."""
    values = [p.y[(p.x >= spec.x_low) & (p.x <= spec.x_high)] for p in pieces]
    raw = [
        decimate(p.raw_x, p.raw, spec.x_low, spec.x_high, 256)[1] for p in pieces if p.raw is not None and not p.faded
    ]
    if spec.band is not None:
        values += [spec.band[1], spec.band[2]]
    everything = np.concatenate([*values, *raw]) if values or raw else np.empty(0)
    everything = everything[np.isfinite(everything)]
    log = spec.log_y and bool((everything >= _LEAST_ON_LOG).any())
    if log:
        everything = everything[everything >= _LEAST_ON_LOG]
    if not len(everything):
        return Axis(0.0, 1.0), None
    low, high = float(everything.min()), float(everything.max())
    cut = None
    if spec.clip and len(everything) > 50:
        usual = float(np.quantile(everything, 0.98))
        if high - usual > 2.0 * (usual - low):
            high = cut = usual + 0.15 * (usual - low)
    if spec.y_low is not None and spec.y_high is not None and not log:
        return Axis(spec.y_low, spec.y_high), None
    if log:
        pad = max(1.02, (high / low) ** 0.04)
        return Axis(low / pad, high * pad, log=True), cut
    low, high = min(low, spec.y_low if spec.y_low is not None else low), max(high, spec.y_high or high)
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return Axis(low - pad if low - pad >= 0 or low < 0 else 0.0, high + pad), cut


def _columns_above(pieces: list[_Piece], cut: float | None, axis: Axis, width: int) -> list[int]:
    if cut is None:
        return []
    return sorted(
        {_column(axis, float(x), width) for p in pieces for x in p.x[p.y > cut] if axis.low <= x <= axis.high}
    )


def _row(axis: Axis, value: float, height: int) -> int:
    position = float(axis.position(np.array([value]))[0])
    return int(min(height - 1, max(0, math.floor(((1.0 - position) * (4 * height - 1) + 0.5) / 4))))


def _column(axis: Axis, value: float, width: int) -> int:
    position = float(axis.position(np.array([value]))[0])
    return int(min(width - 1, max(0, math.floor((position * (2 * width - 1) + 0.5) / 2))))


class _Page:
    """The plot area and its right margin: braille below, text on top."""

    def __init__(self, canvas: Canvas, inks: list[Ink], width: int) -> None:
        self.canvas, self.inks, self.width = canvas, list(inks), width
        self.codes: Cells = np.full((canvas.height, width), 0x20, dtype=np.int32)
        self.codes[:, : canvas.width] = canvas.codes()
        self.style: Cells = np.full((canvas.height, width), EMPTY, dtype=np.int32)
        self.style[:, : canvas.width] = canvas.owner
        self.taken = np.zeros((canvas.height, width), dtype=np.bool_)

    def grid(self, row: int, ink: Ink) -> None:
        self.inks.append(ink)
        free = self.codes[row, : self.canvas.width] == 0x20
        self.codes[row, : self.canvas.width][free] = ord("┈")
        self.style[row, : self.canvas.width][free] = len(self.inks) - 1

    def vertical(self, column: int, mark: str, word: str, ink: Ink) -> None:
        self.inks.append(ink)
        free = (self.codes[:, column] == 0x20) | (self.codes[:, column] == ord("┈"))
        self.codes[free, column] = ord(mark)
        self.style[free, column] = len(self.inks) - 1
        if word:
            start = column + 1 if column + 1 + len(word) <= self.canvas.width else column - len(word)
            blank = np.isin(self.codes[:, start : start + len(word)], (0x20, ord("┈"))).all(axis=1)
            rows = np.flatnonzero(blank)
            if len(rows):
                self.write(int(rows[0]), start, word, ink)

    def write(self, row: int, column: int, word: str, ink: Ink) -> bool:
        """Put a word on top; returns whether it fitted and nothing written was there."""
        end = column + len(word)
        if not (0 <= row < self.canvas.height and column >= 0 and end <= self.width):
            return False
        if self.taken[row, column:end].any():
            return False
        self.inks.append(ink)
        self.codes[row, column:end] = [ord(c) for c in word]
        self.style[row, column:end] = len(self.inks) - 1
        self.taken[row, column:end] = True
        return True

    def row(self, row: int, look: Look) -> Row:
        style = self.style[row].copy()
        shaded = np.zeros(self.width, dtype=np.bool_)
        shaded[: self.canvas.width] = self.canvas.shade[row]
        # A shaded cell is another style of the same ink: the even numbers are plain, the odd ones tinted.
        pairs = 2 * (style + 1) + shaded
        out: Row = []
        for text, pair in runs_of(self.codes[row], pairs.astype(np.int32)):
            ink = self.inks[pair // 2 - 1] if pair >= 2 else Ink(look.foreground)
            out.append((text, ink._replace(background=look.shade) if pair % 2 else ink))
        return out


def _end_labels(page: _Page, pieces: list[_Piece], x_axis: Axis, y_axis: Axis, look: Look) -> None:
    height, width = page.canvas.height, page.canvas.width
    ends = []
    for piece in pieces:
        inside = np.isfinite(y_axis.position(piece.y)) & (piece.x <= x_axis.high) & (piece.x >= x_axis.low)
        if inside.any():
            last = np.flatnonzero(inside)[-1]
            ends.append(
                (_row(y_axis, float(piece.y[last]), height), _column(x_axis, float(piece.x[last]), width), piece)
            )
    for row, column, piece in sorted(ends, key=lambda end: end[0]):
        ink = Ink(look.blend(piece.colour, 0.6) if piece.faded else piece.colour, bold=not piece.faded)
        start = min(column + 2 if column < width - 1 else width + 1, page.width - len(piece.label))
        for shift in (0, 1, -1, 2, -2, 3, -3):
            if page.write(row + shift, start, piece.label, ink):
                break


def _legend(curves: list[Curve], spec: ChartSpec, width: int, most_rows: int, look: Look) -> list[Row]:
    """Names and values, as much of them as fits; the note stands at the right end of the first row."""
    head = f"{grouped(spec.cursor)}:" if spec.cursor is not None else ""
    note = f"  {spec.note}" if spec.note else ""
    forms = ((True, 3, most_rows), (False, 3, 1), (False, 2, 1), (False, 3, most_rows), (True, 0, 1), (False, 0, 1))
    rows: list[Row] = []
    for long_names, digits, most in forms:
        indent = GUTTER if long_names or not digits else 1
        start: Row = [(f"{head:<{indent}}" + (" " if len(head) >= indent else ""), Ink(look.foreground, bold=True))]
        rows = [list(start)]
        fits = True
        for curve in curves:
            item = _legend_item(curve, spec, long_names, digits, look)
            if len(rows[-1]) > 1:
                if _length(rows[-1]) + _length(item) + 2 + (len(note) if len(rows) == 1 else 0) <= width:
                    item = [("  ", item[0][1]), *item]
                else:
                    rows.append([(" " * len(start[0][0]), start[0][1])])
            rows[-1] += item
            fits = fits and _length(rows[-1]) <= width
        if fits and len(rows) <= most:
            break
    if note:
        rows[0].append((f"{note:>{max(0, width - _length(rows[0]))}}", Ink(look.muted)))
    return [_fit(row, width) for row in rows[:most_rows]]


def _legend_item(curve: Curve, spec: ChartSpec, long_name: bool, digits: int, look: Look) -> Row:
    colour = look.blend(curve.colour, 0.6) if curve.faded else curve.colour
    item: Row = [("━ ", Ink(colour)), (curve.name if long_name else curve.label or curve.name, Ink(look.foreground))]
    words = _value_words(curve, spec, digits) if digits else ""
    return [*item, (f" {words}", Ink(look.muted))] if words else item


def _length(row: Row) -> int:
    return sum(len(text) for text, _ in row)


def _value_words(curve: Curve, spec: ChartSpec, digits: int) -> str:
    if spec.cursor is not None:
        index = int(np.searchsorted(curve.x, spec.cursor, side="right")) - 1
        value = float(curve.y[index]) if index >= 0 else math.nan
    elif curve.value is not None:
        return curve.value
    else:
        solid = curve.y[np.isfinite(curve.y)]
        value = float(solid[-1]) if len(solid) else math.nan
    if spec.per_cent:
        return f"{value:.2f}" if math.isfinite(value) else "–"
    return loss(value, digits)


def _y_words(spec: ChartSpec, ticks: list[float]) -> list[str]:
    return [clipped(word, GUTTER - 1) for word in tick_words(ticks)]


def _x_axis_rows(axis: Axis, plot_w: int, margin: int, rows: int, look: Look) -> list[Row]:
    ink = Ink(look.muted)
    ticks = axis.ticks(max(2, plot_w // 14))
    while len(ticks) > 2 and len(ticks) * (len(tick_words(ticks)[-1]) + 3) > plot_w:
        ticks = ticks[::2]
    words = tick_words(ticks)
    columns = [_column(axis, tick, plot_w) for tick in ticks]
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


def _fit(row: Row, width: int) -> Row:
    """The row cut or filled to exactly `width` cells."""
    out: Row = []
    left = width
    for text, ink in row:
        out.append((text[:left], ink))
        left -= len(out[-1][0])
        if left <= 0:
            return out
    out.append((" " * left, row[-1][1] if row else Ink("#808080")))
    return out
