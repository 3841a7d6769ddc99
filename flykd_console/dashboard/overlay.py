"""Several runs over each other: each run's log folded as the dashboard folds its own, and charts of their means.

A run's curve is the mean over its seeds: over those that finished the stage, or, where none has, over those that are in
it, as far as all of them have come. So no seed joins or leaves a mean halfway.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

import numpy as np

from flykd_console.dashboard.canvas import Floats, as_array
from flykd_console.dashboard.chart_spec import ChartSpec, Curve
from flykd_console.dashboard.charts import View, full_range
from flykd_console.dashboard.palette import Look
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import MACRO_AUPRC
from flykd_console.runs.state.feed import LiveSource
from flykd_console.runs.state.run import RunState
from flykd_console.runs.state.series import Series
from flykd_console.runs.state.stage import StageState
from flykd_console.words import clipped, metric_words, per_cent

# Not the colours of seeds and losses, so that nobody takes a run for a seed; signs tell runs apart without colour.
_RUNS_DARK = ("#ff9d5c", "#4dd0e1", "#c3e88d", "#f48fb1", "#b39ddb", "#ffd54f", "#90a4ae", "#ef5350")
_RUNS_LIGHT = ("#d84a00", "#00838f", "#558b2f", "#ad1457", "#5e35b1", "#9a6a00", "#455a64", "#b71c1c")
SIGNS = "●▲■◆○△□◇"


class RunStyle(NamedTuple):
    """How a run is drawn."""

    colour: str
    sign: str


def style_of(index: int, dark: bool) -> RunStyle:
    """Colour and sign of the run at a place; sixteen runs are told apart by the pair."""
    colours = _RUNS_DARK if dark else _RUNS_LIGHT
    return RunStyle(colours[index % len(colours)], SIGNS[(index + index // len(SIGNS)) % len(SIGNS)])


@dataclass
class OverlaidRun:
    """One run: where it is read from, and what is known of it; `lock` is held while that changes or is looked at."""

    directory: RunDirectory
    label: str
    state: RunState = field(default_factory=RunState)
    loaded: bool = False
    problem: str = ""

    def __post_init__(self) -> None:
        self.lock = Lock()
        self._source = LiveSource(self.directory)

    def read(self, seconds: float) -> bool:
        """Take the next events, at most about `seconds` of work; whether there may be more."""
        events = self._source.read(seconds)
        with self.lock:
            self.state.fold(events)
        self.problem = self._source.problem
        more = bool(events) and self._source.behind > 0
        self.loaded = self.loaded or not more
        return more


def labels_of(runs: list[RunDirectory]) -> list[str]:
    """Short names that tell the runs apart: without the date where that is enough."""
    short = [run.name.rsplit("-", 2)[0] for run in runs]
    return [name if short.count(name) == 1 else run.name for name, run in zip(short, runs, strict=True)]


def stages_in_mean(state: RunState, model: str) -> list[StageState]:
    """The seeds' stages that a run's mean is taken over."""
    stages = [stage for seed in state.seeds if (stage := state.get(seed, model)) is not None]
    with_curves = [stage for stage in stages if len(stage.validation) or stage.losses]
    over = [stage for stage in with_curves if stage.over]
    return over or with_curves


def mean_of(series: list[Series]) -> tuple[Floats, Floats, Floats]:
    """x, mean and sample deviation of some curves, as far as all of them reach; the deviation of one is NaN."""
    known = [s for s in series if len(s)]
    if not known:
        return np.empty(0), np.empty(0), np.empty(0)
    xs = [as_array(s.x) for s in known]
    low, high = max(x[0] for x in xs), min(x[-1] for x in xs)
    x = np.unique(np.concatenate(xs))
    x = x[(x >= low) & (x <= high)]
    values = np.stack([np.interp(x, own, as_array(s.y)) for own, s in zip(xs, known, strict=True)])
    mean = values.mean(axis=0) if len(x) else np.empty(0)
    deviation = values.std(axis=0, ddof=1) if len(known) > 1 and len(x) else np.full(len(x), np.nan)
    return x, mean, deviation


@dataclass
class Overlay:
    """What the charts show.

    Attributes:
        runs: In the order in which they were chosen.
        chosen: Whose curves, by the reader's choice; None: of the model that the first of the runs is about.
        focus: Place of the run that the others are faded for; None for none.
        dark: Which palette.
    """

    runs: list[OverlaidRun]
    chosen: str | None = None
    focus: int | None = None
    dark: bool = True
    _means: dict[tuple[int, str, str], tuple[object, tuple[Floats, Floats, Floats]]] = field(default_factory=dict)
    _smooth: dict[tuple[int, str, str], tuple[Floats, float, Floats]] = field(default_factory=dict)

    @property
    def loading(self) -> int:
        """How many are still being read for the first time."""
        return sum(not run.loaded for run in self.runs)

    @property
    def models(self) -> list[str]:
        """The names of the runs' models, in the order of the runs and of their tables."""
        return list(dict.fromkeys(entry.name for run in self.runs for entry in run.state.trained))

    @property
    def about(self) -> str:
        """The model that the first of the runs is about; empty before anything is read."""
        about = (run.state.about for run in self.runs)
        return next((entry.name for entry in about if entry is not None), "")

    @property
    def model(self) -> str:
        """Whose curves are shown."""
        return self.about if self.chosen is None else self.chosen

    @property
    def metric(self) -> str:
        """What the runs' validations are measured by, in words."""
        headlines = dict.fromkeys(run.state.headline for run in self.runs if run.state.started is not None)
        return " or ".join(map(metric_words, headlines or (MACRO_AUPRC,)))

    def next_model(self) -> None:
        """The next model of the list, after the last one the first."""
        order = self.models
        if order:
            at = order.index(self.model) if self.model in order else -1
            self.chosen = order[(at + 1) % len(order)]

    def mean(self, index: int, what: str) -> tuple[Floats, Floats, Floats]:
        """The mean curve of a run, `validation` in per cent or `loss`; kept until a new point comes."""
        with self.runs[index].lock:
            return self._mean(index, what)

    def _mean(self, index: int, what: str) -> tuple[Floats, Floats, Floats]:
        stages = stages_in_mean(self.runs[index].state, self.model)
        if what == "validation":
            series = [stage.validation for stage in stages]
        else:
            series = [s for stage in stages if (s := stage.losses.get("total")) is not None]
        key, mark = (index, self.model, what), tuple((id(s), s.version) for s in series)
        known = self._means.get(key)
        if known is None or known[0] != mark:
            x, mean, deviation = mean_of(series)
            scale = 100.0 if what == "validation" else 1.0
            known = self._means[key] = (mark, (x, scale * mean, scale * deviation))
        return known[1]

    def _smoothed(self, index: int, what: str, y: Floats, weight: float) -> Floats:
        """The moving average of a mean, kept until the mean changes."""
        key = (index, self.model, what)
        known = self._smooth.get(key)
        if known is None or known[0] is not y or known[1] != weight:
            known = self._smooth[key] = (y, weight, smoothed(y, weight))
        return known[2]

    def validation(self, view: View, look: Look) -> ChartSpec:
        """Validation by the runs' headline metric in per cent, one curve a run."""
        return self._chart("validation", view, per_cent=True)

    def losses(self, view: View, look: Look) -> ChartSpec:
        """The total loss, one curve a run."""
        return self._chart("loss", view, per_cent=False)

    def _chart(self, what: str, view: View, per_cent: bool) -> ChartSpec:
        curves: list[Curve] = []
        band = None
        furthest = epochs = 0.0
        for index, run in enumerate(self.runs):
            x, y, deviation = self.mean(index, what)
            if not len(x):
                continue
            style = style_of(index, self.dark)
            with run.lock:
                stages = stages_in_mean(run.state, self.model)
            smooth = self._smoothed(index, what, y, view.smoothing)
            faded = self.focus is not None and self.focus != index
            curves.append(
                Curve(
                    f"{clipped(run.label, 24)} ({len(stages)})", style.sign, x, smooth,
                    style.colour, raw=y if view.smoothing else None, faded=faded, marker=style.sign,
                )
            )  # fmt: skip
            furthest = max(furthest, float(x[-1]))
            epochs = max(epochs, *(float(stage.epochs) for stage in stages))
            if view.band and index == (self.focus or 0) and np.isfinite(deviation).all():
                band = (x, y - deviation, y + deviation)
        if not curves:
            return ChartSpec(empty=self._nothing())
        low, high = view.zoom or full_range(furthest, epochs)
        # A focused run is drawn on top.
        curves.sort(key=lambda curve: not curve.faded)
        return ChartSpec(
            curves=tuple(curves), x_low=low, x_high=high, log_y=view.log_y, cursor=view.cursor, per_cent=per_cent,
            clip=what == "loss", band=band, note="needs two seeds" if view.band and band is None else "",
            read="measured" if per_cent else "point",
        )  # fmt: skip

    def _nothing(self) -> str:
        if self.loading:
            return "Reading the runs…"
        model = f"the {self.model}" if self.model else "a model"
        return f"None of these runs has curves of {model}; one that was reused has them in the run it is from"


