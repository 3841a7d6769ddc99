"""The main screen: header, panels, progress and footer, arranged for the terminal's size."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import DataTable, Static

from flykd_console.dashboard.arrangement import MIN_HEIGHT, MIN_WIDTH, PANELS, VALIDATION, arrange, first_of_tab, ring
from flykd_console.dashboard.health import Notice, Phase
from flykd_console.dashboard.keymap import ACTIONS, Action
from flykd_console.dashboard.widgets.bars import Banner, FooterBar, HeaderBar, ProgressBar, TabBar
from flykd_console.dashboard.widgets.chart import ChartPanel
from flykd_console.dashboard.widgets.log import LogPanel, LogView
from flykd_console.dashboard.widgets.resources import ResourcesPanel
from flykd_console.dashboard.widgets.seeds import SeedsPanel
from flykd_console.runs.events import MACRO_AUPRC
from flykd_console.runs.state.progress import Progress
from flykd_console.runs.state.run import RunState
from flykd_console.words import metric_words

# What can be done without seeing the panels.
_TINY_KEYS = ("pause", "stop", "detach")
_MODES = ("tiny", "tabs", "columns", "full")


class MainScreen(Screen[None]):
    """Everything about one run."""

    AUTO_FOCUS = "#losses"

    def __init__(self) -> None:
        super().__init__(id="main")
        self.focused_panel = "losses"
        self.full = False
        self.rates = False
        self._metric = metric_words(MACRO_AUPRC)
        self._tiny_words = self._tiny_said = ""

    def compose(self) -> ComposeResult:
        yield HeaderBar(id="header")
        yield Banner(id="banner")
        yield TabBar(id="tabs")
        with Horizontal(id="body"):
            with Vertical(id="left", classes="column"):
                yield ChartPanel("weights", "weights", "LOSS WEIGHTS")
                yield ChartPanel("losses", "losses", "LOSSES", log_y=True, smoothing=0.9)
                with Horizontal(id="pair"):
                    yield ChartPanel("rate", "learning_rate", "LEARNING RATE")
                    yield ChartPanel("speed", "speed", "SPEED", smoothing=0.9)
                yield ResourcesPanel()
            with Vertical(id="right", classes="column"):
                with Horizontal(id="metrics"):
                    yield ChartPanel("validation", "validation", "VALIDATION METRIC BY SEED")
                    yield ChartPanel("ranking", "ranking", "VALIDATION METRIC BY SEED")
                yield SeedsPanel()
                yield LogPanel()
        yield Static(id="tiny")
        yield ProgressBar(id="progress")
        yield FooterBar(id="footer")

    def on_mount(self) -> None:
        self.query_one(Banner).display = False
        self.rearrange()

    def on_resize(self) -> None:
        self.rearrange()

    def rearrange(self) -> None:
        """Put the panels where they belong at this size."""
        width, height = self.app.size
        plan = arrange(width, height, self.focused_panel, self.full, self.rates)
        for mode in _MODES:
            self.set_class(plan.mode == mode, f"mode-{mode}")
        self.set_class(plan.side_by_side, "side-by-side")
        self.set_class(plan.mode == "tabs" and len(plan.visible) == 1, "single")
        self.set_class(plan.mode == "tabs" and plan.visible == ("resources", "log"), "tab-log")
        for name in PANELS:
            self.query_one(f"#{name}").display = name in plan.visible
        self.query_one("#pair").display = any(name in plan.visible for name in ("rate", "speed"))
        self.query_one("#metrics").display = any(name in plan.visible for name in ("validation", "ranking"))
        for column, names in (("left", PANELS[:5]), ("right", PANELS[5:])):
            self.query_one(f"#{column}").display = any(name in plan.visible for name in names)
        tiny = plan.mode == "tiny"
        for selector in ("#header", "#body", "#progress", "#footer"):
            self.query_one(selector).display = not tiny
        self.query_one("#tiny").display = tiny
        self._say_tiny()
        tabs = tuple(self._metric if name == VALIDATION else name for name in plan.tabs)
        self.query_one(TabBar).show(tabs, plan.tab)

    def _say_tiny(self) -> None:
        """What is wrong with the size, and the keys that work all the same."""
        if not self.query_one("#tiny").display:
            return
        width, height = self.app.size
        said = f"Too small\n\n{width}x{height} here, {MIN_WIDTH}x{MIN_HEIGHT} needed.\n{self._tiny_words}"
        if said != self._tiny_said:
            self._tiny_said = said
            self.query_one("#tiny", Static).update(said)

    # Focus.

    def target(self, panel: str) -> Widget:
        """The widget that takes the focus for a panel."""
        return self.query_one(LogView) if panel == "log" else self.query_one(f"#{panel}")

    def focus_panel(self, panel: str) -> None:
        """Focus a panel, and bring it to the screen if it is behind a tab."""
        self.focused_panel = panel
        self.rearrange()
        self.target(panel).focus()

    def step_focus(self, direction: int) -> None:
        """Focus the next or the previous panel."""
        panels = PANELS if self.full else ring(*self.app.size, self.rates)
        at = panels.index(self.focused_panel) if self.focused_panel in panels else 0
        self.focus_panel(panels[(at + direction) % len(panels)])

    def choose_tab(self, tab: int) -> None:
        """Show a tab by its place."""
        panel = first_of_tab(*self.app.size, tab, self.rates)
        if panel is not None and not self.full:
            self.focus_panel(panel)

    def on_descendant_focus(self) -> None:
        widget = self.focused
        while widget is not None and widget.id not in PANELS:
            widget = widget.parent if isinstance(widget.parent, Widget) else None
        if widget is not None and widget.id is not None:
            self.focused_panel = widget.id

    def toggle_rates(self) -> bool:
        """Learning rate and speed instead of weights and losses, or back; False where all of them are there anyway."""
        if {"rate", "weights", "losses"} <= set(ring(*self.app.size)):
            return False
        self.rates = not self.rates
        self.focus_panel("speed" if self.rates else "losses")
        return True

    def toggle_full(self) -> None:
        """One panel on the whole screen, or all of them."""
        self.full = not self.full
        self.rearrange()
        self.target(self.focused_panel).focus()

    @property
    def chart(self) -> ChartPanel | None:
        """The focused chart, None where the focus is elsewhere."""
        widget = self.query_one(f"#{self.focused_panel}")
        return widget if isinstance(widget, ChartPanel) else None

    @property
    def metrics(self) -> list[ChartPanel]:
        """The two charts of validation."""
        return [self.query_one(f"#{name}", ChartPanel) for name in ("validation", "ranking")]

    @property
    def seeds(self) -> SeedsPanel:
        return self.query_one(SeedsPanel)

    # Drawing.

    def show_panels(self, state: RunState) -> None:
        """Draw the state in every panel that is on the screen."""
        if metric_words(state.headline) != self._metric:
            self._metric = metric_words(state.headline)
            self.rearrange()
        seeds = self.query_one(SeedsPanel)
        seed = seeds.seed if seeds.has_focus else None
        for chart in self.query(ChartPanel):
            chart.seed = seed
            if chart.display:
                chart.show(state)
        if seeds.display:
            seeds.show(state)
        for panel in (self.query_one(ResourcesPanel), self.query_one(LogPanel)):
            if panel.display:
                panel.show(state)

    def show_bars(
        self,
        state: RunState,
        phase: Phase,
        run: Progress,
        notice: Notice | None,
        labels: dict[str, str],
        name: str,
        actions: tuple[Action, ...] = ACTIONS,
    ) -> None:
        """Write header, banner, progress and footer."""
        width = self.app.size.width
        keys = (f"{a.shown} {labels[a.id]}" for a in actions if a.id in _TINY_KEYS and a.id in labels and a.shown)
        self._tiny_words = ("Training goes on.\n" if phase is Phase.RUNNING else "") + "   ".join(keys)
        self._say_tiny()
        self.query_one(HeaderBar).show(state, phase, name, width)
        self.query_one(Banner).show(notice, width, actions)
        self.query_one(ProgressBar).show(state, run, phase, width)
        self.query_one(FooterBar).show(labels, width, actions)

    def on_chart_panel_read(self, event: ChartPanel.Read) -> None:
        """One reading line for every chart: the same epoch everywhere."""
        for chart in self.query(ChartPanel):
            if chart is not event.chart:
                chart.read_at(event.epoch)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        seeds = self.query_one(SeedsPanel)
        wanted = seeds.seed if seeds.has_focus else None
        for chart in self.metrics:
            if chart.seed != wanted:
                chart.seed = wanted
                chart.redraw()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        self.toggle_full()
