"""Places values on a chart: what of a curve is visible, the y axis that holds it, rows and columns of values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flykd_console.dashboard.canvas import Axis, Floats, decimate
from flykd_console.dashboard.chart_spec import ChartSpec, Curve

Mask = NDArray[np.bool_]

# The share of what is shown in which curves rise; and how many times as high the whole is that would squeeze the rest.
_RISE, _SQUEEZED = 0.25, 1.5
# Values that say where curves have got to.
_FEWEST = 4
# Below float32's smallest normal number a logarithmic axis has no ticks to offer.
_LEAST_ON_LOG = 1e-37


@dataclass
class Piece:
    """A curve as far as it is in the picture, thinned."""

    x: Floats
    y: Floats
    raw_x: Floats
    raw: Floats | None
    label: str
    colour: str
    faded: bool
    raw_y: Floats
    marker: str = ""
    dashed: bool = False


def visible(curve: Curve, spec: ChartSpec, columns: int) -> Piece:
    x, y = decimate(curve.x, curve.y, spec.x_low, spec.x_high, columns)
    return Piece(x, y, curve.x, curve.raw, curve.label, curve.colour, curve.faded, curve.y, curve.marker, curve.dashed)


def y_axis_of(spec: ChartSpec, pieces: list[Piece]) -> tuple[Axis, float | None]:
    """The y axis that holds what is visible, and the height above which points were cut off."""
    values = [_inside(p.x, p.y, spec) for p in pieces]
    raw = [
        _inside(*decimate(p.raw_x, p.raw, spec.x_low, spec.x_high, 256), spec)
        for p in pieces
        if p.raw is not None and not p.faded
    ]
    if spec.band is not None:
        x, lower, upper = spec.band
        values += [_inside(x, lower, spec), _inside(x, upper, spec)]
    reached = _plateau(pieces, spec) if spec.plateau else None
    if reached is not None:
        return _padded(*reached), None
    values.append(np.array([value for _, value in spec.levels], dtype=np.float64))
    everything = np.concatenate([*values, *raw])
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
    return _padded(low, high), cut


def _padded(low: float, high: float) -> Axis:
    """A little more than a range; not below zero where it is not."""
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    below_zero = low >= 0.0 > low - pad
    return Axis(0.0 if below_zero else low - pad, high + pad)


def _plateau(pieces: list[Piece], spec: ChartSpec) -> tuple[float, float] | None:
    """The range of curves after their first quarter, with levels above and near it; None where all of it is no larger.

    A level above is what is to be beaten, and is always held; one that is further below than the range is high is not.
    """
    if spec.log_y:
        return None
    ends = [min(float(piece.x[-1]), spec.x_high) for piece in pieces if len(piece.x)]
    if not ends:
        return None
    start = spec.x_low + _RISE * (max(ends) - spec.x_low)
    late = np.concatenate([_inside(piece.x, piece.y, replace(spec, x_low=start)) for piece in pieces])
    if spec.band is not None:
        x, lower, upper = spec.band
        late = np.concatenate([late, lower[x >= start], upper[x >= start]])
    late = late[np.isfinite(late)]
    if len(late) < _FEWEST:
        return None
    low, high = float(late.min()), max([float(late.max()), *(value for _, value in spec.levels)])
    near = [value for _, value in spec.levels if low > value > low - (high - low)]
    low = min([low, *near])
    whole = np.concatenate([_inside(piece.x, piece.y, spec) for piece in pieces])
    lowest = min([float(np.nanmin(whole)), *(value for _, value in spec.levels)])
    if high - lowest < _SQUEEZED * (high - low):
        return None
    return low, high


def _inside(x: Floats, y: Floats, spec: ChartSpec) -> Floats:
    """The values within the visible range, and those where a line enters and leaves it."""
    inside = y[(x >= spec.x_low) & (x <= spec.x_high)]
    edges = [edge for edge in (spec.x_low, spec.x_high) if len(x) and x[0] < edge < x[-1]]
    return np.concatenate((inside, np.interp(edges, x, y))) if edges else inside


def columns_where(
    pieces: list[Piece], axis: Axis, width: int, wanted: Callable[[Floats], Mask]
) -> tuple[list[int], int]:
    """Columns in which a curve, before smoothing, has values that are `wanted`, and how many such values there are."""
    columns: set[int] = set()
    count = 0
    for piece in pieces:
        values = piece.raw_y if piece.raw is None else piece.raw
        first, last = np.searchsorted(piece.raw_x, axis.low), np.searchsorted(piece.raw_x, axis.high, side="right")
        found = np.flatnonzero(wanted(values[first:last]))
        if not len(found):
            continue
        count += len(found)
        x = piece.raw_x[first:last][found]
        places = np.clip(np.floor((axis.position(x) * (2 * width - 1) + 0.5) / 2), 0, width - 1)
        columns.update(np.unique(places.astype(np.int64)).tolist())
    return sorted(columns), count


def row_of(axis: Axis, value: float, height: int) -> int:
    position = float(axis.position(np.array([value]))[0])
    return int(min(height - 1, max(0, math.floor(((1.0 - position) * (4 * height - 1) + 0.5) / 4))))


def column_of(axis: Axis, value: float, width: int) -> int:
    position = float(axis.position(np.array([value]))[0])
    return int(min(width - 1, max(0, math.floor((position * (2 * width - 1) + 0.5) / 2))))
