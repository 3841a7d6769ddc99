"""Draws a forest plot as text: a row a seed, the mean with its interval, zero, and the paper's figure as a ring."""

from __future__ import annotations

from rich.text import Text

from flykd_console.compare.forest import Forest, ForestRow
from flykd_console.dashboard.palette import Look
from flykd_console.words import clipped, signed

# Cells of labels and of values, with what parts them from the plot.
_LABEL, _VALUE = 6, 9
_LEAST, _MOST = 16, 72
_ROOM = 0.04


def forest_text(forest: Forest, colours: Look, width: int) -> Text:
    """The plot in a width in cells, a line a row; empty where there is no room for it."""
    room = min(_MOST, width - _LABEL - _VALUE)
    if room < _LEAST:
        return Text()
    scale = _Scale(*forest.range, room)
    lines = [Text(clipped(forest.title, width), style=f"bold {colours.accent}")]
    lines += [_line(row, scale, colours) for row in forest.rows]
    if forest.paper is not None:
        lines.append(_paper(forest.paper, scale, colours))
    lines.append(Text(f"{'':<{_LABEL}}{clipped(forest.verdict, width - _LABEL)}", style=colours.foreground))
    return Text("\n").join(lines)


class _Scale:
    """From points to columns; a little room at either end."""

    def __init__(self, low: float, high: float, width: int) -> None:
        pad = _ROOM * (high - low) or 1.0
        self._low, self._span, self.width = low - pad, high - low + 2 * pad, width

    def column(self, points: float) -> int:
        """Where a value stands, 0 to width - 1."""
        return round((points - self._low) / self._span * (self.width - 1))


def _line(row: ForestRow, scale: _Scale, colours: Look) -> Text:
    cells = [" "] * scale.width
    cells[scale.column(0.0)] = "│"
    if row.ends is not None:
        first, last = scale.column(row.ends[0]), scale.column(row.ends[1])
        cells[first : last + 1] = "━" * (last - first + 1) if row.mean else "─" * (last - first + 1)
        zero = scale.column(0.0)
        if first < zero < last:
            cells[zero] = "╋" if row.mean else "┼"
        cells[first], cells[last] = ("┣", "┫") if row.mean else ("├", "┤")
    cells[scale.column(row.value)] = "◆" if row.mean else "●"
    style = f"bold {colours.foreground}" if row.mean else colours.foreground
    return Text.assemble(
        (f"{row.label:<{_LABEL}}", style if row.mean else colours.muted),
        ("".join(cells), style if row.mean else colours.curve(0)),
        (f"{signed(row.value):>{_VALUE}}", style),
    )


def _paper(points: float, scale: _Scale, colours: Look) -> Text:
    cells = [" "] * scale.width
    cells[scale.column(0.0)] = "│"
    cells[scale.column(points)] = "○"
    words = f"{'paper':<{_LABEL}}{''.join(cells)}{signed(points):>{_VALUE}}"
    return Text(words, style=colours.muted)
