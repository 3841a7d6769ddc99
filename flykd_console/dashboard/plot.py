"""Draws one chart for a paper or a mail: SVG and PNG with real lines, axes and a legend, by matplotlib.

Runs as a process of its own (`python -m flykd_console.dashboard.plot` with a `PlotRequest` as JSON on its input), so
that the dashboard neither waits for matplotlib nor keeps it in memory.
"""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path
from typing import Any

import msgspec

from flykd_console.runs.files import replace_file

_INCHES = (8.0, 4.5)
_DPI = 200
# Grey print and any colour vision: the dash says which curve it is where the hue does not.
_DASHES = ("-", "--", "-.", ":", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 3)), (0, (8, 3)), (0, (3, 1, 1, 1)))

Numbers = list[float | None]


class PlotCurve(msgspec.Struct, frozen=True):
    """One line: `y` [n] at `x` [n], None for a gap; `raw` [m] at `raw_x` [m]: the trace before smoothing."""

    name: str
    x: list[float]
    y: Numbers
    colour: str
    faded: bool = False
    raw_x: list[float] = []
    raw: Numbers = []


class PlotRequest(msgspec.Struct, frozen=True):
    """What to draw, and `path`: the file without its ending. `band`: x, lower, upper [n]. Colours are hex texts."""

    path: str
    title: str
    x_label: str
    y_label: str
    curves: list[PlotCurve]
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    y_ticks: list[tuple[float, str]]
    log_y: bool
    background: str
    foreground: str
    grid: str
    band: tuple[list[float], Numbers, Numbers] | None = None
    now: float | None = None
    cursor: float | None = None
    note: str = ""


def plot(request: PlotRequest) -> list[Path]:
    """Write `<path>.svg` and `<path>.png`.

    Raises:
        OSError: The files cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    written = []
    # A text stays a text, and equal charts give equal files.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "flykd-console"}):
        figure = Figure(figsize=_INCHES, layout="constrained", facecolor=request.background)
        _draw(figure.add_subplot(), request)
        for ending, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
            out = io.BytesIO()
            figure.savefig(out, format=ending, dpi=_DPI, metadata=metadata)
            path = Path(f"{request.path}.{ending}")
            replace_file(path, out.getvalue())
            written.append(path)
    return written


def _draw(axes: Any, request: PlotRequest) -> None:
    ink = request.foreground
    axes.set_facecolor(request.background)
    axes.grid(color=request.grid, linewidth=0.6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(ink)
    axes.tick_params(colors=ink, labelsize=9)
    if request.log_y:
        axes.set_yscale("log")
    # The screen's ticks: a logarithmic axis of less than a decade has numbers too.
    axes.set_yticks([value for value, _ in request.y_ticks], [word for _, word in request.y_ticks])
    axes.minorticks_off()
    if request.band is not None:
        x, lower, upper = request.band
        axes.fill_between(x, _floats(lower), _floats(upper), color=ink, alpha=0.12, linewidth=0, label="± std")
    for i, curve in enumerate(request.curves):
        alpha = 0.35 if curve.faded else 1.0
        if curve.raw:
            axes.plot(curve.raw_x, _floats(curve.raw), color=curve.colour, alpha=0.3, linewidth=0.7)
        # What sums the others up is solid and broad.
        main = curve.colour == request.foreground
        axes.plot(
            curve.x, _floats(curve.y), color=curve.colour, alpha=alpha, linewidth=2.2 if main else 1.6,
            linestyle="-" if main else _DASHES[i % len(_DASHES)], label=curve.name,
        )  # fmt: skip
    for place, style in ((request.now, "-"), (request.cursor, ":")):
        if place is not None:
            axes.axvline(place, color=ink, linewidth=0.9, linestyle=style, alpha=0.7)
    axes.set_xlim(*request.x_range)
    axes.xaxis.get_major_locator().set_params(integer=True)  # epochs
    axes.set_ylim(*request.y_range)
    axes.set_xlabel(request.x_label, color=ink)
    axes.set_ylabel(request.y_label, color=ink)
    axes.set_title(request.title, color=ink, fontsize=11, loc="left")
    if request.note:
        axes.set_title(request.note, color=ink, fontsize=9, loc="right")
    if len(request.curves) > 1 or request.band is not None:
        axes.legend(
            loc="best", fontsize=9, labelcolor=ink, facecolor=request.background, edgecolor=request.grid, handlelength=3
        )


def _floats(values: Numbers) -> list[float]:
    return [math.nan if value is None else value for value in values]


def main() -> None:
    """Draw what stands on the input; print the files."""
    for path in plot(msgspec.json.decode(sys.stdin.buffer.read(), type=PlotRequest)):
        print(path)


if __name__ == "__main__":
    main()
