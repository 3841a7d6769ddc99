"""Saves one chart as it is looked at: an SVG of a good size, and the visible values as CSV beside it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style
from rich.terminal_theme import TerminalTheme

from flykd_console.dashboard.palette import Look, look
from flykd_console.dashboard.widgets.chart import ChartPanel, rich_style
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import replace_file

if TYPE_CHECKING:
    from flykd_console.dashboard.drawing import ChartSpec

SIZE = (110, 30)


def save_chart(chart: ChartPanel, directory: RunDirectory, dark: bool) -> Path | None:
    """Write `charts/<panel>.svg` and `.csv` into the run's folder.

    Returns:
        The picture's path, or None where the chart is empty.

    Raises:
        OSError: The files cannot be written.
    """
    width, height = SIZE
    colours = look(dark)
    rows = chart.rows(width, height, dark)
    if chart.spec is None or not chart.spec.curves:
        return None
    console = Console(
        width=width, height=height, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for row in rows:
        console.print(Segments([Segment(text, rich_style(ink)) for text, ink in row]), end="\n", style=Style())
    title = f"{directory.name} · {chart.title.lower()}"
    svg = console.export_svg(title=title, theme=_terminal_theme(colours))
    folder = directory.path / "charts"
    folder.mkdir(exist_ok=True)
    path = folder / f"{chart.id}.svg"
    replace_file(path, svg.encode())
    replace_file(path.with_suffix(".csv"), values_csv(chart.spec).encode())
    return path


def values_csv(spec: ChartSpec) -> str:
    """The curves within the visible range, one row a point: `curve, epoch, value, raw` (raw: before smoothing)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("curve", "epoch", "value", "raw"))
    for curve in spec.curves:
        raw = curve.raw if curve.raw is not None else curve.y
        for x, y, before in zip(curve.x.tolist(), curve.y.tolist(), raw.tolist(), strict=True):
            if spec.x_low <= x <= spec.x_high:
                writer.writerow(
                    (curve.name, f"{x:g}", "" if y != y else repr(y), "" if before != before else repr(before))
                )
    return out.getvalue()


def _terminal_theme(colours: Look) -> TerminalTheme:
    def rgb(colour: str) -> tuple[int, int, int]:
        return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)

    eight = [rgb(c) for c in colours.curves]
    return TerminalTheme(rgb(colours.background), rgb(colours.foreground), eight, eight)
