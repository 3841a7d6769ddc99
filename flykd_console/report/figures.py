"""The report's figures: gains, validation curves, loss weights, losses, precision and recall, calibration."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from flykd_console.compare.bootstrap import RelationScores
from flykd_console.compare.figures import Block, Gain, TailGain
from flykd_console.compare.forest import headline_gain, points_of
from flykd_console.compare.models import Contender
from flykd_console.compare.rivals import gain_labels, over_rivals
from flykd_console.report.curves import Curves, Floats, StageCurves, thinned
from flykd_console.report.drawing import (
    COLUMNS,
    GRID,
    INK,
    MUTED,
    PAPER,
    SERIES,
    STYLE,
    colour_of,
    dash_of,
    panels,
    single,
    svg,
)
from flykd_console.runs.events import MACRO_AP
from flykd_console.runs.models import Role
from flykd_console.words import grouped, loss_words, metric_words, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOTAL = "total"
# The paper's sources have the same colours in every report; other losses those that follow, as they come up in it.
_SOURCES = {"original": SERIES[0], "pseudo_train": SERIES[1], "pseudo_random": SERIES[2], TOTAL: INK}
_OTHERS = SERIES[len(_SOURCES) - 1 :]
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_RECALL = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Look:
    """How a model is drawn in every figure."""

    colour: str
    dashes: Sequence[float] | None

    @property
    def line(self) -> dict[str, Any]:
        """Keywords of `plot`."""
        return {"color": self.colour, "dashes": self.dashes} if self.dashes else {"color": self.colour}


def looks(contenders: Sequence[Contender]) -> dict[Contender, Look]:
    """Baselines in ink, teachers muted, students in colours."""
    found, students, plain = {}, 0, Counter[Role]()
    for one in contenders:
        role = one.entry.role
        if one.entry.distilled:
            found[one] = Look(colour_of(students), dash_of(students))
            students += 1
        else:
            found[one] = Look(INK if role is Role.BASELINE else MUTED, (4, 2) if plain[role] else None)
            plain[role] += 1
    return found


@dataclass(frozen=True)
class LossLook:
    """How a loss is drawn and called in every figure.

    Attributes:
        weighed: The curriculum gives it a weight.
        structure: It stands beside what the curriculum weighs: a loss of the embeddings' structure.
    """

    words: str
    colour: str
    weighed: bool
    structure: bool

    @property
    def legend(self) -> tuple[str, str, bool]:
        """Words, CSS colour, and that its line is not dashed."""
        return self.words, css(self.colour), False


def _distilling(contenders: Sequence[Contender], curves: Mapping[str, Curves]) -> Iterator[StageCurves]:
    """The stages in which models learn from others."""
    for one in contenders:
        if one.entry.distilled:
            yield from (stage for (_, name), stage in curves[one.runs[0].name].items() if name == one.model)


def _losses_of(stage: StageCurves, structure: bool) -> list[str]:
    """The losses of a stage: those beside its curriculum, or the others with their total."""
    weighed = {*stage.schedule, TOTAL} if stage.schedule else {*stage.losses}
    return [loss for loss in stage.losses if (loss not in weighed) == structure]


def loss_looks(contenders: Sequence[Contender], curves: Mapping[str, Curves]) -> dict[str, LossLook]:
    """Every loss that a student trained with, as it is drawn; their total last."""
    words: dict[str, str] = {}
    weighed: dict[str, None] = {}
    structure: dict[str, None] = {}
    for stage in _distilling(contenders, curves):
        weighed |= dict.fromkeys(stage.schedule)
        structure |= dict.fromkeys(_losses_of(stage, structure=True))
        for loss in (*stage.schedule, *stage.losses):
            words.setdefault(loss, stage.loss_words.get(loss, (loss_words(loss),))[0])
    others = [loss for loss in words if loss not in _SOURCES]
    return {
        loss: LossLook(
            words[loss],
            _SOURCES[loss] if loss in _SOURCES else _OTHERS[others.index(loss) % len(_OTHERS)],
            loss in weighed,
            loss in structure,
        )
        for loss in sorted(words, key=lambda loss: loss == TOTAL)
    }


def gains(block: Block, contenders: Sequence[Contender], name: str) -> str | None:
    """Each model's gain: a dot a seed, the mean with its interval over seeds, the paper's figure as a ring."""
    look = {one.label: style for one, style in looks(contenders).items()}
    found = [(row, gain) for row in block.rows if (gain := headline_gain(block, row)) is not None]
    if not found:
        return None
    metric = "AP" if block.headline == MACRO_AP else "AUPRC"
    with rc_context(STYLE):
        figure, axes = single(0.8 + 0.46 * len(found))
        axes.axvline(0.0, color=MUTED, linewidth=1.0)
        for place, (row, gain) in enumerate(found):
            _gain(axes, place, gain, look[row.label].colour)
        axes.set_yticks(range(len(found)), gain_labels(found))
        axes.tick_params(axis="y", labelcolor=INK, length=0)
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "0" if x == 0 else signed(x, 1)))
        axes.set_xlabel(f"gain {over_rivals(gain for _, gain in found)}, points of macro {metric}")
        return svg(figure, f"{name}-gains", f"Gain of each model {over_rivals(gain for _, gain in found)}")


def _gain(axes: Axes, place: int, gain: Gain | TailGain, colour: str) -> None:
    mean = gain.points.mean
    if gain.over_seeds:
        axes.plot([gain.over_seeds.low, gain.over_seeds.high], [place, place], color=colour, linewidth=1.4)
    if gain.over_tails:
        axes.plot([gain.over_tails.low, gain.over_tails.high], [place, place], color=colour, linewidth=5.0, alpha=0.35)
    points = points_of(gain)
    axes.plot(
        points, np.full(len(points), place - 0.24), "o", color=colour, markersize=4.2, alpha=0.8, markeredgewidth=0
    )
    axes.plot([mean], [place], "D", color=colour, markersize=6.5, markeredgecolor=PAPER, markeredgewidth=1.0)
    if isinstance(gain, Gain) and gain.paper:
        axes.plot([gain.paper[0]], [place], "o", markersize=8, markerfacecolor="none", markeredgecolor=MUTED)


def validation(
    contenders: Sequence[Contender], curves: Mapping[str, Curves], seeds: Sequence[int], name: str
) -> str | None:
    """Validation over the epochs, a panel for each model: a thin line a seed, the mean and its ± std band."""
    style = looks(contenders)
    found = []
    for one in contenders:
        stages = [curves[one.runs[0].name].get((seed, one.model)) for seed in seeds]
        lines = [thinned(stage.validation) for stage in stages if stage and stage.validation]
        if lines:
            found.append((one, lines))
    if not found:
        return None
    with rc_context(STYLE):
        figure, axes = panels(len(found))
        for panel, (one, lines) in zip(axes, found, strict=True):
            colour = style[one].colour
            for x, y in lines:
                panel.plot(x, 100 * y, color=colour, linewidth=0.7, alpha=0.45)
            if len(lines) > 1:
                x, values = _together(lines)
                mean, std = 100 * np.nanmean(values, axis=0), 100 * np.nanstd(values, axis=0, ddof=1)
                panel.fill_between(x, mean - std, mean + std, color=colour, alpha=0.14, linewidth=0)
                panel.plot(x, mean, color=colour, linewidth=2.0)
            panel.set_title(one.label)
        _epochs(axes)
        metrics = dict.fromkeys(metric_words(one.runs[0].results.headline) for one, _ in found)
        metric = " or ".join(metrics)
        figure.supylabel(f"validation {metric}, %", fontsize=9.5, color=MUTED)
        said = f"Validation {metric} over the epochs, one panel for each model"
        return svg(figure, f"{name}-validation", said)


def weights(contenders: Sequence[Contender], curves: Mapping[str, Curves], name: str) -> str | None:
    """The normalised weights of each student's losses over the epochs."""
    of_losses = loss_looks(contenders, curves)
    found = []
    for one in contenders:
        stages = (stage for (_, which), stage in curves[one.runs[0].name].items() if which == one.model)
        schedule = next((stage.schedule for stage in stages if stage.schedule), None)
        if schedule:
            found.append((one, schedule))
    if not found:
        return None
    with rc_context(STYLE):
        figure, axes = panels(len(found), height=2.1)
        for panel, (one, schedule) in zip(axes, found, strict=True):
            for source, points in schedule.items():
                x, y = np.asarray(points).T
                panel.plot(x, y, color=of_losses[source].colour, linewidth=2.0)
            panel.set_ylim(-0.03, 1.03)
            panel.set_title(one.label)
        _epochs(axes)
        return svg(figure, f"{name}-weights", "Weights of the losses over the epochs")


