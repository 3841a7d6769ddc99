"""The seeds table: one row a seed, mean and deviation below; the charts bring out the row under the cursor."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text
from textual.widgets import DataTable

from flykd_console.dashboard.palette import Look, look
from flykd_console.dashboard.seed_columns import CURVE, SEED, STATE, Column, columns, left_out
from flykd_console.dashboard.table import (
    ColumnKey,
    MeanGain,
    SeedRow,
    mean_gains,
    score_words,
    seed_rows,
    sorted_rows,
    summary,
)
from flykd_console.runs.events import MACRO_AUPRC
from flykd_console.runs.models import ModelEntry
from flykd_console.runs.results import ModelSummary, Spread
from flykd_console.runs.state.run import RunState
from flykd_console.words import clipped, metric_words, per_cent, signed


class SeedsPanel(DataTable[Text]):
    """The table in a frame."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__(
            id="seeds", classes="panel", cursor_type="row", header_height=2, cell_padding=0, show_cursor=False,
        )  # fmt: skip
        self.border_title = "SEEDS"
        self._state: RunState | None = None
        self._shape: tuple[object, ...] = ()
        self._cells: dict[tuple[str, str], Text] = {}
        self._order: list[int] = []
        self._row_names: list[str] = []
        self._layout: list[Column] = []
        self.sort_key: ColumnKey | None = None
        self.downwards = False

    @property
    def seed(self) -> int | None:
        """The seed of the row under the cursor, None on the rows below the seeds."""
        return self._order[self.cursor_row] if 0 <= self.cursor_row < len(self._order) else None

    def sort_next(self) -> None:
        """Sort by the next column; after the last one by the order of the run again."""
        keys = [column.key for column in self._layout if column.key != CURVE]
        at = keys.index(self.sort_key) + 1 if self.sort_key in keys else 0
        self.sort_by_column(keys[at] if at < len(keys) else None)

    def sort_by_column(self, key: ColumnKey | None) -> None:
        """Sort by a column, the best first; None for the order of the run."""
        self.sort_key, self.downwards = key, key not in (None, SEED, STATE)
        self._again()

    def turn(self) -> None:
        """Sort the other way round."""
        self.sort_key, self.downwards = self.sort_key or SEED, not self.downwards
        self._again()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        key = self._layout[event.column_index].key
        if key == self.sort_key:
            self.turn()
        elif key != CURVE:
            self.sort_by_column(key)

    def _again(self) -> None:
        if self._state is not None:
            self.show(self._state)

    def show(self, state: RunState) -> None:
        """Bring the cells up to date; the cursor stays where it is."""
        self._state = state
        width = self.content_size.width or 60
        colours = look(self.app.current_theme.dark)
        layout = self._layout = columns(state, width)
        spark = next((column.width - 2 for column in layout if column.key == CURVE), 0)
        rows = seed_rows(state, spark)
        if self.sort_key is not None:
            rows = sorted_rows(rows, self.sort_key, self.downwards)
        self._order = [row.seed for row in rows]
        cells = {str(row.seed): {str(c.key): _cell(row, c, colours) for c in layout} for row in rows}
        tested = [sum(m in r.scores and r.scores[m].on_test for r in rows) for m in (e.name for e in state.trained)]
        if max(tested, default=0) >= 2:
            means = Means(state.headline, state.about, summary(state), mean_gains(state))
            cells["mean"] = {str(c.key): _mean_cell(means, c, colours, False) for c in layout}
            cells["std"] = {str(c.key): _mean_cell(means, c, colours, True) for c in layout}
        self.border_title = f"SEEDS [not bold]· {_measured(state, layout, rows)}[/]"
        self.border_subtitle = clipped(left_out(state, layout), width).replace("[", "\\[")
        shape = (tuple(layout), tuple(cells), self.app.current_theme.dark, self.sort_key, self.downwards)
        if shape != self._shape:
            self._rebuild(layout, cells, shape, colours)
            return
        for row, values in cells.items():
            for key, value in values.items():
                if self._cells.get((row, key)) != value:
                    self._cells[row, key] = value
                    self.update_cell(row, key, value)

    def _rebuild(
        self, layout: list[Column], cells: dict[str, dict[str, Text]], shape: tuple[object, ...], colours: Look
    ) -> None:
        at = self._row_names[self.cursor_row] if 0 <= self.cursor_row < len(self._row_names) else ""
        self._row_names = list(cells)
        self._shape, self._cells = shape, {}
        self.clear(columns=True)
        for column in layout:
            side = "left" if column.words else "right"
            below = column.below
            if column.key == self.sort_key:
                below = f"{below} {'▾' if self.downwards else '▴'}".strip()
                below = f" {below}" if column.words else below
            label = Text(f"{column.head}\n{below}", style=colours.muted, justify=side)  # type: ignore[arg-type]
            self.add_column(label, width=column.width + (not column.words), key=str(column.key))
        for key, values in cells.items():
            self.add_row(*values.values(), key=key)
            self._cells.update({(key, name): value for name, value in values.items()})
        self.move_cursor(row=self._row_names.index(at) if at in self._row_names else 0)

    def on_focus(self) -> None:
        self.show_cursor = True

    def on_blur(self) -> None:
        self.show_cursor = False

    def on_resize(self) -> None:
        if self._state is not None:
            self.show(self._state)


