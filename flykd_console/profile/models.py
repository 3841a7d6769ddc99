"""From a profile to the list of its models, and to the stages that they go through.

`[teacher]` and `[student]` stand for three models: the teacher (`distill.teachers` of them), the baseline and the
student, which begin from the same pretrained weights. Each table `[models.NAME]` is one more, of the student's shape
and method but for what it says. `run.models` chooses among them all.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from flykd_console.errors import UserError
from flykd_console.profile.cohort_models import COHORT, cohort_specs, cohort_stage, cohort_stages
from flykd_console.profile.distill import Distill, forget_absent_sources
from flykd_console.profile.model_spec import BASELINE, STUDENT, TEACHER, ModelSpec
from flykd_console.profile.mutual_models import student_specs
from flykd_console.profile.schema import Profile
from flykd_console.profile.sections import Shape
from flykd_console.runs.events import PlannedStage
from flykd_console.runs.models import NEIGHBOURS, ModelEntry, Role
from flykd_console.runs.stage import Stage

# What a student of tables begins from, which its baseline, a network, does not.
STUDENT_TABLE = "student-table"
# Where several teachers are averaged: the mean of their logits among the results and the scores.
TEACHER_MEAN = "teacher-mean"
# What a student of lists learns from, measured as it stands.
TEACHER_LISTS = "teacher-lists"
# In `run.models`, alone: nothing is trained, and the run is of scorers without training.
NO_MODEL = "none"
# What tables call the method of such a run.
NO_METHOD = "heuristics"
_SHAPE_KEYS = tuple(Shape.model_fields)


def models_of(profile: Profile) -> list[ModelSpec]:
    """The models of a run, in the order in which they are trained and shown.

    Raises:
        UserError: `run.models` names a model that there is not, or leaves out one that another needs, or nothing at all
            is left to measure.
    """
    if profile.classifies:
        return cohort_specs(profile.cohort)
    if profile.mutual.takes_part:
        return student_specs(profile.mutual)
    if trains_nothing(profile):
        return []
    teachers, students = _teachers(profile), _of_students_size(profile)
    every = [*teachers, *_lists_of_teachers(students), *students]
    chosen = profile.run.models
    names = [spec.name for spec in every]
    for name in chosen:
        if name not in names:
            raise UserError(
                f"there is no model {name!r}",
                "run.models",
                f"There are {', '.join(names)}; add a table [models.{name}].",
            )
    if not chosen:
        return every
    students = [spec for spec in students if spec.name in chosen]
    teachers = [spec for spec in teachers if spec.name in chosen or _stands_with(spec, chosen)]
    kept = [*teachers, *_lists_of_teachers(students), *students]
    roles = [spec.entry.role for spec in kept]
    for spec in kept:
        if spec.distill is not None and learns_from_networks(spec.distill) and Role.TEACHER not in roles:
            raise UserError(
                f"{spec.name} learns from a teacher, which run.models leaves out", "run.models", "Add teacher to it."
            )
    return [_with_present_rival(spec, kept, profile.evaluation.heuristics) for spec in kept]


def trains_nothing(profile: Profile) -> bool:
    """Whether a run is of scorers without training alone.

    Raises:
        UserError: It names models beside, or has no such scorer.
    """
    chosen = profile.run.models
    if NO_MODEL not in chosen:
        return False
    others = [name for name in chosen if name != NO_MODEL]
    if others:
        raise UserError(
            f"{NO_MODEL!r} stands beside {', '.join(others)}", "run.models", f"Leave {NO_MODEL!r} out, or the others."
        )
    if not profile.evaluation.heuristics:
        raise UserError(
            "no model is trained and no heuristic is named, so there is nothing to measure",
            "evaluation.heuristics",
            "Name some, or leave the key out for all of them.",
        )
    return True


def method_of(profile: Profile) -> str:
    """What tables call the method of a run: that of its student, unless nothing is trained."""
    return NO_METHOD if trains_nothing(profile) else profile.method


def entries_of(profile: Profile) -> list[ModelEntry]:
    """Every model that tables show, in their order: those of the profile, and the heuristics beside them."""
    if profile.classifies:
        return [spec.entry for spec in models_of(profile)]
    heuristics = [
        ModelEntry(name=name, role=Role.HEURISTIC, label=name.replace("_", " "))
        for name in profile.evaluation.heuristics
    ]
    return [*(spec.entry for spec in models_of(profile)), *heuristics]


def learns_from_networks(distill: Distill) -> bool:
    """Whether a method asks anything of a trained teacher."""
    asks = any(source != "original" for source in distill.sources) or bool(distill.structure_weights)
    return asks and distill.networks > 0


def planned_stages(profile: Profile, pretrain_steps: Mapping[int, int]) -> list[PlannedStage]:
    """Every stage of every seed, in order; `pretrain_steps` by seed."""
    models = models_of(profile)
    return [
        PlannedStage(seed=seed, stage=stage.name, epochs=epochs, phase=stage.phase, models=list(stage.models))
        for seed in profile.run.seeds
        for stage, epochs in stage_epochs(profile, models, pretrain_steps[seed])
    ]


def stage_epochs(profile: Profile, models: Sequence[ModelSpec], pretrain_steps: int) -> list[tuple[Stage, int]]:
    """The stages of a seed, in order, and the epochs of each; stages of no epochs are left out."""
    if profile.classifies:
        return cohort_stages(profile.cohort)
    found: dict[str, tuple[Stage, int]] = {}
    for spec in models:
        if not spec.trained:
            continue
        pretraining = spec.pretraining
        if pretraining.name in found:
            earlier, epochs = found[pretraining.name]
            shared = Stage(earlier.name, earlier.phase, (*earlier.models, spec.name))
            found[pretraining.name] = (shared, epochs)
        elif pretrain_steps > 0 and spec.has_layers:
            found[pretraining.name] = (pretraining, pretrain_steps)
        if spec.together:
            found[spec.together] = (cohort_stage(models), profile.distill.epochs)
            continue
        epochs = profile.finetune.epochs if spec.distill is None else spec.distill.epochs
        found[spec.name] = (spec.training, epochs)
    return _in_order(found)


def _in_order(stages: Mapping[str, tuple[Stage, int]]) -> list[tuple[Stage, int]]:
    """The stages as they are gone through: one of several models once all of these have begun."""
    planned = list(stages.values())
    return sorted(planned, key=lambda one: one[0].name == COHORT)


def completed(data: dict[str, Any]) -> dict[str, Any]:
    """A profile's tables with every `[models.NAME]` filled up from `[student]` and `[distill]`, and every
    `[mutual.members.NAME]` from `[student]`.

    What `[distill]` says of a label source that a model leaves out is not handed down.
    """
    data = _with_whole_members(data)
    models = data.get("models")
    if not isinstance(models, dict):
        return data
    student, distill = data.get("student", {}), data.get("distill", {})
    filled = {}
    for name, table in models.items():
        if not isinstance(table, dict) or not isinstance(student, dict) or not isinstance(distill, dict):
            filled[name] = table
            continue
        shape = {key: student[key] for key in _SHAPE_KEYS if key in student}
        own = table.get("distill", {})
        if isinstance(own, dict):
            below = copy.deepcopy(distill)
            forget_absent_sources(below, own.get("sources"))
            own = _merged(below, own)
        filled[name] = shape | table | {"distill": own}
    return data | {"models": filled}


def _with_whole_members(data: dict[str, Any]) -> dict[str, Any]:
    """The tables, members of `[mutual]` of the student's shape but for what their own tables say."""
    mutual, student = data.get("mutual"), data.get("student", {})
    if not isinstance(mutual, dict) or not isinstance(student, dict):
        return data
    members = mutual.get("members")
    if not isinstance(members, dict):
        return data
    shape = {key: student[key] for key in _SHAPE_KEYS if key in student}
    filled = {name: shape | table if isinstance(table, dict) else table for name, table in members.items()}
    return data | {"mutual": mutual | {"members": filled}}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(inner, value)
        else:
            merged[key] = value
    return merged


