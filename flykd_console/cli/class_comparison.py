"""The table of a comparison of runs that tell classes."""

from __future__ import annotations

from flykd_console.cli.text import spread_text
from flykd_console.cli.titled import Titled, plain_table
from flykd_console.compare.figures import Interval
from flykd_console.compare.samples import ClassComparison
from flykd_console.words import DASH, signed


def class_comparison_table(comparison: ClassComparison) -> Titled:
    """One row a model: accuracy, gain over its rival, and its two intervals."""
    table = plain_table()
    methods = list(dict.fromkeys(row.method for row in comparison.rows))
    # One method stands in the title, and leaves its room to the intervals.
    for heading in ("method", "model")[len(methods) == 1 :]:
        table.add_column(heading, style="bold", overflow="fold")
    for heading in ("accuracy", "macro-F1", "NLL", "gain", "other samples", "other seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in comparison.rows:
        accuracy, f1, nll = (row.metrics.get(name) for name in ("accuracy", "macro_f1", "nll"))
        cells = [spread_text(accuracy, 100), f"{100 * f1.mean:.2f}" if f1 else DASH, f"{nll.mean:.3f}" if nll else DASH]
        if row.gain is not None:
            found = row.gain
            cells += [spread_text(found.points, sign=True), _interval(found.over_samples), _interval(found.over_seeds)]
        table.add_row(*(row.method, row.label)[len(methods) == 1 :], *cells)
    seeds = len(comparison.seeds)
    method = f"{methods[0]}: " if len(methods) == 1 else ""
    return Titled(
        table,
        f"{method}{comparison.part} samples of {comparison.source}, {seeds} seed{'s' if seeds > 1 else ''}",
        "In per cent, NLL in nats. Gain: accuracy over the same network alone, the deep ensemble, or the best alone by "
        "validation, in points. Intervals of 95 %: had other samples been tested, had other seeds been drawn.",
    )


def _interval(interval: Interval | None) -> str:
    return DASH if interval is None else f"{signed(interval.low)} … {signed(interval.high)}"
