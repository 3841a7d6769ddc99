"""Figures of runs that tell classes: gains, validation by member, agreement, losses, calibration, confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from flykd_console.compare.samples import ClassGain, ClassRow
from flykd_console.report.class_answers import StoredAnswers, confusion, reliability
from flykd_console.report.class_curves import ClassCurves
from flykd_console.report.curves import Floats, Points, thinned
from flykd_console.report.drawing import GRID, INK, MUTED, PAPER, SERIES, STYLE, colour_of, panels, single, svg
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.words import metric_words, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CELLS = 12


def member_colours(models: Sequence[ModelEntry]) -> dict[str, str]:
    """A member and its rival have one colour, means and the best are in ink, a teacher is muted."""
    members = [entry for entry in models if entry.role is Role.MEMBER]
    colours = {entry.name: colour_of(place) for place, entry in enumerate(members)}
    rivals = {entry.over: colours[entry.name] for entry in members if entry.over}
    others = {entry.name: MUTED if entry.role is Role.TEACHER else INK for entry in models}
    return others | rivals | colours


def gains(rows: Sequence[ClassRow], colours: Mapping[tuple[str, str], str], name: str) -> str:
    """Each model's gain in accuracy over its rival: a dot a seed, the mean, and both intervals; empty without any."""
    found = [(row, row.gain) for row in rows if row.gain is not None]
    if not found:
        return ""
    several = len({row.run for row, _ in found}) > 1
    with rc_context(STYLE):
        figure, axes = single(0.8 + 0.46 * len(found))
        axes.axvline(0.0, color=MUTED, linewidth=1.0)
        for place, (row, gain) in enumerate(found):
            _gain(axes, place, gain, colours[row.run, row.model])
        labels = [f"{row.method} {row.label}" if several else row.label for row, _ in found]
        axes.set_yticks(range(len(found)), [f"{one} over {g.over}" for one, (_, g) in zip(labels, found, strict=True)])
        axes.tick_params(axis="y", labelcolor=INK, length=0)
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "0" if x == 0 else signed(x, 1)))
        axes.set_xlabel("gain in accuracy, points")
        return svg(figure, f"{name}-gains", "Gain in accuracy of each model over its rival")


def _gain(axes: Axes, place: int, gain: ClassGain, colour: str) -> None:
    if gain.over_seeds:
        axes.plot([gain.over_seeds.low, gain.over_seeds.high], [place, place], color=colour, linewidth=1.4)
    axes.plot([gain.over_samples.low, gain.over_samples.high], [place, place], color=colour, linewidth=5.0, alpha=0.35)
    points = list(gain.seeds.values())
    beside = np.full(len(points), place - 0.24)
    axes.plot(points, beside, "o", color=colour, markersize=4.2, alpha=0.8, markeredgewidth=0)
    axes.plot(
        [gain.points.mean], [place], "D", color=colour, markersize=6.5, markeredgecolor=PAPER, markeredgewidth=1.0
    )


def validation(models: Sequence[ModelEntry], curves: ClassCurves, metric: str, name: str) -> str:
    """Validation over the epochs, a panel for each member: with the others, and alone in dashes; and the ensemble."""
    colours = member_colours(models)
    wanted = [entry for entry in models if entry.role in (Role.MEMBER, Role.TEACHER) or entry.name == "ensemble"]
    lines = {entry.name: _lines(curves, entry.name) for entry in models}
    shown = [entry for entry in wanted if lines[entry.name]]
    if not shown:
        return ""
    with rc_context(STYLE):
        figure, axes = panels(len(shown))
        for panel, entry in zip(axes, shown, strict=True):
            colour = colours[entry.name]
            for x, y in lines[entry.name]:
                panel.plot(x, 100 * y, color=colour, linewidth=0.6, alpha=0.4)
            panel.plot(*_mean(lines[entry.name]), color=colour, linewidth=2.0)
            rival = lines.get(entry.over, [])
            if rival:
                panel.plot(*_mean(rival), color=colour, linewidth=1.3, dashes=(4, 2))
            panel.set_title(entry.label)
        _epochs(axes)
        figure.supylabel(f"validation {metric_words(metric)}, %", fontsize=9.5, color=MUTED)
        return svg(figure, f"{name}-validation", "Validation over the epochs, one panel for each model")


def agreement(curves: ClassCurves, name: str) -> str:
    """The share of validation samples on which members agree, over the epochs; empty where there is one member."""
    lines = [thinned(points) for points in curves.agreement.values() if points]
    if not lines:
        return ""
    with rc_context(STYLE):
        figure, axes = single(2.4)
        for x, y in lines:
            axes.plot(x, 100 * y, color=INK, linewidth=0.6, alpha=0.4)
        axes.plot(*_mean(lines), color=INK, linewidth=2.0)
        _epochs([axes])
        axes.set_ylabel("members agree, %")
        return svg(figure, f"{name}-agreement", "How often members tell the same class, over the epochs")


