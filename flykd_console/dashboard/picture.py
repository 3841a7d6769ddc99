"""Saves one chart as it is looked at: SVG and PNG by `plot` in a process of its own, and the visible values as CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flykd_console.dashboard.palette import look
from flykd_console.dashboard.widgets.chart import METRICS, ChartPanel
from flykd_console.plain_text import spreadsheet_cell
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import replace_file

if TYPE_CHECKING:
    from flykd_console.dashboard.canvas import Floats
    from flykd_console.dashboard.chart_spec import ChartSpec
    from flykd_console.dashboard.plot import Numbers, PlotRequest

_Y_LABELS = {
    "weights": "weight of the loss", "losses": "loss", "learning_rate": "learning rate", "speed": "epochs per second",
}  # fmt: skip
_POINTS = 4_000


def chart_path(chart: ChartPanel, directory: RunDirectory) -> Path:
    """Where a chart is saved, without ending: the name says what it shows and how, so that no other is overwritten."""
    return directory.path / "charts" / "-".join(chart.subject)


async def save_chart(chart: ChartPanel, path: Path, run: str, dark: bool) -> None:
    """Write `<path>.svg`, `.png` and `.csv` of a chart that is not empty; `run`: the run's name, for the title.

    Raises:
        OSError: The files cannot be written, or the process that draws them has failed; its last line says why.
    """
    import msgspec

    chart.rows(110, 30, dark)
    assert chart.spec is not None
    path.parent.mkdir(exist_ok=True)
    replace_file(path.with_name(f"{path.name}.csv"), values_csv(chart.spec).encode())
    request = msgspec.json.encode(plot_request(chart, chart.spec, path, run, dark))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "flykd_console.dashboard.plot",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate(request)
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines()
        raise OSError(0, lines[-1] if lines else f"exit code {process.returncode}")


def plot_request(chart: ChartPanel, spec: ChartSpec, path: Path, run: str, dark: bool) -> PlotRequest:
    """The chart as the drawing process wants it: on the axes of the screen, thinned to what a picture can show."""
    from flykd_console.dashboard.canvas import decimate, tick_words
    from flykd_console.dashboard.plot import PlotCurve, PlotRequest
    from flykd_console.dashboard.scales import visible, y_axis_of

    colours = look(dark)
    columns = _POINTS // 2
    shown = [curve for curve in spec.curves if len(curve.x)]
    axis, cut = y_axis_of(spec, [visible(curve, spec, columns) for curve in shown])
    curves = []
    for curve in shown:
        x, y = decimate(curve.x, curve.y, spec.x_low, spec.x_high, columns)
        raw_x, raw = curve.x[:0], curve.x[:0]
        if curve.raw is not None and not curve.faded:
            raw_x, raw = decimate(curve.x, curve.raw, spec.x_low, spec.x_high, columns)
        curves.append(
            PlotCurve(
                curve.name, x.tolist(), _numbers(y), curve.colour, curve.faded, raw_x.tolist(), _numbers(raw)
            )
        )  # fmt: skip
    ends = [spec.x_low, spec.x_high]
    curves += [PlotCurve(name, ends, [value, value], colours.muted, True, [], []) for name, value in spec.levels]
    ticks = axis.ticks(8)
    band = None
    if spec.band is not None:
        band = (spec.band[0].tolist(), _numbers(spec.band[1]), _numbers(spec.band[2]))
    return PlotRequest(
        path=str(path), title=f"{chart.plain_title}\n{run}", x_label="epoch",
        y_label=_y_label(chart), curves=curves, x_range=(spec.x_low, spec.x_high),
        y_range=(axis.low, axis.high), y_ticks=list(zip(ticks, tick_words(ticks), strict=True)), log_y=axis.log,
        background=colours.background, foreground=colours.foreground,
        grid=colours.faint, band=band, now=spec.now, cursor=spec.cursor,
        note=" ".join(filter(None, (spec.note, "outliers above are cut off" if cut is not None else ""))),
    )  # fmt: skip


def _y_label(chart: ChartPanel) -> str:
    return f"validation {chart.metric}, %" if chart.recipe in METRICS else _Y_LABELS[chart.recipe]


def _numbers(values: Floats) -> Numbers:
    return [None if value != value else value for value in values.tolist()]


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
                    (
                        spreadsheet_cell(curve.name),
                        f"{x:g}",
                        "" if y != y else repr(y),
                        "" if before != before else repr(before),
                    )
                )
    for name, value in spec.levels:
        for end in (spec.x_low, spec.x_high):
            writer.writerow((spreadsheet_cell(name), f"{end:g}", repr(value), repr(value)))
    return out.getvalue()
