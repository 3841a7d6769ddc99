"""What each chart shows: from the dashboard's state and a view (zoom, log, smoothing) to a spec that can be drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from flykd_console.dashboard.canvas import Floats, as_array
from flykd_console.dashboard.drawing import ChartSpec, Curve
from flykd_console.dashboard.palette import Look
from flykd_console.dashboard.scores import levels
from flykd_console.runs.events import AGREEMENT, MACRO_AP, MACRO_AUPRC
from flykd_console.runs.models import UNTRAINED, Role
from flykd_console.runs.stage import Phase
from flykd_console.runs.state.run import RunState, StageState, Status
from flykd_console.runs.state.series import Series, Smoothed
from flykd_console.words import loss_words, metric_words, per_cent, short_loss

# The paper's sources have the same colours in every run; other losses those that follow, as they come up in it.
CURVE_ORDER = ("original", "pseudo_train", "pseudo_random")
_LADDER = 8


@dataclass
class View:
    """How one chart is looked at.

    Attributes:
        log_y: Logarithmic y.
        smoothing: Weight of the past in the moving average, 0 for none.
        zoom: Visible x range, None for all.
        cursor: Where values are read, None for nowhere.
        band: Mean ± std over the seeds.
        model: Whose validation is shown, None for the model in training.
        seed: The seed that the others are faded for, None for none.
        focus: Name of the curve that the others are faded for, None for none.
        clip: Cut outliers off.
    """

    log_y: bool = False
    smoothing: float = 0.0
    zoom: tuple[float, float] | None = None
    cursor: float | None = None
    band: bool = False
    model: str | None = None
    seed: int | None = None
    focus: str | None = None
    clip: bool = True
    cache: dict[int, tuple[Series, float, Smoothed]] = field(default_factory=dict)

    def smoothed(self, series: Series) -> Floats:
        """The series' moving average, kept between drawings and extended."""
        known = self.cache.get(id(series))
        if known is None or known[0] is not series or known[1] != self.smoothing:
            if len(self.cache) > 64:
                self.cache.clear()
            known = self.cache[id(series)] = (series, self.smoothing, Smoothed(series, self.smoothing))
        return as_array(known[2].y)


def brought_out(spec: ChartSpec, view: View) -> ChartSpec:
    """The spec with the reader's wishes that every chart knows: one curve brought out, outliers shown or cut off."""
    if view.focus is not None and any(curve.name == view.focus for curve in spec.curves):
        faded = (replace(curve, faded=curve.name != view.focus) for curve in spec.curves)
        spec = replace(spec, curves=tuple(faded))
    return spec if view.clip else replace(spec, clip=False)


def full_range(epoch: float, epochs: float) -> tuple[float, float]:
    """The x range of a growing curve: an eighth of the epochs at first, doubled whenever it is full."""
    end = max(1.0, epochs / _LADDER)
    while end < epoch and end < epochs:
        end *= 2
    return 0.0, max(1.0, min(end, epochs) if epochs else end)


def _curve(view: View, series: Series, name: str, label: str, colour: str) -> Curve:
    x, y = as_array(series.x), as_array(series.y)
    if view.smoothing > 0 and len(y) > 2:
        return Curve(name, label, x, view.smoothed(series), colour, raw=y)
    return Curve(name, label, x, y, colour)


def _ordered(names: list[str]) -> list[str]:
    known = [name for name in CURVE_ORDER if name in names]
    return known + [name for name in names if name not in known and name != "total"]


def _colour(name: str, state: RunState, look: Look) -> str:
    """A loss keeps its colour whatever other losses a stage has."""
    members = [entry.name for entry in state.models if entry.role is Role.MEMBER]
    if name in members:
        return look.curve(members.index(name))
    known = dict.fromkeys(CURVE_ORDER)
    planned = state.started.schedule if state.started is not None else None
    known |= dict.fromkeys(planned or ())
    for stage in state.stages.values():
        known |= dict.fromkeys(stage.schedule or ())
        known |= dict.fromkeys(loss for loss in stage.losses if loss != "total")
    return look.curve(list(known).index(name))


