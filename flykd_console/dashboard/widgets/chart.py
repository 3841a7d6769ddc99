"""A panel with one chart: draws a spec, and keeps how the reader looks at it (zoom, log, smoothing, reading line)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from flykd_console.dashboard.palette import Look, look
from flykd_console.dashboard.stage_words import one_word, subject
from flykd_console.runs.events import AGREEMENT, MACRO_AP, MACRO_AUPRC
from flykd_console.runs.stage import Phase
from flykd_console.words import metric_words

if TYPE_CHECKING:
    from flykd_console.dashboard.charts import View
    from flykd_console.dashboard.drawing import ChartSpec, Ink, Row
    from flykd_console.runs.state.run import RunState

    Recipe = Callable[[RunState, View, Look], ChartSpec]
    Title = Callable[[RunState, View], str]

# Recipes of the two charts of validation.
METRICS = ("validation", "ranking")
_ZOOM = 0.5
_PAN = 0.25
_SMOOTHINGS = (0.0, 0.9, 0.98)
# Corners, lines and spaces on both sides of a title.
_FRAME = 6
_SHORT_TITLES = {"LEARNING RATE": "RATE"}
_LONG = "VALIDATION "
_SHORT_REMARKS = (
    ("smooth 0", "sm "), ("mean ± std", "± std"), ("mean over seeds", "mean"), ("zoomed", "zoom"), ("seed ", ""),
    ("'s schedule", "'s"),
)  # fmt: skip


def _short_remark(remark: str) -> str:
    for long, short in _SHORT_REMARKS:
        remark = remark.replace(long, short)
    return remark


@lru_cache(maxsize=512)
def rich_style(ink: Ink) -> Style:
    """The ink as Rich has it."""
    return Style(color=ink.colour, bgcolor=ink.background, bold=ink.bold or None)


class ChartPanel(Widget, can_focus=True):
    """One chart in a frame.

    Args:
        name: Which panel it is.
        recipe: Name of the function in `charts` that makes the spec; looked up when it is first drawn, so that numpy is
            not loaded before the first frame is on the screen.
        title: The frame's title without the remarks on the view; `METRIC` in it stands for the run's headline metric.
    """

    ALLOW_SELECT = False

    class Read(Message):
        """The reading line was set, moved or taken away by hand: other charts follow it.

        Attributes:
            epoch: Where it stands, None where it is gone.
        """

        def __init__(self, chart: ChartPanel, epoch: float | None) -> None:
            super().__init__()
            self.chart, self.epoch = chart, epoch

    def __init__(self, name: str, recipe: str, title: str, *, log_y: bool = False, smoothing: float = 0.0) -> None:
        super().__init__(id=name, classes="panel")
        self.recipe, self._heading = recipe, title
        self.log_y, self.smoothing = log_y, smoothing
        self._usual = (log_y, smoothing)
        self.model: str | None = None
        self.band = recipe in METRICS
        self.zoom: tuple[float, float] | None = None
        self.cursor: float | None = None
        self.pinned = False
        self.seed: int | None = None
        self.curve: str | None = None
        self.clip = True
        self._state: RunState | None = None
        self.border_title = self.title
        self.spec: ChartSpec | None = None
        self._view: View | None = None
        self._rows: list[Row] | None = None
        self._drawn_for: tuple[int, int, bool] | None = None

    def show(self, state: RunState) -> None:
        """Draw this state from now on; the screen is only touched where the picture has changed."""
        known, self._state = self._state, state
        if known is None or self._rows is None or self._drawn_for is None:
            self.redraw()
            return
        title = self._title()
        if title != self.border_title:
            self.border_title = title
        before, self._rows = self._rows, self.rows(*self._drawn_for)
        changed = [y for y, (old, new) in enumerate(zip(before, self._rows, strict=True)) if old != new]
        if changed:
            # Counted from the content's corner: a row too low leaves the legend as it was.
            self.refresh(Region(0, changed[0], self.size.width, changed[-1] - changed[0] + 1))

    def redraw(self) -> None:
        """Draw again: the state or the view has changed."""
        self._rows = None
        if self._state is not None:
            self.border_title = self._title()
        self.refresh()

    def on_resize(self) -> None:
        if self._state is not None:
            self.border_title = self._title()

    @property
    def metric(self) -> str:
        """What validation is measured by in this chart, in words."""
        if self.recipe == "ranking":
            cohort = self._state is not None and self._state.is_cohort
            return metric_words(AGREEMENT if cohort else MACRO_AP)
        headline = self._state.headline if self._state is not None else MACRO_AUPRC
        # Where AP is the headline, it has the other chart.
        return metric_words(MACRO_AUPRC if headline == MACRO_AP and self.recipe == "validation" else headline)

    @property
    def title(self) -> str:
        """The frame's title without remarks."""
        heading = self._heading
        if self._compares_models:
            heading = heading.replace("BY SEED", "BY MODEL")
        if self._state is not None and self._state.is_cohort and self.recipe == "ranking":
            heading = heading.removeprefix(_LONG)
        return heading.replace("METRIC", self.metric.upper())

    @property
    def _compares_models(self) -> bool:
        cohort = self._state is not None and self._state.is_cohort
        return cohort and self.recipe == "validation" and self.model is None

    def _title(self) -> str:
        return self.fitted_title(self._remarks())

    def fitted_title(self, remarks: list[str]) -> str:
        """The frame's title with its remarks, in shorter words where the frame cuts long ones off."""
        width = self.outer_size.width
        room = width - _FRAME if width else 1_000
        short = [_short_remark(remark) for remark in remarks]
        short_title = _SHORT_TITLES.get(self.title, self.title.removeprefix(_LONG))
        # The curve that is brought out is seen in the chart.
        least = [word for word in short if word != self.curve]
        forms = [(self.title, remarks), (self.title, short), (short_title, short), (short_title, least)]
        for title, words in forms:
            if len(" · ".join((title, *words))) <= room:
                return title + (f" [not bold]· {' · '.join(words)}[/]" if words else "")
        while len(" ".join((short_title, *least))) > room and least:
            least = least[1:]
        return short_title + (f" [not bold]{' '.join(least)}[/]" if least else "")

    @property
    def plain_title(self) -> str:
        """The title with its remarks, for a picture."""
        words = self._heading.capitalize().replace("metric", self.metric)
        return " · ".join((words, *self._remarks()))

    def _remarks(self) -> list[str]:
        remarks = []
        state = self._state
        if state is not None and self.recipe in METRICS:
            remarks += self._whose(state)
        if self.recipe == "weights" and state is not None:
            remarks += _whose_schedule(state)
        if self.recipe == "losses" and state is not None and state.stage is not None:
            remarks.append(f"seed {state.stage.seed} {one_word(state.stage.stage, state.stage.phase)}")
        remarks += ["log"] if self.log_y else []
        remarks += [f"smooth {self.smoothing:g}"] if self.smoothing else []
        several = state is not None and len(state.seeds) > 1
        remarks += ["mean ± std"] if self.band and several and self.recipe in METRICS else []
        remarks += [self.curve] if self.curve is not None else []
        return [*remarks, *(["zoomed"] if self.zoom else [])]

    def _whose(self, state: RunState) -> list[str]:
        """Whose validation is shown: a model's, or that of all models of a seed."""
        from flykd_console.dashboard.charts import by_model, seed_shown, shown_model

        if state.is_cohort and self.recipe == "ranking":
            return []
        if not by_model(state, self.view):
            return [shown_model(state, self.view)]
        seed = seed_shown(state, self.view)
        return [] if seed is None else [f"seed {seed}"]

    @property
    def view(self) -> View:
        """How the chart is looked at, as the recipe wants it."""
        from flykd_console.dashboard.charts import View

        if self._view is None:
            self._view = View()
        view = self._view
        view.log_y, view.smoothing, view.zoom, view.cursor = self.log_y, self.smoothing, self.zoom, self.cursor
        view.band, view.model, view.seed = self.band, self.model, self.seed
        view.focus, view.clip = self.curve, self.clip
        return view

    def rows(self, width: int, height: int, dark: bool) -> list[Row]:
        """The chart as rows of text of a given size."""
        from flykd_console.dashboard.drawing import ChartSpec, draw

        colours = look(dark)
        if self._state is None:
            return draw(ChartSpec(empty="Reading the run…"), width, height, colours)
        self.spec = self.make(self._state, self.view, colours)
        return draw(self.spec, width, height, colours)

    def make(self, state: RunState, view: View, colours: Look) -> ChartSpec:
        """The spec of a state, by the recipe."""
        from flykd_console.dashboard import charts

        recipe: Recipe = getattr(charts, self.recipe)
        return charts.brought_out(recipe(state, view, colours), view)

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self._state is None:
            return Strip.blank(width, self.rich_style)
        key = (width, height, self.app.current_theme.dark)
        if self._rows is None or self._drawn_for != key:
            self._rows, self._drawn_for = self.rows(*key), key
        if y >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        strip = Strip([Segment(text, rich_style(ink)) for text, ink in self._rows[y]], width)
        return strip.apply_style(self.rich_style)

    # What keys and the mouse change.

    def toggle_log(self) -> None:
        self.log_y = not self.log_y
        self.redraw()

    def toggle_clip(self) -> None:
        self.clip = not self.clip
        self.redraw()

    def next_curve(self) -> None:
        """Bring out the next curve, after the last one all of them."""
        names = [curve.name for curve in self.spec.curves] if self.spec is not None else []
        after = names.index(self.curve) + 1 if self.curve in names else 0
        self.curve = names[after] if after < len(names) and len(names) > 1 else None
        self.redraw()

    def next_smoothing(self) -> None:
        """Off, 0.9, 0.98, off."""
        position = _SMOOTHINGS.index(self.smoothing) if self.smoothing in _SMOOTHINGS else 0
        self.smoothing = _SMOOTHINGS[(position + 1) % len(_SMOOTHINGS)]
        self.redraw()

    def zoom_by(self, factor: float, centre: float | None = None) -> None:
        """Show `factor` of the x range around a place: the reading line, else the newest point."""
        whole = self._whole()
        if whole is None:
            return
        low, high = self.zoom or (whole.x_low, whole.x_high)
        if centre is None:
            centre = self.cursor if self.cursor is not None else _newest(whole, low, high)
        width = min(max((high - low) * factor, 4.0), whole.x_high - whole.x_low)
        # The place keeps where it is on the screen.
        share = (centre - low) / ((high - low) or 1.0)
        start = min(max(centre - share * width, whole.x_low), whole.x_high - width)
        self.zoom = None if width >= whole.x_high - whole.x_low else (start, start + width)
        self.redraw()

    def reset(self) -> None:
        """The whole chart, every curve of it, without reading line."""
        self.zoom = self.cursor = self.curve = None
        if self.pinned:
            self.post_message(self.Read(self, None))
        self.pinned = False
        self.redraw()

    def move(self, direction: int) -> None:
        """Move the reading line, or pan where the chart is zoomed."""
        whole = self._whole()
        if whole is None:
            return
        low, high = self.zoom or (whole.x_low, whole.x_high)
        if self.cursor is not None:
            step = max(1.0, (high - low) / max(1, 2 * self.size.width))
            self.cursor, self.pinned = min(high, max(low, self.cursor + direction * step)), True
            self.post_message(self.Read(self, self.cursor))
        elif self.zoom is not None:
            shift = direction * _PAN * (high - low)
            shift = max(whole.x_low - low, min(shift, whole.x_high - high))
            self.zoom = (low + shift, high + shift)
        self.redraw()

    def toggle_cursor(self) -> None:
        """Reading line on at the newest point, or off."""
        whole = self._whole()
        if whole is None:
            return
        self.pinned = self.cursor is None
        self.cursor = _newest(whole, *(self.zoom or (whole.x_low, whole.x_high))) if self.pinned else None
        self.post_message(self.Read(self, self.cursor))
        self.redraw()

    def read_at(self, epoch: float | None) -> None:
        """Follow another chart's reading line."""
        self.cursor, self.pinned = epoch, epoch is not None
        self.redraw()

    @property
    def empty(self) -> bool:
        """There is no curve to be seen or saved."""
        return self._whole() is None

    @property
    def subject(self) -> list[str]:
        """What the chart is about, and how its view differs from the usual one: words for a file's name."""
        words = [self.id or "chart"]
        state = self._state
        if state is not None and self.recipe in METRICS:
            from flykd_console.dashboard.charts import shown_model

            words.append(shown_model(state, self.view))
        elif state is not None and self.recipe == "weights":
            found = state.scheduled()
            words += [f"seed-{found.seed}"] if found is not None else []
            words += [found.stage] if found is not None and _several_distil(state) else []
        elif state is not None and state.stage is not None:
            words += [f"seed-{state.stage.seed}", state.stage.stage]
        log_y, smoothing = self._usual
        words += [] if self.log_y == log_y else ["log"] if self.log_y else ["linear"]
        words += [] if self.smoothing == smoothing else [f"smooth-{self.smoothing:g}"]
        words += [] if self.clip else ["outliers"]
        words += ["mean"] if self.band else []
        words += [self.curve.replace(" ", "-")] if self.curve is not None else []
        return [*words, *([f"epochs-{self.zoom[0]:.0f}-{self.zoom[1]:.0f}"] if self.zoom is not None else [])]

    def _whole(self) -> ChartSpec | None:
        """The chart without zoom, made anew: what was drawn last may be older than the last key. None where empty."""
        from dataclasses import replace

        if self._state is None:
            return None
        spec = self.make(self._state, replace(self.view, zoom=None), look(self.app.current_theme.dark))
        return spec if any(len(curve.x) for curve in spec.curves) else None

    def _at(self, column: int) -> float | None:
        """The x value below a column of the content, None outside the plot."""
        from flykd_console.dashboard.drawing import GUTTER, plot_width

        if self.spec is None or not self.spec.curves:
            return None
        width = plot_width(self.spec, self.size.width)
        if not GUTTER <= column < GUTTER + width:
            return None
        return self.spec.x_low + (column - GUTTER + 0.5) / width * (self.spec.x_high - self.spec.x_low)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        offset = event.get_content_offset(self)
        at = self._at(offset.x) if offset is not None else None
        if not self.pinned and at != self.cursor:
            self.cursor = at
            self.redraw()

    def on_leave(self, event: events.Leave) -> None:
        if not self.pinned and self.cursor is not None:
            self.cursor = None
            self.redraw()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        at = self._at(offset.x) if offset is not None else None
        if at is not None and self.has_focus:
            self.pinned, self.cursor = True, at
            self.post_message(self.Read(self, at))
            self.redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.zoom_by(_ZOOM, self.cursor)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.zoom_by(1 / _ZOOM, self.cursor)


def _several_distil(state: RunState) -> bool:
    """Whether a schedule alone does not say whose it is."""
    return len({stage.stage for stage in state.stages.values() if stage.phase is Phase.DISTILL}) > 1


def _whose_schedule(state: RunState) -> list[str]:
    """Whose the schedule is, where that does not go without saying."""
    found = state.scheduled()
    if found is None:
        return []
    remarks = [subject(state, found)] if _several_distil(state) else []
    return remarks if found is state.stage else [*remarks, f"seed {found.seed}'s schedule"]


def _newest(spec: ChartSpec, low: float, high: float) -> float:
    """Where training is, or the newest point, within a range."""
    ends = [float(curve.x[-1]) for curve in spec.curves if len(curve.x)]
    at = spec.now if spec.now is not None else max(ends, default=high)
    return min(high, max(low, at))
