"""The seeds table: one row a seed, mean and deviation below; the charts bring out the row under the cursor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rich.text import Text
from textual.widgets import DataTable

from flykd_console.dashboard.palette import Look, look
from flykd_console.dashboard.scores import seed_words
from flykd_console.dashboard.table import SeedRow, score_words, seed_rows, sorted_rows, summary
from flykd_console.runs.results import ModelSummary, Spread
from flykd_console.runs.state.run import MODELS, RunState
from flykd_console.words import clipped, per_cent, short_relation, signed


@dataclass(frozen=True, slots=True)
class Column:
    """Key, the two lines of its head, width in cells, and whether it holds words (left) or numbers (right)."""

    key: str
    head: str
    below: str
    width: int
    words: bool = False


_SHORT_STATE = 8
_SPARK = (7, 16)


def columns(state: RunState, width: int) -> list[Column]:
    """The columns that fit into a width, the most telling first."""
    shapes = {model: state.shape(model) for model in MODELS}
    method = clipped(state.method, 10)
    relations = state.relations
    base = [
        Column("seed", "seed", "", 4),
        Column("teacher", "teacher", shapes["teacher"], max(7, len(shapes["teacher"]))),
        Column("baseline", "baseline", shapes["baseline"], max(8, len(shapes["baseline"]))),
        Column("student", method, shapes["student"], max(6, len(method), len(shapes["student"]))),
        Column("points", "gain", "points", 6),
        Column("percent", "", "%", 5),
    ]
    for relation in relations:
        base.append(Column(f"relation {relation}", short_relation(relation), method, max(6, len(method))))
    longest = max((len(seed_words(state, seed)) for seed in state.seeds), default=0)
    state_column = Column("state", " state", "", max(13, min(18, longest + 1)), words=True)
    spark = [Column("spark", " curve", "", _SPARK[0], words=True)]
    # What a narrow table goes without, in order: the stage's name, the gain in per cent, letters, the curve, relations.
    for step in ("state", "percent", "baseline", "spark", *("relation" for _ in relations)):
        if sum(c.width + 1 for c in base) + sum(c.width for c in (*spark, state_column)) <= width:
            break
        match step:
            case "state":
                state_column = Column("state", " state", "", _SHORT_STATE, words=True)
            case "percent":
                base = [column for column in base if column.key != "percent"]
            case "baseline":
                base = [replace(c, head="base", width=6) if c.head == "baseline" else c for c in base]
            case "spark":
                spark = []
            case _:
                base.pop()
    spare = max(0, width - sum(c.width + 1 for c in base) - sum(c.width for c in (*spark, state_column)))
    spark = [replace(c, width=min(_SPARK[1], c.width + spare)) for c in spark]
    spare -= sum(c.width - _SPARK[0] for c in spark)
    share = min(3, max(0, spare // len(base)))
    return [*(Column(c.key, c.head, c.below, c.width + share) for c in base), *spark, state_column]


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
        self.sort_key: str | None = None
        self.downwards = False

    @property
    def seed(self) -> int | None:
        """The seed of the row under the cursor, None on the rows below the seeds."""
        return self._order[self.cursor_row] if 0 <= self.cursor_row < len(self._order) else None

    def sort_next(self) -> None:
        """Sort by the next column; after the last one by the order of the run again."""
        keys = [column.key for column in self._layout if column.key != "spark"]
        at = keys.index(self.sort_key) + 1 if self.sort_key in keys else 0
        self.sort_by_column(keys[at] if at < len(keys) else None)

    def sort_by_column(self, key: str | None) -> None:
        """Sort by a column, the best first; None for the order of the run."""
        self.sort_key, self.downwards = key, key not in (None, "seed", "state")
        self._again()

    def turn(self) -> None:
        """Sort the other way round."""
        self.sort_key, self.downwards = self.sort_key or "seed", not self.downwards
        self._again()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        key = event.column_key.value
        if key == self.sort_key:
            self.turn()
        elif key != "spark":
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
        spark = next((column.width - 2 for column in layout if column.key == "spark"), 0)
        rows = seed_rows(state, spark)
        if self.sort_key is not None:
            rows = sorted_rows(rows, self.sort_key, self.downwards)
        self._order = [row.seed for row in rows]
        cells = {str(row.seed): {c.key: _cell(row, c, colours) for c in layout} for row in rows}
        means = summary(state)
        if sum("teacher" in r.scores and r.scores["teacher"].on_test for r in rows) >= 2:
            cells["mean"] = {c.key: _mean_cell(means, c, colours, False) for c in layout}
            cells["std"] = {c.key: _mean_cell(means, c, colours, True) for c in layout}
        marks = any(not s.on_test for r in rows for s in r.scores.values())
        self.border_title = "SEEDS [not bold]· test AUPRC, %" + (", v = validation so far" if marks else "") + "[/]"
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
            self.add_column(label, width=column.width + (not column.words), key=column.key)
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


def _cell(row: SeedRow, column: Column, colours: Look) -> Text:
    if column.key == "seed":
        return _text(str(row.seed), column, f"bold {colours.foreground}")
    if column.key == "state":
        words = row.words if len(row.words) < column.width else row.words.split(" ", 1)[-1]
        done = words in ("done", "reused")
        return _text(words, column, colours.curves[2] if done else colours.muted if words == "queued" else "")
    if column.key == "spark":
        return Text(f" {row.spark}", style=colours.blend(colours.foreground, 0.75), no_wrap=True)
    if column.key in MODELS:
        score = row.scores.get(column.key)
        return _text(score_words(score), column, "" if score is None or score.on_test else colours.muted)
    if column.key in ("points", "percent"):
        if row.gain is None:
            return _text("", column)
        value = row.gain.points if column.key == "points" else row.gain.percent
        colour = colours.curves[2] if value > 0 else colours.curves[5]
        mark = "" if row.gain_on_test else "v"
        return _text(
            signed(value, 2 if column.key == "points" else 1) + mark, column, colour if not mark else colours.muted
        )
    relation = column.key.removeprefix("relation ")
    student = row.scores.get("student")
    value_of = student.relations.get(relation) if student is not None else None
    if value_of is None or student is None:
        return _text("", column)
    return _text(
        per_cent(value_of) + ("" if student.on_test else "v"), column, "" if student.on_test else colours.muted
    )


def _mean_cell(means: dict[str, ModelSummary], column: Column, colours: Look, deviation: bool) -> Text:
    style = colours.muted if deviation else f"bold {colours.foreground}"
    if column.key == "seed":
        return _text("std" if deviation else "mean", column, style)
    if column.key in ("state", "spark"):
        return _text("", column, style)
    spread: Spread | None = None
    scale, digits, sign = 100.0, 2, False
    if column.key in MODELS and column.key in means:
        spread = means[column.key].macro_auprc
    elif column.key in ("points", "percent") and "student" in means:
        student = means["student"]
        spread = student.gain_points if column.key == "points" else student.gain_percent
        scale, sign, digits = 1.0, not deviation, 2 if column.key == "points" else 1
    elif column.key.startswith("relation ") and "student" in means:
        spread = means["student"].relations.get(column.key.removeprefix("relation "), {}).get("auprc")
    # A mean of one seed beside a mean of two would invite a comparison that means nothing.
    value = None if spread is None or spread.n < 2 else spread.std if deviation else spread.mean
    if value is None:
        return _text("", column, style)
    words = signed(scale * value, digits) if sign else f"{scale * value:.{digits}f}"
    return _text(words, column, style)