def _teachers(profile: Profile) -> list[ModelSpec]:
    count, shape = profile.distill.networks, profile.teacher
    if count == 0:
        return []
    names = [TEACHER, *(f"{TEACHER}-{number}" for number in range(2, count + 1))]
    specs = [ModelSpec(_entry(name, Role.TEACHER, shape), shape, begins=name) for name in names]
    if count > 1:
        specs.append(ModelSpec(_entry(TEACHER_MEAN, Role.ENSEMBLE, shape), shape, begins=TEACHER))
    return specs


def _of_students_size(profile: Profile) -> list[ModelSpec]:
    """Baseline, student, and the models of tables of their own."""
    alone: Shape = profile.student
    if alone.kind == "table":
        # From labels alone a table learns nothing of a node without any: the paper's baseline stands in.
        alone = alone.model_copy(update={"kind": "rgcn"})
    specs = [ModelSpec(_entry(BASELINE, Role.BASELINE, alone), alone, begins=STUDENT)]
    if profile.distill.epochs:
        entry = _entry(STUDENT, Role.STUDENT, profile.student, profile.distill.method, over=BASELINE)
        begins = STUDENT if _same_shape(alone, profile.student) else STUDENT_TABLE
        specs.append(ModelSpec(entry, profile.student, begins, distill=profile.distill))
    for name, model in profile.models.items():
        role = Role(model.role)
        begins = next((spec.begins for spec in specs if _same_shape(spec.link_shape, model)), name)
        if role is Role.BASELINE:
            specs.append(ModelSpec(_entry(name, role, model), model, begins))
            continue
        baselines = [spec for spec in specs if spec.entry.role is Role.BASELINE]
        rival = next((spec for spec in baselines if _same_shape(spec.link_shape, model)), baselines[0])
        entry = _entry(name, role, model, over=rival.name)
        specs.append(ModelSpec(entry, model, begins, model.distill))
    return specs