def _text(words: str, column: Column, style: str = "") -> Text:
    if column.words:
        return Text(" " + clipped(words, column.width - 1), style=style, no_wrap=True)
    return Text(words, style=style, justify="right", no_wrap=True)


def _measured(state: RunState, layout: list[Column], rows: list[SeedRow]) -> str:
    """What the numbers are, for the title."""
    words = f"test {metric_words(state.headline)}, %"
    if state.headline != MACRO_AUPRC and any(column.key.kind == "relation" for column in layout):
        words += ", by relation AUPRC"
    if any(not score.on_test for row in rows for score in row.scores.values()):
        words += ", v = validation so far"
    return words


def _cell(row: SeedRow, column: Column, colours: Look) -> Text:
    match column.key.kind:
        case "seed":
            return _text(str(row.seed), column, f"bold {colours.foreground}")
        case "state":
            return _state_cell(row, column, colours)
        case "spark":
            return Text(f" {row.spark}", style=colours.blend(colours.foreground, 0.75), no_wrap=True)
        case "model":
            score = row.scores.get(column.key.name)
            return _text(score_words(score), column, "" if score is None or score.on_test else colours.muted)
        case "points" | "percent":
            return _gain_cell(row, column, colours)
        case "relation":
            return _relation_cell(row, column, colours)


def _state_cell(row: SeedRow, column: Column, colours: Look) -> Text:
    words = row.words if len(row.words) < column.width else row.words.split(" ", 1)[-1]
    if words in ("done", "reused"):
        return _text(words, column, colours.curves[2])
    return _text(words, column, colours.muted if words == "queued" else "")


def _gain_cell(row: SeedRow, column: Column, colours: Look) -> Text:
    won = row.gains.get(column.key.name)
    if won is None:
        return _text("", column)
    points = column.key.kind == "points"
    value = won.gain.points if points else won.gain.percent
    words = signed(value, 2 if points else 1)
    if not won.on_test:
        return _text(f"{words}v", column, colours.muted)
    # One seed's gain is no verdict: neither green nor red.
    return _text(words, column)


def _relation_cell(row: SeedRow, column: Column, colours: Look) -> Text:
    about = row.about
    if about is None or column.key.name not in about.relations:
        return _text("", column)
    words = per_cent(about.relations[column.key.name])
    return _text(words, column) if about.on_test else _text(f"{words}v", column, colours.muted)


@dataclass(frozen=True, slots=True)
class Means:
    """What the rows below the seeds tell: over the tests of all of them."""

    headline: str
    about: ModelEntry | None
    summary: dict[str, ModelSummary]
    gains: dict[str, MeanGain]

    def spread(self, key: ColumnKey) -> Spread | None:
        """Mean and deviation of a column: fractions, or of a gain points and per cent."""
        match key.kind:
            case "model":
                return self.summary[key.name].metrics.get(self.headline) if key.name in self.summary else None
            case "points" | "percent":
                won = self.gains.get(key.name)
                if won is None:
                    return None
                return won.points if key.kind == "points" else won.percent
            case "relation":
                found = self.summary.get(self.about.name) if self.about is not None else None
                return found.relations.get(key.name, {}).get("auprc") if found is not None else None
            case _:
                return None


def _mean_cell(means: Means, column: Column, colours: Look, deviation: bool) -> Text:
    style = colours.muted if deviation else f"bold {colours.foreground}"
    if column.key == SEED:
        return _text("std" if deviation else "mean", column, style)
    spread = means.spread(column.key)
    # A mean of one seed beside a mean of two would invite a comparison that means nothing.
    if spread is None or spread.n < 2:
        return _text("", column, style)
    value = spread.std if deviation else spread.mean
    if value is None:
        return _text("", column, style)
    gain = column.key.kind in ("points", "percent")
    digits = 1 if column.key.kind == "percent" else 2
    if gain:
        return _text(f"{value:.{digits}f}" if deviation else signed(value, digits), column, style)
    return _text(f"{100 * value:.2f}", column, style)
