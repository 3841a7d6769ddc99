"""What a chart is, before it is drawn: curves with their colours, ranges, markers and remarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from flykd_console.dashboard.canvas import Floats

GUTTER = 6
"""Cells left of the plot: the y axis with its ticks."""


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
        marker: A sign set along the line, so that it is told apart without its colour; empty for none.
        dashed: Drawn in dashes.
        short: In a legend that is too narrow for the name; empty: the label, or the name.
    """

    name: str
    label: str
    x: Floats
    y: Floats
    colour: str
    raw: Floats | None = None
    faded: bool = False
    value: str | None = None
    marker: str = ""
    short: str = ""
    dashed: bool = False


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
        levels: Names and values of quiet horizontal lines, which the y axis holds as well.
        empty: What to say where there is nothing to draw.
        note: A quiet remark in the top right corner.
        clip: Cut outliers off, and mark where.
        plateau: The y axis holds where curves have got to, not the way there: what is far below is cut off and marked.
        per_cent: Values are per cent, said with two decimals.
        digits: Decimals of values in the legend, at most.
        significant: Significant digits of values instead; None for decimals.
        read: What the reading line reads of a curve: the last `point`, the last one `measured` and the epoch at which
            that was, or the `line` as it is drawn.
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
    levels: tuple[tuple[str, float], ...] = ()
    empty: str = ""
    note: str = ""
    clip: bool = False
    plateau: bool = False
    per_cent: bool = False
    digits: int = 3
    significant: int | None = None
    read: Literal["point", "measured", "line"] = "point"
