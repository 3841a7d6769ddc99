"""The results of a run so far: every model, relation and seed on test, means, and what to do next."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from flykd_console.dashboard.following import FollowingApp
from flykd_console.dashboard.health import Phase, near
from flykd_console.dashboard.table import spread_words, summary
from flykd_console.runs.results import gain
from flykd_console.runs.state.run import MODELS, RunState
from flykd_console.words import grouped, per_cent, short_relation, signed, span


class ResultsScreen(ModalScreen[None]):
    """The table, and the next command."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,r,q", "dismiss", "Close", show=False),
        Binding("e", "export", "Export", show=False),
        Binding("c", "compare", "Intervals", show=False),
    ]

    def __init__(self, state: RunState, phase: Phase, run: str) -> None:
        super().__init__()
        self._state, self._phase, self._run = state, phase, run

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", id="results"):
            yield Static(summary_text(self._state), id="results-summary")
            yield DataTable(id="results-table", cursor_type="row", zebra_stripes=False)
            yield Static(next_steps(self._state, self._phase, self._run), id="results-next")

    def on_mount(self) -> None:
        box = self.query_one("#results")
        box.border_title = "RESULTS [not bold]· test AUPRC, %[/]"
        box.border_subtitle = "c intervals and tests · esc closes"
        table = self.query_one(DataTable)
        state = self._state
        relations = state.relations
        for head in ("seed", "model", "macro", *map(short_relation, relations), "gain", "gain %", "epochs", "time"):
            left = head in ("seed", "model")
            table.add_column(Text(head, justify="left" if left else "right"))
        for cells in result_rows(state, relations):
            table.add_row(*(Text(c, justify="left" if i < 2 else "right") for i, c in enumerate(cells)))

    def action_compare(self) -> None:
        from flykd_console.dashboard.screens.comparison import ComparisonScreen

        assert isinstance(self.app, FollowingApp)
        self.app.push_screen(ComparisonScreen([self.app.directory]))

    def action_export(self) -> None:
        self.dismiss()
        self.app.call_later(self.app.run_action, "app.evaluate_or_export")


def result_rows(state: RunState, relations: list[str]) -> list[list[str]]:
    """One row for each model that was tested."""
    from flykd_console.dashboard.table import models_of

    rows = []
    for seed in state.seeds:
        models = models_of(state, seed, "test")
        won = gain(models)
        named = False
        for model in MODELS:
            found = models.get(model)
            if found is None:
                continue
            name = state.method if model == "student" else model
            points = signed(won.points) if won and model == "student" else ""
            percent = signed(won.percent, 1) if won and model == "student" else ""
            scores = [per_cent(found.test.relations[r].auprc) if r in found.test.relations else "–" for r in relations]
            time = f"reused from {found.reused_from}" if found.reused_from else span(found.seconds)
            rows.append(
                ["" if named else str(seed), name, per_cent(found.test.macro_auprc), *scores, points, percent,
                 grouped(found.epochs), time]
            )  # fmt: skip
            named = True
    return rows


def summary_text(state: RunState) -> Content:
    """Mean ± std of each model and the gain."""
    means = summary(state)
    if not means:
        return Content.assemble(("No model has been tested yet.\n", "$muted"))
    parts: list[tuple[str, str] | str] = []
    shapes = {model: state.shape(model) for model in MODELS}
    widths = {model: f"d = {shape}" if shape.isdigit() else shape for model, shape in shapes.items()}
    room = max(9, *(len(width) + 1 for width in widths.values()))
    for model in MODELS:
        if model not in means:
            continue
        spread = means[model].macro_auprc
        name = state.method if model == "student" else model
        count = f"{spread.n} seed{'s' if spread.n != 1 else ''}" if spread is not None else ""
        parts += [
            (f"{name:<12}", "bold $foreground"), (f"{widths[model]:<{room}}", "$muted"),
            (f"{spread_words(spread, 100.0):<16}", "bold $primary"), (f"{count}\n", "$muted"),
        ]  # fmt: skip
    student = means.get("student")
    if student is not None and student.gain_points is not None:
        parts += [
            (f"{'gain':<12}", "bold $foreground"), (f"{'':<{room}}", ""),
            (f"{spread_words(student.gain_points, 1.0, sign=True)} points", "bold $success"),
            (f"   {spread_words(student.gain_percent, 1.0, sign=True)} % over the seed's baseline\n", "$muted"),
        ]  # fmt: skip
    return Content.assemble(*parts)


def next_steps(state: RunState, phase: Phase, run: str) -> Content:
    """What to do now."""
    if phase is not Phase.FINISHED:
        return Content.assemble(("\nTest scores come when a model is done; the table fills as they do.", "$muted"))
    if state.exports:
        bundle = near(state.exports[-1].bundle)
        return Content.assemble(
            ("\nNext  ", "bold $primary"),
            f"flykd-console score {bundle} --disease NAME --top 20",
        )
    return Content.assemble(
        ("\nNext  ", "bold $primary"), ("e", "bold $key"), " writes and verifies the bundle, as does  ",
        (f"flykd-console export {run}", "$foreground"), "\n      then  ",
        ("flykd-console score BUNDLE --disease NAME --top 20", "$foreground"), " ranks drugs with it",
    )  # fmt: skip