def losses(models: Sequence[ModelEntry], curves: ClassCurves, name: str) -> tuple[str, list[tuple[str, str, bool]]]:
    """The losses of the cohort, means over the seeds, and the legend: by member where there are several."""
    names = list(dict.fromkeys(loss for _, loss in curves.losses))
    if not names:
        return "", []
    members = member_colours(models)
    spare = iter(SERIES * 2)
    colours = {loss: members[loss] if loss in members else INK if loss == "total" else next(spare) for loss in names}
    with rc_context(STYLE):
        figure, axes = single(2.8)
        for loss in names:
            lines = [thinned(points) for (_, of), points in curves.losses.items() if of == loss and points]
            x, mean = _mean(lines)
            axes.plot(x, mean / 100.0, color=colours[loss], linewidth=1.6)
        _epochs([axes])
        axes.set_ylabel("loss")
        legend = [(loss, css(colours[loss]), False) for loss in names]
        return svg(figure, f"{name}-losses", "Losses of the cohort over the epochs"), legend


def calibration(answers: Mapping[int, StoredAnswers], models: Sequence[ModelEntry], name: str) -> str:
    """Share told right against confidence, a panel for each model that learns from others, and the ensemble."""
    colours = member_colours(models)
    shown = [entry for entry in models if entry.role is Role.MEMBER or entry.name == "ensemble"]
    with rc_context(STYLE):
        figure, axes = panels(len(shown), height=2.7)
        for panel, entry in zip(axes, shown, strict=True):
            panel.plot([0, 1], [0, 1], color=GRID, linewidth=1.0)
            for model, dashed in ((entry.over, True), (entry.name, False)):
                if not model or any(model not in one.logs for one in answers.values()):
                    continue
                confidence, right, count = reliability(answers, model)
                style: dict[str, Any] = {"dashes": (4, 2), "linewidth": 1.2} if dashed else {"linewidth": 1.8}
                panel.plot(confidence, right, color=colours[entry.name], **style)
                if not dashed:
                    size = 6.0 + 60.0 * count / count.max()
                    panel.scatter(confidence, right, s=size, color=colours[entry.name], linewidths=0, alpha=0.7)
            panel.set_title(entry.label)
            panel.set_xlim(0, 1)
            panel.set_ylim(0, 1)
            panel.set_xlabel("confidence")
        figure.supylabel("share that is right", fontsize=9.5, color=MUTED)
        return svg(figure, f"{name}-calibration", "Share told right against confidence")


def confusions(answers: Mapping[int, StoredAnswers], models: Sequence[str], name: str) -> str:
    """Which class is told for which, shares of each row, a panel a model; empty for more classes than can be read."""
    counts = [confusion(answers, model) for model in models]
    classes = len(counts[0])
    if classes > _MOST_CELLS:
        return ""
    with rc_context(STYLE):
        figure, axes = panels(len(models), columns=2, height=1.3 + 0.32 * classes)
        for panel, model, table in zip(axes, models, counts, strict=True):
            shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
            for row in range(classes):
                for column in range(classes):
                    share = float(shares[row, column])
                    colour = SERIES[0] if row == column else SERIES[7]
                    corner = (column - 0.48, row - 0.48)
                    shade = 0.06 + 0.6 * share
                    panel.add_patch(Rectangle(corner, 0.96, 0.96, color=colour, alpha=shade, linewidth=0))
                    panel.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8.5)
            panel.set_xlim(-0.55, classes - 0.45)
            panel.set_ylim(classes - 0.45, -0.55)
            panel.set_xticks(range(classes))
            panel.set_yticks(range(classes))
            panel.grid(visible=False)
            panel.set_title(model)
            panel.set_xlabel("told")
        figure.supylabel("class", fontsize=9.5, color=MUTED)
        return svg(figure, f"{name}-confusion", "Which class is told for which")


def css(colour: str) -> str:
    """A colour of the figures as the page names it."""
    named = {INK: "ink", MUTED: "muted", GRID: "grid"} | {one: f"c{i}" for i, one in enumerate(SERIES)}
    return f"var(--{named[colour]})"


def _lines(curves: ClassCurves, model: str) -> list[tuple[Floats, Floats]]:
    found: list[Points] = [points for (_, of), points in curves.validation.items() if of == model and points]
    return [thinned(points) for points in found]


def _mean(lines: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Epochs of the longest line, and the mean of all that reach so far, in per cent."""
    x = max((line[0] for line in lines), key=len)
    values = np.full((len(lines), len(x)), np.nan)
    for row, (at, y) in enumerate(lines):
        inside = x <= at[-1]
        values[row, inside] = np.interp(x[inside], at, y)
    return x, 100.0 * np.nanmean(values, axis=0)


def _epochs(axes: Sequence[Axes]) -> None:
    for panel in axes:
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        panel.set_xlabel("epoch")