def _words(stage: StageState, loss: str) -> tuple[str, str]:
    """What a loss of a stage is called, whole and in five letters."""
    return stage.loss_words.get(loss) or (loss_words(loss), short_loss(loss))


def weights(state: RunState, view: View, look: Look) -> ChartSpec:
    """The whole curriculum of the loss weights, marked where training is."""
    stage = state.scheduled()
    if stage is None or stage.schedule is None:
        return _planned(state, view, look)
    schedule = stage.schedule
    now = float(stage.epoch) if stage.epoch else None
    live = stage is state.stage and stage.status is not Status.DONE
    names = _ordered(list(schedule))
    high = max((points[-1][0] for points in schedule.values() if points), default=1.0)
    low, high = view.zoom or (0.0, high)
    curves = []
    for name in names:
        points = np.array(schedule[name], dtype=np.float64).reshape(-1, 2)
        at_now = float(np.interp(now or 0.0, points[:, 0], points[:, 1])) if len(points) else math.nan
        value = f"{at_now:.2f}" if live else ""
        curves.append(Curve(*_words(stage, name), points[:, 0], points[:, 1], _colour(name, state, look), value=value))
    return ChartSpec(
        curves=tuple(curves), x_low=low, x_high=high, y_low=0.0, y_high=1.0, log_y=view.log_y,
        now=now if live and now is not None and low <= now <= high else None, cursor=view.cursor, read="line",
    )  # fmt: skip


def _planned(state: RunState, view: View, look: Look) -> ChartSpec:
    """The curriculum as the profile plans it, before any student has begun."""
    schedule = state.started.schedule if state.started is not None else None
    if not schedule:
        return ChartSpec(empty=_no_schedule(state))
    curves = []
    for name in _ordered(list(schedule)):
        points = np.array(schedule[name], dtype=np.float64).reshape(-1, 2)
        words = loss_words(name), short_loss(name)
        curves.append(Curve(*words, points[:, 0], points[:, 1], _colour(name, state, look), value=""))
    low, high = view.zoom or (0.0, max(points[-1][0] for points in schedule.values() if points))
    return ChartSpec(
        curves=tuple(curves), x_low=low, x_high=high, y_low=0.0, y_high=1.0, log_y=view.log_y, cursor=view.cursor,
        read="line", note="planned",
    )  # fmt: skip


def _no_schedule(state: RunState) -> str:
    if state.started is None:
        return "No training yet"
    first = next((stage for stage in state.stages.values() if stage.phase is Phase.DISTILL), None)
    if first is None:
        return "This run has no curriculum"
    same_seed = [stage for stage in state.stages.values() if stage.seed == first.seed]
    before = [f"the {stage.stage}" for stage in same_seed[: same_seed.index(first)] if not stage.pretrains]
    after = f", after {' and '.join(before)}" if before else ""
    return f"The curriculum begins with the {first.stage}{after}"


def losses(state: RunState, view: View, look: Look, stage: StageState | None = None) -> ChartSpec:
    """The losses of the stage in training: one curve, or one for each label source and their total."""
    stage = stage or state.stage
    if stage is None or not stage.losses:
        return ChartSpec(empty="No epoch yet")
    names = _ordered(list(stage.losses))
    curves = []
    if len(names) > 1:
        curves = [_curve(view, stage.losses[name], *_words(stage, name), _colour(name, state, look)) for name in names]
    total = stage.losses.get("total") or stage.losses[names[0]]
    name = "total" if len(names) > 1 else "loss"
    curves.append(_curve(view, total, name, name, look.foreground if len(names) > 1 else look.curve(0)))
    low, high = view.zoom or full_range(stage.epoch, stage.epochs)
    return ChartSpec(
        curves=tuple(curves), x_low=low, x_high=high, log_y=view.log_y, cursor=view.cursor, clip=True,
    )  # fmt: skip