def _lists_of_teachers(specs: Sequence[ModelSpec]) -> list[ModelSpec]:
    """What students learn lists from, where not only networks teach; all students of a run have the same teachers."""
    entry = ModelEntry(name=TEACHER_LISTS, role=Role.ENSEMBLE, label="teacher lists")
    found = [
        ModelSpec(entry, spec.shape, spec.begins, spec.distill)
        for spec in specs
        if spec.distill is not None and _learns_lists(spec.distill)
    ]
    return found[:1]


def _learns_lists(distill: Distill) -> bool:
    heuristic = any(teacher.networks == 0 for teacher in distill.teacher_entries)
    return heuristic and "pseudo_lists" in distill.sources


def _entry(name: str, role: Role, shape: Shape, label: str = "", over: str = "") -> ModelEntry:
    return ModelEntry(
        name=name,
        role=role,
        label=label or name,
        dim=shape.dim,
        layers=shape.layers,
        layer_kind=shape.kind,
        over=over,
    )


def _same_shape(a: Shape, b: Shape) -> bool:
    return all(getattr(a, key) == getattr(b, key) for key in _SHAPE_KEYS)


def _stands_with(spec: ModelSpec, chosen: Sequence[str]) -> bool:
    """Whether a model comes with one that was chosen: further teachers and their mean with the first."""
    return spec.entry.role in (Role.TEACHER, Role.ENSEMBLE) and TEACHER in chosen


def _with_present_rival(spec: ModelSpec, kept: Sequence[ModelSpec], heuristics: Sequence[str]) -> ModelSpec:
    """The model; where its baseline is left out, its gain is over the neighbours, or there is none."""
    entry = spec.entry
    if not entry.over or entry.over in [other.name for other in kept]:
        return spec
    rival = NEIGHBOURS if NEIGHBOURS in heuristics else ""
    alone = _entry(entry.name, entry.role, spec.link_shape, entry.label, rival)
    return ModelSpec(alone, spec.shape, spec.begins, spec.distill)
