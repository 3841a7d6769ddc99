"""One line about each run: what it is, how far it is, what came of it; cheap enough for hundreds of runs.

Of a log only the two ends are read, and nothing that has not changed since the last look.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from flykd_console.errors import UserError
from flykd_console.runs.batch import read_queue
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import NewerSchemaError
from flykd_console.runs.models import headliner, trains_nothing
from flykd_console.runs.results import Results, read_results
from flykd_console.runs.stage import Phase
from flykd_console.runs.status import status_of
from flykd_console.toml_text import parse_toml

# States in which a run's line goes on changing although its files may stand still: a lock is let go, a silence grows.
_MOVING = ("starting", "running", "paused", "stopping", "waiting")


@dataclass(frozen=True)
class Outcome:
    """What a run came to: the scores of the model that it is about, by the run's headline metric on test.

    Attributes:
        model: What tables call it; the first student, or the last trained model of a run without any; in a run that
            trains nothing the strongest scorer without training.
        metric: The headline metric.
        seeds: How many have that model.
        best: Its best seed, a fraction; `mean` and `std` over the seeds.
        gain: Mean gain over the seeds, in points.
        over: What tables call the model that the gain is over; empty without a gain.
    """

    model: str
    metric: str
    seeds: int
    best: float | None = None
    mean: float | None = None
    std: float | None = None
    gain: float | None = None
    over: str = ""


@dataclass(frozen=True)
class RunOverview:
    """One run in a list.

    Attributes:
        state: As `status_of` says, or `unreadable`, with the reason in `error`.
        seeds: How many it has; `seeds_done` have a tested model that it is about.
        outcome: What it came to; None before a model was tested.
        started: Unix seconds; `updated` the last word.
        batch: Place in the batch, from 1, and how many runs it has; None for a run on its own.
    """

    directory: RunDirectory
    state: str
    method: str = ""
    graph: str = ""
    device: str = ""
    seeds: int = 0
    seeds_done: int = 0
    seed: int | None = None
    stage: str | None = None
    phase: Phase | None = None
    progress: float = 0.0
    outcome: Outcome | None = None
    started: float | None = None
    updated: float = 0.0
    error: str = ""
    batch: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def moving(self) -> bool:
        """Whether it may change without its files changing."""
        return self.state in _MOVING

    def matches(self, words: str) -> bool:
        """Whether every word stands in the name, the method, the state, the graph or the device."""
        text = " ".join((self.name, self.method, self.state, self.graph, self.device)).casefold()
        return all(word in text for word in words.casefold().split())


def overview_of(directory: RunDirectory) -> RunOverview:
    """One run's line; what is wrong with a run is told in its line and never raised."""
    queue = read_queue(directory)
    batch = (queue.position + 1, len(queue.runs)) if queue is not None else None
    try:
        status = status_of(directory)
    except NewerSchemaError as error:
        return RunOverview(directory, "unreadable", error=f"written by a newer program ({error.versions})", batch=batch)
    except OSError as error:
        return RunOverview(directory, "unreadable", error=error.strerror or str(error), batch=batch)
    about = status.started
    planned = _planned(directory.profile) if about is None else _Planned()
    seeds = len(about.seeds) if about else planned.seeds
    found = RunOverview(
        directory,
        status.state,
        method=about.method if about else planned.method,
        graph=Path(about.graph.source if about else planned.graph).name,
        device=about.device if about else planned.device,
        seeds=seeds,
        seeds_done=seeds if status.state == "finished" else 0,
        seed=status.seed,
        stage=status.stage,
        phase=status.phase,
        progress=status.progress,
        started=about.t if about else None,
        updated=status.updated,
        error=status.error,
        batch=batch,
    )
    if not directory.results.is_file():
        return found
    try:
        return _with_results(found, read_results(directory.results))
    except UserError as error:
        return replace(found, error=found.error or error.title)


class RunList:
    """The runs below a root, read in batches and again only where something changed.

    Args:
        root: The folder of runs.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[Path, tuple[object, RunOverview]] = {}

    def read(self, runs: Iterable[RunDirectory], batch: int = 16) -> Iterator[list[RunOverview]]:
        """The lines of the runs in their order, `batch` of them at a time."""
        lines: list[RunOverview] = []
        for run in runs:
            mark = _mark(run)
            known = self._known.get(run.path)
            if known is None or known[0] != mark or known[1].moving:
                known = (mark, overview_of(run))
                self._known[run.path] = known
            lines.append(known[1])
            if len(lines) >= batch:
                yield lines
                lines = []
        if lines:
            yield lines

    def forget_all_but(self, runs: Iterable[RunDirectory]) -> None:
        """Drop what is known of runs that have gone."""
        kept = {run.path for run in runs}
        self._known = {path: known for path, known in self._known.items() if path in kept}


@dataclass(frozen=True)
class _Planned:
    """What the profile says of a run that has not begun."""

    method: str = ""
    graph: str = ""
    device: str = ""
    seeds: int = 0


def _planned(path: Path) -> _Planned:
    try:
        settings = parse_toml(path.read_text("utf-8"))
        run, graph = settings.get("run", {}), settings.get("graph", {})
        method = settings.get("distill", {}).get("method", "flykd")
        return _Planned(
            str(method), str(graph.get("source", "embedded")), str(run.get("device", "auto")), len(run.get("seeds", []))
        )
    except (OSError, ValueError, AttributeError, TypeError):
        return _Planned()


def outcome_of(results: Results) -> Outcome | None:
    """What a run came to so far; None where no model was tested."""
    model = headliner(results.trained(), untrained=trains_nothing(results.models))
    if model is None:
        return None
    tests = [models[model.name].test for models in results.seeds.values() if model.name in models]
    scores = [test.value(results.headline) for test in tests]
    measured = [score for score in scores if score is not None and math.isfinite(score)]
    summary = results.summary[model.name]
    mean, gain = summary.metrics.get(results.headline), summary.gains.get(results.headline)
    rival = next((entry.label for entry in results.models if entry.name == model.over), model.over)
    return Outcome(
        model=model.label,
        metric=results.headline,
        seeds=len(tests),
        best=max(measured, default=None),
        mean=mean.mean if mean is not None else None,
        std=mean.std if mean is not None else None,
        gain=gain.mean if gain is not None else None,
        over=rival if gain is not None else "",
    )


def _with_results(found: RunOverview, results: Results) -> RunOverview:
    outcome = outcome_of(results)
    if outcome is None:
        return found
    return replace(
        found,
        method=found.method or results.method,
        seeds=found.seeds or len(results.seeds),
        seeds_done=max(found.seeds_done, outcome.seeds),
        outcome=outcome,
    )


def _mark(run: RunDirectory) -> object:
    """Changes when one of the files does that a line is made of."""
    marks = []
    for path in (run.events, run.results, run.profile, run.path / "queue.json"):
        try:
            state = os.stat(path)
            marks.append((state.st_mtime_ns, state.st_size))
        except OSError:
            marks.append((0, -1))
    return tuple(marks)