def shown_model(state: RunState, view: View) -> str:
    """Whose validation the chart shows: the reader's choice, else the model in training, else the last with values."""
    names = [entry.name for entry in state.trained if entry.role not in UNTRAINED]
    if view.model in names:
        return str(view.model)
    if state.finished and state.about is not None:
        return state.about.name
    current = state.stage
    seen = [stage.stage for stage in state.stages.values() if len(stage.validation)]
    if current is not None and current.stage in names and (current.stage in seen or not seen):
        return current.stage
    if seen:
        return seen[-1]
    return names[0] if names else "model"


def validation(state: RunState, view: View, look: Look) -> ChartSpec:
    """Validation of one model by the run's headline metric (AUPRC where that is AP), in per cent, one curve a seed.

    Of a cohort, until the reader chooses a model: one curve a model, of one seed.
    """
    if by_model(state, view):
        return _by_model(state, view, look)
    if state.headline == MACRO_AP:
        return _by_seed(state, view, look, MACRO_AUPRC, lambda stage: stage.metrics.get(MACRO_AUPRC, Series()))
    return _by_seed(state, view, look, state.headline, lambda stage: stage.validation)


def ranking(state: RunState, view: View, look: Look) -> ChartSpec:
    """The same by average precision of each tail's ranking; of a cohort, how far its members agree."""
    if state.is_cohort:
        whole = replace(view, model=_together(state))
        return _by_seed(state, whole, look, AGREEMENT, lambda stage: stage.metrics.get(AGREEMENT, Series()))
    return _by_seed(state, view, look, MACRO_AP, lambda stage: stage.metrics.get(MACRO_AP, Series()))


def by_model(state: RunState, view: View) -> bool:
    """Whether the chart of validation compares models of one seed."""
    return state.is_cohort and view.model is None


def seed_shown(state: RunState, view: View) -> int | None:
    """The seed whose models are compared: the reader's choice, else the one in training, else the last one begun."""
    if view.seed is not None:
        return view.seed
    return state.current[0] if state.current is not None else None


def _together(state: RunState) -> str | None:
    """The mean of the members, which is evaluated beside them."""
    stages = [stage for stage in state.stages.values() if len(stage.models) > 1]
    ensembles = [entry.name for entry in state.models if entry.role is Role.ENSEMBLE]
    return next((model for stage in stages for model in stage.models if model in ensembles), None)


def _by_model(state: RunState, view: View, look: Look) -> ChartSpec:
    """Validation in per cent, one curve a model: members, faded the same alone, in dashes what they say together."""
    seed = seed_shown(state, view)
    members = [entry.name for entry in state.models if entry.role is Role.MEMBER]
    curves, epochs, furthest = [], 1, 0.0
    for entry in state.trained:
        stage = state.get(seed, entry.name) if seed is not None else None
        if stage is None or not len(stage.validation):
            continue
        series, alone = stage.validation, entry.role is Role.BASELINE
        rivals = [other.name for other in state.models if other.over == entry.name]
        place = next((members.index(name) for name in (entry.name, *rivals) if name in members), None)
        colour = look.foreground if place is None else look.curve(place)
        label = "" if alone else entry.label[:6]
        curves.append(
            Curve(entry.label, label, as_array(series.x), 100.0 * as_array(series.y), colour, faded=alone,
                  value=per_cent(series.last), dashed=entry.role is Role.ENSEMBLE, short=entry.label[:8])
        )  # fmt: skip
        epochs, furthest = max(epochs, stage.epochs), max(furthest, series.x[-1])
    if not curves:
        return ChartSpec(empty="No evaluation yet")
    low, high = view.zoom or full_range(furthest, epochs)
    return ChartSpec(
        curves=tuple(curves), x_low=low, x_high=high, log_y=view.log_y, cursor=view.cursor, per_cent=True,
        read="measured",
    )  # fmt: skip


