"""Tables of a comparison of runs that tell classes, as pages and the dashboard show them."""

from __future__ import annotations

from flykd_console.compare.figures import Interval
from flykd_console.compare.grid import Grid
from flykd_console.compare.samples import ClassComparison, ClassRow
from flykd_console.runs.results import Spread
from flykd_console.words import DASH, signed


def class_grids(comparison: ClassComparison) -> list[Grid]:
    """Scores of every model, and the gains of those that have a rival."""
    grids = [_scores(comparison), _gains(comparison)]
    return [grid for grid in grids if grid.rows]


def _scores(comparison: ClassComparison) -> Grid:
    rows = []
    for row in comparison.rows:
        metrics = [_spread(row.metrics.get(name), 100) for name in ("accuracy", "macro_f1", "rarest_class")]
        metrics += [_spread(row.metrics.get("nll"), 1, 3), _spread(row.metrics.get("ece"), 100)]
        rows.append([_label(comparison, row), *metrics, f"{row.seconds:.1f}"])
    return Grid(
        "Test scores",
        ["model", "accuracy", "macro-F1", "rarest class", "NLL", "ECE", "seconds"],
        rows,
        "Means over the seeds ± standard deviation, per cent; NLL in nats. NLL and ECE are better the lower they are. "
        "Seconds: of training a seed; members that train together share theirs.",
        (1,),
    )


def _gains(comparison: ClassComparison) -> Grid:
    rows = []
    for row in comparison.rows:
        if row.gain is None:
            continue
        gain = row.gain
        chance = DASH if gain.sign_flip_p is None else f"{gain.sign_flip_p:.3f}"
        rows.append(
            [
                _label(comparison, row),
                gain.over,
                _spread(gain.points, 1, 2, sign=True),
                _interval(gain.over_samples),
                _interval(gain.over_seeds),
                chance,
            ]
        )
    return Grid(
        "Gain in accuracy over the fair rival, points",
        ["model", "rival", "gain", "other samples", "other seeds", "sign-flip p"],
        rows,
        "Paired: sample by sample, seed by seed. 95 % intervals: had other samples been tested (bootstrap), had other "
        "seeds been drawn (paired t, corrected where seeds cut one set anew).",
        (2,),
    )


def _label(comparison: ClassComparison, row: ClassRow) -> str:
    return f"{row.method} {row.label}" if len({one.run for one in comparison.rows}) > 1 else row.label


def _spread(value: Spread | None, scale: float, digits: int = 2, sign: bool = False) -> str:
    if value is None:
        return DASH
    mean = signed(scale * value.mean, digits) if sign else f"{scale * value.mean:.{digits}f}"
    return mean if value.std is None else f"{mean} ± {scale * value.std:.{digits}f}"


def _interval(interval: Interval | None) -> str:
    return DASH if interval is None else f"{signed(interval.low)} … {signed(interval.high)}"
