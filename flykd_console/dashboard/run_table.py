"""The list of runs as rows and columns: columns that fit a width, their texts, the order of the rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from flykd_console.dashboard.stage_words import one_word
from flykd_console.runs.events import MACRO_AUPRC
from flykd_console.runs.overview import RunOverview
from flykd_console.words import DASH, clipped, metric_words, per_cent, signed

_SIGNS = {
    "running": "▶", "starting": "▶", "paused": "‖", "stopping": "■", "waiting": "…", "finished": "✔", "stopped": "■",
    "failed": "✘", "died": "✘", "unreadable": "?",
}  # fmt: skip
_TONES = {
    "running": "good", "starting": "good", "paused": "warn", "stopping": "warn", "finished": "plain",
    "stopped": "warn", "failed": "bad", "died": "bad", "unreadable": "bad", "waiting": "muted",
}  # fmt: skip


@dataclass(frozen=True)
class RunColumn:
    """One column.

    Attributes:
        key: Names it.
        head: Above it.
        width: In cells; the name's is what is left.
        text: Of a run's cell.
        order: What rows are sorted by; runs without a value (None) come last either way.
        words: Left-aligned, sorted from A; numbers are right-aligned and sorted from the largest.
    """

    key: str
    head: str
    width: int
    text: Callable[[RunOverview], str]
    order: Callable[[RunOverview], float | str | None]
    words: bool = False


def state_words(run: RunOverview) -> str:
    """The state with its sign, so that colour is not needed."""
    return f"{_SIGNS.get(run.state, ' ')} {run.state}"


def state_tone(run: RunOverview) -> str:
    """good, plain, warn, bad or muted."""
    return _TONES.get(run.state, "plain")


def progress_words(run: RunOverview) -> str:
    """What is being trained and how far the whole run is."""
    if run.state == "waiting":
        return f"{run.batch[0]} of {run.batch[1]}" if run.batch is not None else ""
    if run.state == "finished" or run.stage is None or run.seed is None:
        return ""
    return f"{run.seed} {one_word(run.stage, run.phase)} {100 * run.progress:.0f} %"


def mean_words(run: RunOverview) -> str:
    """Mean ± deviation of the score of the model that the run is about."""
    std = run.outcome.std if run.outcome is not None else None
    return per_cent(_mean(run)) + (f" ± {100 * std:.2f}" if std is not None else "")


def started_words(run: RunOverview, now: float | None = None) -> str:
    """When it was started: the time today, else the date."""
    if run.started is None:
        return DASH
    then, today = time.localtime(run.started), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%d %b %H:%M" if then.tm_year == today.tm_year else "%Y-%m-%d", then)


def _best(run: RunOverview) -> float | None:
    return run.outcome.best if run.outcome is not None else None


def _mean(run: RunOverview) -> float | None:
    return run.outcome.mean if run.outcome is not None else None


def _gain(run: RunOverview) -> float | None:
    return run.outcome.gain if run.outcome is not None else None


def _over(run: RunOverview) -> str:
    return run.outcome.over if run.outcome is not None else ""


def _metric(run: RunOverview) -> str:
    return metric_words(run.outcome.metric) if run.outcome is not None else ""


def _seeds_words(run: RunOverview) -> str:
    return f"{run.seeds_done}/{run.seeds}" if run.seeds else ""


# In order of the screen; the first number says in which order they are given up where there is no room.
_COLUMNS: tuple[tuple[int, RunColumn], ...] = (
    (3, RunColumn("method", "method", 12, lambda r: clipped(r.method, 12), lambda r: r.method or None, words=True)),
    (7, RunColumn("graph", "graph", 12, lambda r: clipped(r.graph, 12), lambda r: r.graph or None, words=True)),
    (0, RunColumn("state", "state", 11, state_words, lambda r: r.state, words=True)),
    (4, RunColumn("progress", "now", 17, progress_words, lambda r: r.progress)),
    (1, RunColumn("seeds", "seeds", 7, _seeds_words, lambda r: float(r.seeds_done))),
    (5, RunColumn("best", "best", 6, lambda r: per_cent(_best(r)), _best)),
    (0, RunColumn("metric", "metric", 10, lambda r: clipped(_metric(r), 10), lambda r: _metric(r) or None, words=True)),
    (0, RunColumn("mean", "score", 7, lambda r: per_cent(_mean(r)), _mean)),
    (0, RunColumn("gain", "gain", 6, lambda r: signed(_gain(r)), _gain)),
    (0, RunColumn("over", "over", 10, lambda r: clipped(_over(r), 10), lambda r: _over(r) or None, words=True)),
    (2, RunColumn("started", "started", 12, started_words, lambda r: r.started)),
    (6, RunColumn("device", "device", 8, lambda r: clipped(r.device, 8), lambda r: r.device or None, words=True)),
)
_MARK = 4  # with its padding, and the scroll bar
_LEAST_NAME, _MOST_NAME = 26, 48
_LEAST_TELLING = 5


def columns(width: int, runs: Sequence[RunOverview] = ()) -> list[RunColumn]:
    """The columns for a width in cells, the name first; those that `runs` do not fill leave their room to the names."""
    kept = [(rank, _fitted(column, runs)) for rank, column in _headed(runs)]
    longest = max((len(run.name) for run in runs), default=_MOST_NAME)
    most_name, least_name = max(12, longest), min(_LEAST_NAME, longest)

    def spare() -> int:
        return width - _MARK - sum(column.width + 2 for _, column in kept) - 2

    while kept:
        worst = max(rank for rank, _ in kept)
        # What tells least goes for long names as well.
        wanted = min(most_name, _MOST_NAME) if runs and worst >= _LEAST_TELLING else least_name
        if worst == 0 or spare() >= wanted:
            break
        kept = [(rank, column) for rank, column in kept if rank != worst]
    name_width = max(12, min(most_name, spare()))
    wide = [column for _, column in kept]
    if spare() - name_width >= 8:
        wide = [replace(c, width=13, text=mean_words) if c.key == "mean" else c for c in wide]
    name = RunColumn("name", "run", name_width, lambda r: clipped(r.name, name_width), lambda r: r.name, words=True)
    return [name, *wide]


def _headed(runs: Sequence[RunOverview]) -> list[tuple[int, RunColumn]]:
    """The columns, scores under their metric: its name above them, or a column of names where there are several.

    Rivals have one where any run gains over one.
    """
    metrics = list(dict.fromkeys(_metric(run) for run in runs if run.outcome is not None))
    left_out = []
    if runs and not any(map(_over, runs)):
        left_out.append("over")
    head = "score"
    if len(metrics) < 2:
        left_out.append("metric")
        head = metrics[0] if metrics else metric_words(MACRO_AUPRC)
    named = [(rank, replace(column, head=head) if column.key == "mean" else column) for rank, column in _COLUMNS]
    return [(rank, column) for rank, column in named if column.key not in left_out]


def _fitted(column: RunColumn, runs: Sequence[RunOverview]) -> RunColumn:
    """The column no wider than its head, with the sign of sorting, and its texts need."""
    if not runs:
        return column
    longest = max(len(column.text(run)) for run in runs)
    if column.key == "progress" and longest:
        return column  # it changes with every look
    return replace(column, width=min(column.width, max(len(column.head) + 2, longest)))


def ordered(runs: Iterable[RunOverview], column: RunColumn | None, turned: bool) -> list[RunOverview]:
    """The runs sorted by a column; without one as they come (newest first)."""
    listed = list(runs)
    if column is None:
        return listed[::-1] if turned else listed
    known = [run for run in listed if column.order(run) is not None]
    rest = [run for run in listed if column.order(run) is None]
    largest_first = not column.words
    known.sort(key=lambda run: column.order(run), reverse=largest_first != turned)  # type: ignore[arg-type,return-value]
    return known + rest
