"""The results of a run so far: every model, relation and seed on test, means, and what to do next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from flykd_console.dashboard.health import Phase, near
from flykd_console.dashboard.table import gaining, mean_gains, models_of, spread_words, summary
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import MACRO_AUPRC
from flykd_console.runs.model_shape import model_width
from flykd_console.runs.models import ModelEntry, trains_nothing
from flykd_console.runs.results import ModelResult, gain
from flykd_console.runs.state.run import RunState
from flykd_console.words import DASH, grouped, metric_words, per_cent, short_relation, signed, span

_LEAST_LABEL, _LEAST_SHAPE, _SCORE = 12, 9, 16
# As the style sheet has it: the dialog's width, its share of the screen at most; its frame, padding and scroll bar.
_WIDTH, _SHARE, _AROUND = 110, 0.96, 8
_REUSED = "reused"


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of the table, a cell for each model of each seed; `words` go left, numbers right."""

    head: str
    cells: list[str]
    words: bool = False

    @property
    def justify(self) -> Literal["left", "right"]:
        return "left" if self.words else "right"

    @property
    def width(self) -> int:
        """In cells, with one to each side."""
        return max(map(len, (self.head, *self.cells))) + 2


class ResultsScreen(ModalScreen[None]):
    """The table, and the next command."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,r,q", "dismiss", "Close", show=False),
        Binding("E", "export", "Export", show=False),
        Binding("c", "compare", "Intervals", show=False),
    ]

    def __init__(self, state: RunState, phase: Phase, directory: RunDirectory) -> None:
        super().__init__()
        self._metric = ""
        self._state, self._phase, self._directory = state, phase, directory

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", id="results"):
            yield Static(summary_text(self._state), id="results-summary")
            yield DataTable(id="results-table", cursor_type="row", zebra_stripes=False)
            yield Static(next_steps(self._state, self._phase, self._directory.name), id="results-next")

    def on_mount(self) -> None:
        box = self.query_one("#results")
        metric, by_relation = "macro", ""
        if self._state.headline != MACRO_AUPRC:
            metric, by_relation = metric_words(self._state.headline), "; by relation AUPRC"
        box.border_title = f"RESULTS [not bold]· test {metric_words(self._state.headline)}, %{by_relation}[/]"
        box.border_subtitle = "c intervals and tests · esc closes"
        self._metric = metric

    def on_resize(self) -> None:
        self._fill(self.query_one(DataTable), fitting_columns(self._state, self._metric, self._room()))

    def _room(self) -> int:
        """Cells for the table: those of the dialog without its frame, its padding and a bar to scroll by."""
        return min(_WIDTH, math.floor(_SHARE * self.app.size.width)) - _AROUND

    def _fill(self, table: DataTable[Text], columns: list[ResultColumn]) -> None:
        table.clear(columns=True)
        for column in columns:
            table.add_column(Text(column.head, justify=column.justify))
        for cells in zip(*(column.cells for column in columns), strict=True):
            table.add_row(*(Text(c, justify=column.justify) for c, column in zip(cells, columns, strict=True)))

    def action_compare(self) -> None:
        from flykd_console.dashboard.screens.comparison import ComparisonScreen

        self.app.push_screen(ComparisonScreen([self._directory]))

    def action_export(self) -> None:
        self.dismiss()
        self.app.call_later(self.app.run_action, "app.export")


def fitting_columns(state: RunState, metric: str, width: int) -> list[ResultColumn]:
    """The columns that fit into a width, all that the least telling leave room for; the metric and gains stay."""
    relations = list(map(short_relation, state.relations))
    gains = ["gain", "gain %"] if gaining(state) else []
    heads = ["seed", "model", metric, *relations, *gains, "epochs", "time"]
    cells = zip(*result_rows(state, state.relations), strict=True)
    listed = [list(column) for column in cells] or [[] for _ in heads]
    columns = [ResultColumn(h, c, h in ("seed", "model")) for h, c in zip(heads, listed, strict=True)]

    def fits() -> bool:
        return sum(column.width for column in columns) <= width

    if not fits():
        columns[-1] = ResultColumn(
            "time", [_REUSED if cell.startswith(_REUSED) else cell for cell in columns[-1].cells]
        )
    for head in ("gain %", "time", *reversed(relations), "epochs"):
        if fits():
            break
        columns = [column for column in columns if column.head != head]
    return columns


def result_rows(state: RunState, relations: list[str]) -> list[list[str]]:
    """One row for each model that was tested."""
    rows = []
    for seed in state.seeds:
        models = models_of(state, seed, "test")
        tested = [entry for entry in state.trained if entry.name in models]
        for place, entry in enumerate(tested):
            named = str(seed) if place == 0 else ""
            rows.append([named, entry.label, *_cells(state, models, entry, relations)])
    return rows


def _cells(state: RunState, models: dict[str, ModelResult], entry: ModelEntry, relations: list[str]) -> list[str]:
    """Scores, gain where any model of the run has one, epochs and time of a model in one seed."""
    found = models[entry.name]
    scores = [found.test.relations.get(relation) for relation in relations]
    cells = [per_cent(found.test.value(state.headline))]
    cells += [per_cent(score.auprc) if score is not None else DASH for score in scores]
    if gaining(state):
        won = gain(models, entry, state.headline)
        cells += ["", ""] if won is None else [signed(won.points), signed(won.percent, 1)]
    took = f"{_REUSED} from {found.reused_from}" if found.reused_from else span(found.seconds)
    return [*cells, grouped(found.epochs), took]


def summary_text(state: RunState) -> Content:
    """Mean ± std of each model and the gains."""
    means = summary(state)
    if not means:
        return Content.assemble(("No model has been tested yet.\n", "$muted"))
    tested = [entry for entry in state.trained if entry.name in means]
    widths = {entry.name: model_width(entry.dim, entry.layers, entry.layer_kind) for entry in state.trained}
    room = max(_LEAST_SHAPE, *(len(width) + 1 for width in widths.values()))
    left = max(_LEAST_LABEL, *(len(entry.label) + 2 for entry in tested))
    parts: list[tuple[str, str] | str] = []
    for entry in tested:
        spread = means[entry.name].metrics.get(state.headline)
        count = f"{spread.n} seed{'s' if spread.n != 1 else ''}" if spread is not None else ""
        parts += [
            (f"{entry.label:<{left}}", "bold $foreground"), (f"{widths[entry.name]:<{room}}", "$muted"),
            (f"{spread_words(spread, 100.0):<{_SCORE}}", "bold $primary"), (f"{count}\n", "$muted"),
        ]  # fmt: skip
    return Content.assemble(*parts, *_gains_text(state, left, room))


def _gains_text(state: RunState, left: int, room: int) -> list[tuple[str, str]]:
    """Each model's mean gain, below the model that it is over."""
    gains = mean_gains(state)
    told = [(entry, gains[entry.name]) for entry in gaining(state) if entry.name in gains]
    parts: list[tuple[str, str]] = []
    for name in dict.fromkeys(entry.over for entry, _ in told):
        rival = state.entry(name)
        parts.append((f"gain over the seed's {rival.label if rival is not None else name}\n", "$muted"))
        for entry, won in (pair for pair in told if pair[0].over == name):
            parts += [
                (f"{f'  {entry.label}':<{left + room}}", "bold $foreground"),
                (f"{spread_words(won.points, 1.0, sign=True)} points", "bold $foreground"),
                (f"   {spread_words(won.percent, 1.0, sign=True)} %\n", "$muted"),
            ]
    return parts


def next_steps(state: RunState, phase: Phase, run: str) -> Content:
    """What to do now."""
    if phase is not Phase.FINISHED:
        return Content.assemble(("\nTest scores come when a model is done; the table fills as they do.", "$muted"))
    if trains_nothing(state.models):
        return Content.assemble(
            ("\nNext  ", "bold $primary"),
            (f"flykd-console compare {run}", "$foreground"),
            " tells intervals and distances",
        )
    if state.exports:
        bundle = near(state.exports[-1].bundle)
        return Content.assemble(
            ("\nNext  ", "bold $primary"),
            f"flykd-console score {bundle} --disease NAME --top 20",
        )
    return Content.assemble(
        ("\nNext  ", "bold $primary"), ("E", "bold $key"), " writes and verifies the bundle, as does  ",
        (f"flykd-console export {run}", "$foreground"), "\n      then  ",
        ("flykd-console score BUNDLE --disease NAME --top 20", "$foreground"), " ranks drugs with it",
    )  # fmt: skip
