"""The legend above a chart: names, and the newest values or those under the reading line, as many as fit."""

from __future__ import annotations

import math

import numpy as np

from flykd_console.dashboard.chart_spec import GUTTER, ChartSpec, Curve, Ink, Row
from flykd_console.dashboard.palette import Look
from flykd_console.words import grouped, loss, significant


def legend(curves: list[Curve], spec: ChartSpec, width: int, most_rows: int, look: Look) -> list[Row]:
    """Names and values, as much of them as fits; the note stands at the right end of the first row."""
    measured = _measured_at(curves, spec)
    head = _head(spec, measured)
    note = f"  {spec.note}" if spec.note else ""
    forms = ((True, 3, most_rows), (False, 3, 1), (False, 2, 1), (False, 3, most_rows), (True, 0, 1), (False, 0, 1))
    rows: list[Row] = []
    for long_names, digits, most in forms:
        indent = GUTTER if long_names or not digits else 1
        start: Row = [(f"{head:<{indent}}" + (" " if len(head) >= indent else ""), Ink(look.foreground, bold=True))]
        rows = [list(start)]
        fits = True
        for curve in curves:
            item = _legend_item(curve, spec, long_names, digits, look, say_epoch=len(measured) > 1)
            if len(rows[-1]) > 1:
                if _length(rows[-1]) + _length(item) + 2 + (len(note) if len(rows) == 1 else 0) <= width:
                    item = [("  ", item[0][1]), *item]
                else:
                    rows.append([(" " * len(start[0][0]), start[0][1])])
            rows[-1] += item
            fits = fits and _length(rows[-1]) <= width
        if fits and len(rows) <= most:
            break
    spare = width - _length(rows[0])
    if note and len(note) <= spare:
        rows[0].append((f"{note:>{spare}}", Ink(look.muted)))
    return [_fit(row, width) for row in rows[:most_rows]]


def _legend_item(curve: Curve, spec: ChartSpec, long_name: bool, digits: int, look: Look, say_epoch: bool) -> Row:
    colour = look.blend(curve.colour, 0.6) if curve.faded else curve.colour
    item: Row = [
        (f"{curve.marker or ('╍' if curve.dashed else '━')} ", Ink(colour)),
        (curve.name if long_name else curve.short or curve.label or curve.name, Ink(look.foreground)),
    ]
    words = _value_words(curve, spec, digits, say_epoch) if digits else ""
    return [*item, (f" {words}", Ink(look.muted))] if words else item


def _head(spec: ChartSpec, measured: set[int]) -> str:
    """Where the reading line stands; and when that was measured which it reads there, if all of it was at once."""
    if spec.cursor is None:
        return ""
    epoch = next(iter(measured)) if len(measured) == 1 else round(spec.cursor)
    return f"{grouped(spec.cursor)}{f', eval {grouped(epoch)}' if epoch != round(spec.cursor) else ''}:"


def _measured_at(curves: list[Curve], spec: ChartSpec) -> set[int]:
    """The epochs at which that was measured which the reading line reads; empty where it reads other things."""
    if spec.cursor is None or spec.read != "measured":
        return set()
    indices = [(curve, _index(curve, spec.cursor)) for curve in curves]
    return {round(float(curve.x[index])) for curve, index in indices if index is not None}


def _index(curve: Curve, cursor: float) -> int | None:
    """The curve's last point up to a place; None before its first, and beyond its newest one."""
    index = int(np.searchsorted(curve.x, cursor, side="right")) - 1
    ended = cursor > curve.x[-1] + np.max(np.diff(curve.x[-8:]), initial=1.0)
    return index if index >= 0 and not ended else None


def _value_words(curve: Curve, spec: ChartSpec, digits: int, say_epoch: bool) -> str:
    """The newest value, or the one under the reading line; of a smoothed curve the measured one: an average lags."""
    at = ""
    measured = curve.y if curve.raw is None else curve.raw
    if spec.cursor is not None:
        index = _index(curve, spec.cursor)
        value = float(measured[index]) if index is not None else math.nan
        if index is not None and spec.read == "line":
            value = float(np.interp(spec.cursor, curve.x, curve.y))
        if index is not None and say_epoch:
            at = f" at {grouped(float(curve.x[index]))}"
    elif curve.value is not None:
        return curve.value
    else:
        solid = measured[np.isfinite(measured)]
        value = float(solid[-1]) if len(solid) else math.nan
    if spec.per_cent:
        return (f"{value:.2f}" if math.isfinite(value) else "–") + at
    if spec.significant is not None:
        return significant(value, spec.significant)
    return loss(value, min(digits, spec.digits))


def _length(row: Row) -> int:
    return sum(len(text) for text, _ in row)


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
