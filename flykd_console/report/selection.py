"""A selection as one HTML file that opens offline: the candidates, the Pareto front, and why each was turned down."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from flykd_console import __version__
from flykd_console.plans.points import Rival, rivals_of
from flykd_console.report.drawing import INK, MUTED, SERIES, STYLE, svg
from flykd_console.runs.events import MACRO_AUPRC
from flykd_console.runs.results import Spread
from flykd_console.selection.choose import Verdict
from flykd_console.selection.select import Chosen
from flykd_console.words import DASH, grouped, metric_words, per_cent, significant

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 9.0, 3.8  # inches; the page scales them
_LOGARITHMIC_FROM = 20.0  # times that the largest is the smallest


def page(found: Chosen) -> str:
    """The whole document; it takes its looks from the report of runs."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    package = resources.files(__package__)
    style = re.search(r"<style>.*?</style>", package.joinpath("page.html.j2").read_text(encoding="utf-8"), re.DOTALL)
    template = package.joinpath("selection.html.j2").read_text(encoding="utf-8")
    chosen = found.chosen
    return environment.from_string(template).render(
        name=found.selection.order.name,
        style=style.group(0) if style else "",
        metric=metric_words(found.metric),
        ceiling=per_cent(found.ceiling),
        teacher=found.teacher if found.teachers else "",
        chosen=chosen.candidate.label if chosen else "",
        why=chosen.why if chosen else "",
        rows=[_row(number, verdict, found) for number, verdict in enumerate(found.verdicts, 1)],
        rivals=[_untrained(rival, found.metric) for rival in rivals_of(found.points)],
        drawn=_drawn(found),
        version=__version__,
        written=time.strftime("%Y-%m-%d %H:%M"),
    )


def _row(number: int, verdict: Verdict, found: Chosen) -> dict[str, object]:
    one, point = verdict.candidate, found.points[number - 1]
    return {
        "number": number,
        "label": one.label,
        "quality": per_cent(one.quality),
        "auprc": _mean(point.validation, MACRO_AUPRC),
        "p50": f"{one.cost.p50:.2f}" if one.cost else DASH,
        "p99": f"{one.cost.p99:.2f}" if one.cost else DASH,
        "bytes": grouped(one.cost.bytes) if one.cost else DASH,
        "front": verdict.front,
        "chosen": verdict.chosen,
        "why": verdict.why,
    }


def _untrained(rival: Rival, metric: str) -> dict[str, str]:
    return {
        "label": rival.name,
        "quality": _mean(rival.validation, metric),
        "auprc": _mean(rival.validation, MACRO_AUPRC),
    }


def _mean(validation: Mapping[str, Spread], metric: str) -> str:
    """A metric's mean over the seeds."""
    found = validation.get(metric)
    return per_cent(found.mean if found else None)


def _drawn(found: Chosen) -> str:
    """Quality against size and against latency; empty where fewer than two candidates were measured."""
    measured = [(number, one) for number, one in enumerate(found.verdicts, 1) if one.candidate.cost is not None]
    if len(measured) < 2:
        return ""
    with rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True).ravel().tolist()
        _panel(axes[0], measured, [float(one.candidate.cost.bytes) for _, one in measured if one.candidate.cost])
        _panel(axes[1], measured, [one.candidate.cost.p50 for _, one in measured if one.candidate.cost])
        for one, label in zip(axes, ("bytes of the bundle", "milliseconds an answer, p50"), strict=True):
            one.set_xlabel(label)
        axes[0].set_ylabel(f"validation {metric_words(found.metric)}, %")
        return svg(figure, "front", "Quality against size and latency of each candidate")


def _panel(axes: Axes, measured: Sequence[tuple[int, Verdict]], xs: Sequence[float]) -> None:
    spread_out = max(xs) > _LOGARITHMIC_FROM * min(xs)
    axes.set_xscale("log" if spread_out else "linear")
    # The usual labels of such an axis are formulas, which nothing sets here.
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1e6:g} M" if x >= 1e6 else significant(x, 4)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if not spread_out:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.margins(x=0.12, y=0.12)
    for (number, verdict), x in zip(measured, xs, strict=True):
        y = 100.0 * (verdict.candidate.quality or 0.0)
        axes.plot([x], [y], "o", color=SERIES[2] if verdict.front else MUTED, markersize=9 if verdict.chosen else 6)
        axes.annotate(str(number), (x, y), xytext=(6, 4), textcoords="offset points", color=INK)