def smoothed(y: Floats, weight: float) -> Floats:
    """The exponential moving average with bias correction."""
    if weight <= 0 or len(y) < 3:
        return y
    out, mean, norm = np.empty_like(y), 0.0, 0.0
    for i, value in enumerate(y):
        if value != value:
            out[i] = value
            continue
        mean, norm = weight * mean + (1 - weight) * value, weight * norm + (1 - weight)
        out[i] = mean / norm
    return out


@dataclass(frozen=True)
class OverlayRow:
    """A run in the table below the charts: what was measured on test; `scores` by model, mean ± deviation."""

    label: str
    method: str
    seeds: str
    scores: dict[str, str]
    gain: str
    state: str


def rows(overlay: Overlay) -> list[OverlayRow]:
    """One row a run; means through `runs.results`, as everywhere."""
    from flykd_console.dashboard.table import mean_gains, spread_words, summary

    found = []
    for run in overlay.runs:
        with run.lock:
            means, gains, about = summary(run.state), mean_gains(run.state), run.state.about
            state_words = _state_words(run)
        known = {name: found.metrics.get(run.state.headline) for name, found in means.items()}
        measured = {name: spread for name, spread in known.items() if spread is not None}
        scores = {name: spread_words(spread, 100.0) for name, spread in measured.items()}
        tested = max((spread.n for spread in measured.values()), default=0)
        won = gains.get(about.name) if about is not None else None
        found.append(
            OverlayRow(
                run.label, run.state.method if run.state.started else "", f"{tested}/{len(run.state.seeds)}", scores,
                spread_words(won.points, 1.0, sign=True) if won is not None else "", state_words,
            )
        )  # fmt: skip
    return found


def _state_words(run: OverlaidRun) -> str:
    if run.problem:
        return "unreadable" if not run.problem.endswith("vanished") else "gone"
    if not run.loaded:
        return "reading…"
    state = run.state
    if state.ended is not None:
        return "finished" if state.finished else "stopped" if state.stopped else "failed"
    stage = state.stage
    return f"{stage.seed} {stage.stage} {100 * stage.fraction:.0f} %" if stage is not None else "starting"


def last_words(overlay: Overlay, index: int) -> str:
    """The last validation of a run's mean."""
    _, y, _ = overlay.mean(index, "validation")
    return per_cent(float(y[-1]) / 100.0) if len(y) and math.isfinite(y[-1]) else ""