def losses(
    contenders: Sequence[Contender],
    curves: Mapping[str, Curves],
    seeds: Sequence[int],
    name: str,
    structure: bool = False,
) -> str | None:
    """Training losses of each student, mean over the seeds with the range between them, on a logarithmic axis.

    Args:
        structure: The structure losses alone, which may be a thousandth of the others; False: the others.
    """
    of_losses = loss_looks(contenders, curves)
    found = []
    for one in contenders:
        if not one.entry.distilled:
            continue
        stages = [curves[one.runs[0].name].get((seed, one.model)) for seed in seeds]
        known = [stage for stage in stages if stage and stage.losses]
        names = list(dict.fromkeys(loss for stage in known for loss in _losses_of(stage, structure)))
        if names:
            found.append((one, {n: [thinned(s.losses[n]) for s in known if s.losses.get(n)] for n in names}))
    if not found:
        return None
    with rc_context(STYLE):
        figure, axes = panels(len(found))
        for panel, (one, by_name) in zip(axes, found, strict=True):
            for loss, lines in by_name.items():
                x, values = _together(lines)
                colour = of_losses[loss].colour
                panel.fill_between(x, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
                panel.plot(x, values.mean(axis=0), color=colour, linewidth=1.2 if loss == TOTAL else 1.7)
            panel.set_yscale("log")
            panel.set_title(one.label)
        _decades(axes)
        _epochs(axes)
        kind = "structure" if structure else "training"
        return svg(figure, f"{name}-{kind}-losses", f"{kind.capitalize()} losses over the epochs")


def precision_recall(
    contenders: Sequence[Contender],
    pairs: Mapping[int, Mapping[str, RelationScores]],
    relations: Sequence[str],
    name: str,
) -> str:
    """Precision over recall, a panel for each relation, each model's mean over the seeds."""
    from sklearn.metrics import precision_recall_curve

    style = looks(contenders)
    with rc_context(STYLE):
        figure, axes = panels(len(relations), columns=2, height=3.6)
        for panel, relation in zip(axes, relations, strict=True):
            base = [float(found[relation].labels.mean()) for found in pairs.values()]
            panel.axhline(100 * float(np.mean(base)), color=GRID, linewidth=1.2)
            for one in contenders:
                lines = []
                for found in pairs.values():
                    scores = found[relation]
                    precision, recall, _ = precision_recall_curve(scores.labels, scores.logits[one])
                    # Recall falls along the arrays: the precision where it is still at least r.
                    at = len(recall) - np.searchsorted(recall[::-1], _RECALL, side="left") - 1
                    lines.append(precision[at])
                panel.plot(100 * _RECALL[1:], 100 * np.mean(lines, axis=0)[1:], **style[one].line)
            panel.set_title(relation)
            panel.set_xlabel("recall, %")
            panel.set_ylim(None, 101)
        axes[0].set_ylabel("precision, %")
        return svg(figure, f"{name}-precision-recall", "Precision over recall for each relation")


def calibration(
    contenders: Sequence[Contender],
    pairs: Mapping[int, Mapping[str, RelationScores]],
    relations: Sequence[str],
    name: str,
) -> str:
    """Share of true pairs over predicted probability in ten equally filled bins, the seeds' test pairs together."""
    from sklearn.calibration import calibration_curve

    style = looks(contenders)
    with rc_context(STYLE):
        figure, axes = panels(len(relations), columns=2, height=3.6)
        for panel, relation in zip(axes, relations, strict=True):
            panel.plot([0, 100], [0, 100], color=GRID, linewidth=1.2)
            for one in contenders:
                labels, probabilities = pooled(pairs, relation, one)
                share, predicted = calibration_curve(labels, probabilities, n_bins=10, strategy="quantile")
                panel.plot(100 * predicted, 100 * share, marker="o", markersize=3.2, **style[one].line)
            panel.set_title(relation)
            panel.set_xlabel("predicted, %")
            panel.set_xlim(-2, 102)
            panel.set_ylim(-2, 102)
        axes[0].set_ylabel("true, %")
        return svg(figure, f"{name}-calibration", "Share of true pairs over predicted probability for each relation")


def calibration_error(
    pairs: Mapping[int, Mapping[str, RelationScores]], relation: str, one: Contender, bins: int = 10
) -> float:
    """Expected calibration error over equally filled bins (Naeini et al. 2015; Guo et al. 2017), a fraction."""
    labels, probabilities = pooled(pairs, relation, one)
    order = np.argsort(probabilities, kind="stable")
    gaps = [
        abs(labels[part].mean() - probabilities[part].mean()) * len(part)
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return float(sum(gaps) / len(order))


def pooled(pairs: Mapping[int, Mapping[str, RelationScores]], relation: str, one: Contender) -> tuple[Floats, Floats]:
    """Labels and sigmoid(logit) of one model, float64 [n], all seeds together."""
    labels = np.concatenate([found[relation].labels for found in pairs.values()]).astype(np.float64)
    logits = np.concatenate([found[relation].logits[one] for found in pairs.values()]).astype(np.float64)
    return labels, 0.5 * (1.0 + np.tanh(0.5 * logits))


def css(colour: str) -> str:
    """A placeholder colour as the page's CSS knows it."""
    named = {INK: "ink", MUTED: "muted"} | {c: f"c{i}" for i, c in enumerate(SERIES)}
    return f"var(--{named[colour]})"


def _epochs(axes: Sequence[Axes]) -> None:
    for place, panel in enumerate(axes):
        panel.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: grouped(x)))
        if place >= len(axes) - COLUMNS:  # the last of each column, as `panels` numbers them
            panel.set_xlabel("epoch")


def _decades(axes: Sequence[Axes]) -> None:
    """A handful of ticks on a logarithmic axis that all panels share: powers of ten, or 1, 2, 5 where these are few."""
    low, high = axes[0].get_ylim()
    narrow = math.log10(high / low) < 2.5
    for panel in axes:
        panel.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=7))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: log_tick(y)))
        panel.yaxis.set_minor_locator(NullLocator())


def log_tick(value: float) -> str:
    """0.2, 0.05, 10⁻⁴, 2·10⁻³: at most two decimals."""
    if 0.01 <= value < 10_000:
        return f"{value:g}"
    factor, exponent = f"{value:.0e}".split("e")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    return power if factor == "1" else f"{factor}·{power}"


def _together(lines: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Lines of several seeds over the epochs of the longest: x [n] and values [lines, n]; NaN beyond a line's end."""
    x = max((line[0] for line in lines), key=len)
    values = [np.interp(x, line[0], line[1], right=np.nan) for line in lines]
    return x, np.asarray(values)
