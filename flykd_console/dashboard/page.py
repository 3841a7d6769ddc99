"""The plot area of a chart with its right margin: braille below, words and markers on top."""

from __future__ import annotations

import numpy as np

from flykd_console.dashboard.canvas import EMPTY, Axis, Canvas, Cells, runs_of
from flykd_console.dashboard.chart_spec import Ink, Row
from flykd_console.dashboard.palette import Look
from flykd_console.dashboard.scales import Piece, column_of, row_of


class Page:
    """The plot area and its right margin: braille below, text on top."""

    def __init__(self, canvas: Canvas, inks: list[Ink], width: int) -> None:
        self.canvas, self.inks, self.width = canvas, list(inks), width
        self.codes: Cells = np.full((canvas.height, width), 0x20, dtype=np.int32)
        self.codes[:, : canvas.width] = canvas.codes()
        self.style: Cells = np.full((canvas.height, width), EMPTY, dtype=np.int32)
        self.style[:, : canvas.width] = canvas.owner
        self.taken = np.zeros((canvas.height, width), dtype=np.bool_)

    def grid(self, row: int, ink: Ink, mark: str = "┈") -> None:
        self.inks.append(ink)
        free = np.isin(self.codes[row, : self.canvas.width], (0x20, ord("┈")))
        self.codes[row, : self.canvas.width][free] = ord(mark)
        self.style[row, : self.canvas.width][free] = len(self.inks) - 1

    def level(self, row: int, word: str, ink: Ink) -> None:
        """A quiet line across, named where the most of its row is free, the rightmost such place."""
        self.grid(row, ink, "╌")
        width, length = self.canvas.width, len(word)
        if length > width:
            return
        blank = np.isin(self.codes[row, :width], (ord("╌"), ord("┈"), 0x20)) & ~self.taken[row, :width]
        free = np.convolve(blank, np.ones(length), "valid").round()
        self.write(row, int(len(free) - 1 - np.argmax(free[::-1])), word, ink)

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
        if not self.free(row, column, word):
            return False
        end = column + len(word)
        self.inks.append(ink)
        self.codes[row, column:end] = [ord(c) for c in word]
        self.style[row, column:end] = len(self.inks) - 1
        self.taken[row, column:end] = True
        return True

    def free(self, row: int, column: int, word: str) -> bool:
        """Whether a word fits and nothing written is there."""
        end = column + len(word)
        if not (0 <= row < self.canvas.height and column >= 0 and end <= self.width):
            return False
        return not self.taken[row, column:end].any()

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


def end_labels(page: Page, pieces: list[Piece], x_axis: Axis, y_axis: Axis, look: Look) -> None:
    height, width = page.canvas.height, page.canvas.width
    ends = []
    for piece in pieces:
        inside = np.isfinite(y_axis.position(piece.y)) & (piece.x <= x_axis.high) & (piece.x >= x_axis.low)
        if inside.any():
            last = np.flatnonzero(inside)[-1]
            x, y = float(piece.x[last]), float(piece.y[last])
            column = column_of(x_axis, x, width)
            start = min(column + 2 if column < width - 1 else width + 1, page.width - len(piece.label))
            ends.append((row_of(y_axis, y, height), -y, (start, row_of(y_axis, y, height), piece)))
    places = [place for _, _, place in sorted(ends, key=lambda end: end[:2])]
    for together in _neighbours(places):
        rows = _spread(page, together)
        for (start, _, piece), row in zip(together, rows, strict=True):
            if row is not None:
                ink = Ink(look.blend(piece.colour, 0.6) if piece.faded else piece.colour, bold=not piece.faded)
                page.write(row, start, piece.label, ink)


Place = tuple[int, int, Piece]
"""A label: its first column, the row where its curve ends, the curve."""


def _neighbours(places: list[Place]) -> list[list[Place]]:
    """Groups of labels that share columns, each from top to bottom; those of different groups cannot collide."""
    groups: list[tuple[int, int, list[int]]] = []
    for number, (start, _, piece) in enumerate(places):
        low, high, members = start, start + len(piece.label), [number]
        apart = []
        for group in groups:
            if group[0] < high and low < group[1]:
                low, high, members = min(low, group[0]), max(high, group[1]), members + group[2]
            else:
                apart.append(group)
        groups = [*apart, (low, high, members)]
    return [[places[number] for number in sorted(members)] for _, _, members in groups]


def _spread(page: Page, places: list[Place]) -> list[int | None]:
    """A row for each label, in the order of the curves' ends and as near to them as possible; None: left out.

    The sum of squared distances is the least of all; a label further away than three rows would name another curve.
    """
    height = page.canvas.height
    # cost[i][r]: the least for the labels from i on, in rows from r on.
    cost = [[0.0] * (height + 1) for _ in range(len(places) + 1)]
    choice: list[list[str]] = [["omit"] * (height + 1) for _ in places]
    for i in reversed(range(len(places))):
        start, wanted, piece = places[i]
        omitted = _OMITTED_FADED if piece.faded else _OMITTED
        for row in range(height, -1, -1):
            options = [(cost[i + 1][row] + omitted, "omit")]
            if row < height:
                options.append((cost[i][row + 1], "later"))
                if page.free(row, start, piece.label):
                    options.append((cost[i + 1][row + 1] + (row - wanted) ** 2, "here"))
            cost[i][row], choice[i][row] = min(options, key=lambda option: (option[0], option[1] != "here"))
    rows: list[int | None] = []
    row = 0
    for i in range(len(places)):
        while choice[i][row] == "later":
            row += 1
        here = choice[i][row] == "here"
        rows.append(row if here else None)
        row += here
    return rows


# In squared rows: three rows away is better than no label, four are not.
_OMITTED, _OMITTED_FADED = 10.0, 5.0


_MARKER_EVERY = 14
"""Cells between two signs on a line."""


def set_markers(page: Page, pieces: list[Piece], x_axis: Axis, y_axis: Axis, look: Look) -> None:
    """Set the curves' signs along them, each curve's at columns of its own."""
    width, height = page.canvas.width, page.canvas.height
    marked = [piece for piece in pieces if piece.marker]
    for number, piece in enumerate(marked):
        ink = Ink(look.blend(piece.colour, 0.6) if piece.faded else piece.colour, bold=True)
        for column in range(_MARKER_EVERY * (number + 1) // (len(marked) + 1), width, _MARKER_EVERY):
            x = x_axis.at((column + 0.5) / width)
            if not len(piece.x) or not piece.x[0] <= x <= piece.x[-1]:
                continue
            y = float(np.interp(x, piece.x, piece.y))
            if 0.0 <= float(y_axis.position(np.array([y]))[0]) <= 1.0:
                page.write(row_of(y_axis, y, height), column, piece.marker, ink)
