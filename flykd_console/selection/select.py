"""Teachers, then candidates, then what each costs, then the choice. What is trained, exported and chosen stays on disk.

The folder of a selection, `NAME-selection` beside its runs, holds `selection.json`. Giving the same order again trains
only what is not finished; a candidate that fails is turned down with its reason and sinks nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporters.agreement import ParityError
from flykd_console.errors import UserError
from flykd_console.plans.job import Job, make_job
from flykd_console.plans.points import Point, points_of
from flykd_console.profile.load import Override, load_profile
from flykd_console.profile.model_spec import STUDENT, TEACHER
from flykd_console.profile.models import TEACHER_MEAN, models_of
from flykd_console.profile.schema import Profile
from flykd_console.runs.files import replace_file
from flykd_console.runs.find import runs_root
from flykd_console.runs.models import Role
from flykd_console.selection.choose import Candidate, Verdict, verdicts
from flykd_console.selection.measure import exported, measure
from flykd_console.selection.order import Selection, Variant

SCHEMA = 1
Carry = Callable[[Sequence[Job]], bool]
"""Brings jobs to their end, as far as that is possible; False where it was stopped."""


@dataclass(frozen=True)
class Chosen:
    """A selection at its end.

    Attributes:
        metric: What quality is.
        ceiling: The best teacher's quality, a fraction; None where no network teaches.
        teachers: Every teacher; `teacher`: the label of the best.
        points: Every candidate with its results; `verdicts` in the same order.
    """

    selection: Selection
    metric: str
    ceiling: float | None
    teacher: str
    teachers: Sequence[Point]
    points: Sequence[Point]
    verdicts: Sequence[Verdict]

    @property
    def folder(self) -> Path:
        return folder_of(self.selection)

    @property
    def chosen(self) -> Verdict | None:
        """The one that is taken; None where no candidate keeps to the limits."""
        return next((verdict for verdict in self.verdicts if verdict.chosen), None)


def folder_of(selection: Selection) -> Path:
    """Where a selection leaves what came of it."""
    return runs_root() / f"{selection.order.name}-selection"


def teacher_jobs(selection: Selection) -> list[Job]:
    """A job for every teacher and seed; none where no network teaches.

    Raises:
        UserError: A profile is not there, or does not allow the settings.
    """
    jobs = []
    for variant in selection.teachers:
        profile = load_profile(variant.profile, variant.settings)
        if not _has_teachers(profile):
            return []
        settings = [*variant.settings, Override("run.models", [TEACHER], "teachers")]
        jobs += _by_seed(selection, variant, settings, profile, "teacher")
    return jobs


def candidate_jobs(selection: Selection, teacher: Variant) -> list[Job]:
    """A job for every candidate and seed, which learns from the teacher that was chosen.

    Raises:
        UserError: A profile is not there, or does not allow the settings.
    """
    jobs = []
    taught = [one for one in teacher.settings if one.key in teacher.values]
    for variant in selection.candidates:
        settings = [*taught, *variant.settings]
        profile = load_profile(variant.profile, settings)
        if not any(spec.name == STUDENT for spec in models_of(profile)):
            raise UserError(
                "has no student, so there is nothing to choose",
                f"{selection.source}, {variant.label}",
                "Let distill.epochs be above 0, and run.models name the student.",
            )
        models = [TEACHER, STUDENT] if _has_teachers(profile) else [STUDENT]
        settings.append(Override("run.models", models, "candidates"))
        jobs += _by_seed(selection, variant, settings, profile, "")
    return jobs


def select(selection: Selection, carry: Carry, on_measure: Callable[[str], None] = lambda label: None) -> Chosen | None:
    """Carry a selection out; None where it was stopped.

    Args:
        carry: Trains jobs.
        on_measure: Hears of each candidate before it is exported and timed.

    Raises:
        UserError: A profile does not allow its settings, no teacher could be trained, or a file cannot be written.
    """
    candidate_jobs(
        selection, selection.teachers[0]
    )  # what is wrong with a candidate is said before anything is trained
    of_teachers = teacher_jobs(selection)
    if of_teachers and not carry(of_teachers):
        return None
    teachers = points_of(of_teachers, _teaching(of_teachers[0].profile)) if of_teachers else []
    best, metric = _best_teacher(selection, teachers), _metric(selection)
    ceiling = teachers[best].validation[metric].mean if teachers else None
    jobs = candidate_jobs(selection, selection.teachers[best])
    if not carry(jobs):
        return None
    points = points_of(jobs, STUDENT)
    # Timed one after another when nothing is in training any more.
    measured = [_measured(point, metric, on_measure) for point in points]
    found = Chosen(
        selection,
        metric,
        ceiling,
        selection.teachers[best].label or "teacher",
        teachers,
        points,
        verdicts(measured, ceiling, selection.order.choose),
    )
    _write(found)
    return found


def as_data(found: Chosen) -> dict[str, object]:
    """The selection as plain data: quality as a fraction of validation, latency in milliseconds."""
    chosen = found.chosen
    return {
        "schema": SCHEMA,
        "name": found.selection.order.name,
        "metric": found.metric,
        "part": "validation",
        "ceiling": found.ceiling,
        "teacher": found.teacher if found.teachers else None,
        "choose": found.selection.order.choose.model_dump(),
        "chosen": chosen.candidate.label if chosen else None,
        "bundle": str(chosen.candidate.cost.bundle) if chosen and chosen.candidate.cost else None,
        "candidates": [
            {
                "label": verdict.candidate.label,
                "settings": dict(point.values),
                "runs": [job.directory.name for job in point.jobs],
                "quality": verdict.candidate.quality,
                "validation": {name: one.mean for name, one in point.validation.items()},
                "test": {name: one.mean for name, one in point.test.items()},
                "rivals": {
                    rival.name: {name: one.mean for name, one in rival.validation.items()} for rival in point.rivals
                },
                "cost": None if verdict.candidate.cost is None else _plain_cost(verdict),
                "front": verdict.front,
                "chosen": verdict.chosen,
                "why": verdict.why,
            }
            for point, verdict in zip(found.points, found.verdicts, strict=True)
        ],
    }


def _plain_cost(verdict: Verdict) -> dict[str, object]:
    assert verdict.candidate.cost is not None
    cost = dataclasses.asdict(verdict.candidate.cost)
    return cost | {"bundle": str(cost["bundle"])}


def _by_seed(
    selection: Selection, variant: Variant, settings: Sequence[str | Override], profile: Profile, role: str
) -> list[Job]:
    name = "-".join(part for part in (selection.order.name, role) if part)
    seeds = selection.order.seeds or profile.run.seeds
    label = variant.label or ("" if role else "student")
    return [
        make_job(variant.profile, settings, label=label, name=name, seed=seed, values=variant.values) for seed in seeds
    ]


def _has_teachers(profile: Profile) -> bool:
    return any(spec.entry.role is Role.TEACHER for spec in models_of(profile))


def _teaching(profile: Profile) -> str:
    """The model that stands for the teachers: the only one, or the mean of several."""
    names = [spec.name for spec in models_of(profile)]
    return TEACHER_MEAN if TEACHER_MEAN in names else TEACHER


def _metric(selection: Selection) -> str:
    if selection.order.metric is not None:
        return selection.order.metric
    first = selection.teachers[0]
    return load_profile(first.profile, first.settings).evaluation.headline


def _best_teacher(selection: Selection, teachers: Sequence[Point]) -> int:
    """Place of the teacher that is best on validation.

    Raises:
        UserError: None of them was measured.
    """
    metric = _metric(selection)
    known = [place for place, point in enumerate(teachers) if metric in point.validation]
    if not teachers:
        return 0
    if not known:
        raise UserError(
            f"no teacher was trained ({teachers[0].missing or 'nothing was measured on validation'})",
            selection.source,
            "Mend what is named, then give the command again.",
        )
    return max(known, key=lambda place: teachers[place].validation[metric].mean)


def _measured(point: Point, metric: str, on_measure: Callable[[str], None]) -> Candidate:
    """Export a candidate's best seed and time its answers; what fails is its own failure."""
    quality = point.validation.get(metric)
    if quality is None or point.missing:
        return Candidate(point.label, None, None, point.missing or f"no {metric} on validation")
    on_measure(point.label)
    try:
        # Of the seeds' bundles the best on validation is what would be shipped.
        best = max(point.jobs, key=lambda job: points_of([job], point.model)[0].validation[metric].mean)
        return Candidate(point.label, quality.mean, measure(exported(best.directory, point.model)))
    except (UserError, ParityError) as error:
        return Candidate(point.label, quality.mean, None, str(error))


def _write(found: Chosen) -> None:
    try:
        found.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(as_data(found), indent=2, ensure_ascii=False) + "\n"
        replace_file(found.folder / "selection.json", text.encode())
    except OSError as error:
        raise UserError(
            f"cannot be written ({error.strerror})", str(found.folder), "Check who may write there."
        ) from None
