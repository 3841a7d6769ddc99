"""Settings against results: the runs of a plan, those of one candidate put together over their seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flykd_console.errors import UserError
from flykd_console.plans.job import Job
from flykd_console.runs.events import NewerSchemaError
from flykd_console.runs.models import NEIGHBOURS, headliner
from flykd_console.runs.results import ModelResult, Spread, read_results, spread
from flykd_console.runs.status import status_of

# Scorers without training that stand in every table of models: counting, and the strongest.
RIVALS = ("popularity", NEIGHBOURS)


@dataclass(frozen=True)
class Rival:
    """A scorer without training on the data of a candidate; `test` and `validation`: by metric over the seeds."""

    name: str
    test: Mapping[str, Spread]
    validation: Mapping[str, Spread]


@dataclass(frozen=True)
class Point:
    """One candidate of a plan.

    Attributes:
        label: Its name in the plan; empty where there is but one.
        values: The settings that tell it from others, by key.
        jobs: Its jobs.
        seeds: Seeds that have the model which its runs are about, ascending.
        model: That model's name; empty where no seed has one.
        headline: The metric that its runs put first.
        test: By metric over the seeds; `validation` likewise.
        parameters: Of the model; None where there is none.
        seconds: Mean training time a seed, of that model alone; None likewise.
        rivals: Those of `RIVALS` that were measured on the same seeds.
        missing: What keeps it from being whole, in words; empty where every seed is there.
    """

    label: str
    values: Mapping[str, str]
    jobs: Sequence[Job]
    seeds: Sequence[int]
    model: str
    headline: str
    test: Mapping[str, Spread]
    validation: Mapping[str, Spread]
    parameters: int | None
    seconds: float | None
    rivals: Sequence[Rival]
    missing: str


def points_of(jobs: Sequence[Job], model: str | None = None) -> list[Point]:
    """The candidates of a plan in the order of their first jobs.

    Args:
        model: The model that is shown of each; None: the one that its runs are about.
    """
    by_name: dict[str, list[Job]] = {}
    for job in jobs:
        by_name.setdefault(job.profile.run.name, []).append(job)
    return [_point(members[0].label, members, model) for members in by_name.values()]


def _point(label: str, jobs: Sequence[Job], model: str | None) -> Point:
    found: dict[int, ModelResult] = {}
    beside: dict[str, list[ModelResult]] = {}
    name, missing = "", []
    for job in jobs:
        try:
            results = read_results(job.directory.results) if job.directory.results.is_file() else None
        except UserError as error:
            missing.append(str(error))
            continue
        entry = headliner(results.trained()) if results is not None and model is None else None
        wanted = model or (entry.name if entry is not None else "")
        for seed, models in results.seeds.items() if results is not None else ():
            if wanted not in models:
                continue
            name, found[int(seed)] = wanted, models[wanted]
            for rival in RIVALS:
                if rival in models:
                    beside.setdefault(rival, []).append(models[rival])
        lacking = [seed for seed in job.seeds if seed not in found]
        if lacking:
            missing.append(_why(job, lacking))
    measured = [found[seed] for seed in sorted(found)]
    return Point(
        label=label,
        values=jobs[0].values,
        jobs=jobs,
        seeds=sorted(found),
        model=name,
        headline=jobs[0].profile.evaluation.headline,
        test=_spreads([result.test.metrics for result in measured]),
        validation=_spreads([result.validation.metrics for result in measured]),
        parameters=measured[0].parameters if measured else None,
        seconds=sum(result.seconds for result in measured) / len(measured) if measured else None,
        rivals=[
            Rival(
                rival,
                test=_spreads([result.test.metrics for result in results]),
                validation=_spreads([result.validation.metrics for result in results]),
            )
            for rival, results in beside.items()
        ],
        missing="; ".join(missing),
    )


def rivals_of(points: Sequence[Point]) -> list[Rival]:
    """The rivals of several candidates: one of each name where all have it alike, else one a candidate."""
    found: list[Rival] = []
    for name in RIVALS:
        each = [(point.label, rival) for point in points for rival in point.rivals if rival.name == name]
        if all(rival == each[0][1] for _, rival in each):
            found += [rival for _, rival in each[:1]]
        else:
            found += [replace(rival, name=f"{name}, {label}") for label, rival in each]
    return found


def _why(job: Job, seeds: Sequence[int]) -> str:
    named = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    if not job.directory.events.is_file():
        return f"{named} not begun"
    try:
        status = status_of(job.directory)
    except NewerSchemaError:
        return f"{named} written by a newer program"
    return f"{named} {status.state}{': ' + status.error if status.error else ''}"


def _spreads(measured: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    names = dict.fromkeys(name for metrics in measured for name in metrics)
    found = {name: spread(metrics.get(name) for metrics in measured) for name in names}
    return {name: known for name, known in found.items() if known is not None}
