"""The seeds table: one row a seed, mean and deviation below; the charts bring out the row under the cursor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rich.text import Text
from textual.widgets import DataTable

from flykd_console.dashboard.palette import Look, look
from flykd_console.dashboard.scores import seed_words
from flykd_console.dashboard.table import (
    ColumnKey,
    MeanGain,
    SeedRow,
    gaining,
    mean_gains,
    score_words,
    seed_rows,
    sorted_rows,
    summary,
)
from flykd_console.runs.events import MACRO_AUPRC
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import ModelSummary, Spread
from flykd_console.runs.state.run import RunState
from flykd_console.words import clipped, metric_words, per_cent, short_relation, signed


@dataclass(frozen=True, slots=True)
class Column:
    """Key, the two lines of its head, width in cells, and whether it holds words (left) or numbers (right)."""

    key: ColumnKey
    head: str
    below: str
    width: int
    words: bool = False


_SHORT_STATE = 8
_SPARK = (7, 16)
_LONG_HEAD, _SHORT_HEAD = 10, 6
_SEED, _STATE, _CURVE = ColumnKey("seed"), ColumnKey("state"), ColumnKey("spark")


def columns(state: RunState, width: int) -> list[Column]:
    """The columns that fit into a width, the most telling first."""
    numbers = [Column(_SEED, "seed", "", 4), *_model_columns(state), *_gain_columns(state), *_relation_columns(state)]
    longest = max((len(seed_words(state, seed)) for seed in state.seeds), default=0)
    state_column = Column(_STATE, " state", "", max(13, min(18, longest + 1)), words=True)
    spark = [Column(_CURVE, " curve", "", _SPARK[0], words=True)]

    def spare() -> int:
        return width - sum(c.width + 1 for c in numbers) - sum(c.width for c in (*spark, state_column))

    # What a narrow table goes without, in order: the stage's name, gains in per cent, scorers that are nobody's rival,
    # letters, the curve, letters of scorers, columns.
    steps: list[ColumnKey | str] = ["state", "percent", *_bystanders(state), "letters", "spark", "scorers"]
    steps += _dispensable(state, numbers)
    for step in steps:
        if spare() >= 0:
            break
        match step:
            case "state":
                state_column = Column(_STATE, " state", "", _SHORT_STATE, words=True)
            case "percent":
                numbers = [column for column in numbers if column.key.kind != "percent"]
            case "letters" | "scorers":
                numbers = [_shortened(state, column, scorers=step == "scorers") for column in numbers]
            case "spark":
                spark = []
            case _:
                numbers = [column for column in numbers if column.key != step]
    left = max(0, spare())
    spark = [replace(c, width=min(_SPARK[1], c.width + left)) for c in spark]
    left -= sum(c.width - _SPARK[0] for c in spark)
    share = min(3, max(0, left // len(numbers)))
    return [*(replace(c, width=c.width + share) for c in numbers), *spark, state_column]


def _model_columns(state: RunState) -> Iterator[Column]:
    """A column a model, under its label and shape; the label of one without a shape may take both lines."""
    for entry in state.trained:
        head, below = entry.label, entry.shape
        if not below and len(head) > _LONG_HEAD:
            head, _, below = head.partition(" ")
        head, below = clipped(head, _LONG_HEAD), clipped(below, _LONG_HEAD) if not entry.shape else below
        yield Column(ColumnKey("model", entry.name), head, below, max(6, len(head), len(below)))


def _gain_columns(state: RunState) -> Iterator[Column]:
    """The gain of the run's first model in points and per cent, then those of others in points."""
    found = gaining(state)
    for entry in found:
        below = "points" if len(found) == 1 else clipped(entry.label, _SHORT_HEAD)
        yield Column(ColumnKey("points", entry.name), "gain", below, 6)
        if entry == state.about:
            yield Column(ColumnKey("percent", entry.name), "", "%", 5)


def _relation_columns(state: RunState) -> Iterator[Column]:
    """AUPRC by relation of the model that the run is about."""
    if state.about is None:
        return
    label = clipped(state.about.label, _LONG_HEAD)
    for relation in state.relations:
        yield Column(ColumnKey("relation", relation), short_relation(relation), label, max(6, len(label)))


def _bystanders(state: RunState) -> list[ColumnKey]:
    """Columns of scorers without training that no gain is over, the last first."""
    rivals = {entry.over for entry in gaining(state)}
    names = [e.name for e in state.trained if e.role is Role.HEURISTIC and e.name not in rivals]
    return [ColumnKey("model", name) for name in reversed(names)]


def _dispensable(state: RunState, numbers: list[Column]) -> list[ColumnKey]:
    """Columns that give way, the first one first: relations, gains of further models, models themselves.

    The model that the run is about, its rival and its gain stay.
    """
    about = state.about
    kept = (about.name, about.over) if about is not None else ()
    keys = [column.key for column in reversed(numbers)]
    relations = [key for key in keys if key.kind == "relation"]
    gains = [key for key in keys if key.kind == "points" and key.name not in kept]
    models = [key for key in keys if key.kind == "model" and key.name not in kept]
    return [*relations, *gains, *models]


def _shortened(state: RunState, column: Column, scorers: bool) -> Column:
    """A model's column with a head of few letters, where its label is a long one and the run is not about it.

    Args:
        scorers: Of scorers without training, else of the others.
    """
    entry = state.entry(column.key.name) if column.key.kind == "model" else None
    if entry is None or entry == state.about or len(entry.label) <= _SHORT_HEAD + 1:
        return column
    if scorers != (entry.role is Role.HEURISTIC):
        return column
    head = _short_label(entry)
    return replace(column, head=head, width=max(6, len(head), len(column.below)))


def _short_label(entry: ModelEntry) -> str:
    plain = entry.role is Role.BASELINE and entry.label == entry.role
    return "base" if plain else clipped(entry.label, _SHORT_HEAD)


def left_out(state: RunState, layout: list[Column]) -> str:
    """Which models and gains the columns have no room for, in words; empty where all are there."""
    shown = [column.key for column in layout]
    models = [entry for entry in state.trained if ColumnKey("model", entry.name) not in shown]
    gains = [e for e in gaining(state) if e not in models and ColumnKey("points", e.name) not in shown]
    parts = [", ".join(entry.label for entry in models)] if models else []
    parts += [f"gain of {', '.join(entry.label for entry in gains)}"] if gains else []
    return f"not shown: {'; '.join(parts)}" if parts else ""


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
        keys = [column.key for column in self._layout if column.key != _CURVE]
        at = keys.index(self.sort_key) + 1 if self.sort_key in keys else 0
        self.sort_by_column(keys[at] if at < len(keys) else None)

    def sort_by_column(self, key: ColumnKey | None) -> None:
        """Sort by a column, the best first; None for the order of the run."""
        self.sort_key, self.downwards = key, key not in (None, _SEED, _STATE)
        self._again()

    def turn(self) -> None:
        """Sort the other way round."""
        self.sort_key, self.downwards = self.sort_key or _SEED, not self.downwards
        self._again()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        key = self._layout[event.column_index].key
        if key == self.sort_key:
            self.turn()
        elif key != _CURVE:
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
        spark = next((column.width - 2 for column in layout if column.key == _CURVE), 0)
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
    return _text(words, column, colours.curves[2] if value > 0 else colours.curves[5])


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
    if column.key == _SEED:
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