def _by_seed(state: RunState, view: View, look: Look, metric: str, of: Callable[[StageState], Series]) -> ChartSpec:
    """A metric of one model, one curve a seed; scorers without training as levels."""
    model = shown_model(state, view)
    stages = [(i, seed, state.get(seed, model)) for i, seed in enumerate(state.seeds)]
    known = [(i, seed, stage) for i, seed, stage in stages if stage is not None and len(of(stage))]
    if not known:
        if any(stage is not None and stage.status is Status.REUSED for _, _, stage in stages):
            return ChartSpec(empty=f"The {model} was reused: its curves are in the run that trained it")
        if any(stage is not None and len(stage.validation) for _, _, stage in stages):
            return ChartSpec(empty=f"{metric_words(metric)} of the {model} was not measured while it trained")
        return ChartSpec(empty=f"No evaluation of the {model} yet")
    curves = []
    band = _band([of(stage) for _, _, stage in known]) if view.band else None
    front = view.seed
    if front is None and band is not None and state.current is not None and not state.finished:
        front = state.current[0]
    for i, seed, stage in known:
        series = of(stage)
        faded = seed != front and (band is not None or front is not None)
        curves.append(
            Curve(str(seed), str(seed), as_array(series.x), 100.0 * as_array(series.y), look.curve(i), faded=faded,
                  value=per_cent(series.last))
        )  # fmt: skip
    if band is not None:
        x, mean, std = band
        last = f"{mean[-1]:.2f} ± {std[-1]:.2f}"
        curves.append(Curve("mean", "mean", x, mean, look.foreground, value=last))
    furthest = max(of(stage).x[-1] for _, _, stage in known)
    epochs = max(stage.epochs for _, _, stage in known)
    low, high = view.zoom or full_range(furthest, epochs)
    told = tuple((label, 100.0 * value) for label, value in levels(state, metric, view.seed).items())
    return ChartSpec(
        curves=tuple(curves), x_low=low, x_high=high, log_y=view.log_y, cursor=view.cursor, per_cent=True,
        read="measured", levels=told, plateau=view.zoom is None and view.clip,
        band=(band[0], band[1] - band[2], band[1] + band[2]) if band is not None else None,
    )  # fmt: skip


def _band(found: list[Series]) -> tuple[Floats, Floats, Floats] | None:
    """Epochs that at least two seeds share, mean and sample standard deviation there, in per cent."""
    by_epoch: dict[float, list[float]] = {}
    for series in found:
        for x, y in zip(series.x, series.y, strict=True):
            if y == y:
                by_epoch.setdefault(x, []).append(100.0 * y)
    rows = [(x, np.mean(ys), np.std(ys, ddof=1)) for x, ys in sorted(by_epoch.items()) if len(ys) >= 2]
    if len(rows) < 2:
        return None
    table = np.array(rows, dtype=np.float64)
    return table[:, 0], table[:, 1], table[:, 2]


def learning_rate(state: RunState, view: View, look: Look) -> ChartSpec:
    """The learning rate of the stage in training."""
    return _single(state, view, look, "learning rate", 4)


def speed(state: RunState, view: View, look: Look) -> ChartSpec:
    """Epochs a second of the stage in training, evaluation left out."""
    return _single(state, view, look, "epochs/s", 2)


def _single(state: RunState, view: View, look: Look, name: str, colour: int) -> ChartSpec:
    stage = state.stage
    series = None if stage is None else stage.lr if name == "learning rate" else stage.rate
    if stage is None or series is None or not len(series):
        return ChartSpec(empty="No epoch yet")
    low, high = view.zoom or full_range(stage.epoch, stage.epochs)
    curve = replace(_curve(view, series, name, "", look.curve(colour)), short="rate" if series is stage.lr else "")
    return ChartSpec(
        curves=(curve,),
        x_low=low,
        x_high=high,
        # Zoomed, what is there fills the height; the whole is seen from zero.
        y_low=None if view.zoom is not None else 0.0,
        log_y=view.log_y,
        cursor=view.cursor,
        clip=True,
        significant=3,
    )
