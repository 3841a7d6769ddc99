"""From `[cohort]` to the list of a run's models and to the stages that they go through.

A teacher first, where one is asked for; then every member alone, each in a stage of its own; then the members together
in one stage. Their means, and of either kind the one that validation puts first, are measured and not trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flykd_console.profile.cohort import Network
from flykd_console.profile.model_spec import ModelShape, ModelSpec
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.stage import Phase, Stage

if TYPE_CHECKING:
    from flykd_console.profile.cohort import Cohort

# The stage that trains all members, and names of what is measured and not trained.
COHORT = "cohort"
TEACHER = "teacher"
ALONE = "alone-"
ENSEMBLE, DEEP_ENSEMBLE = "ensemble", "deep-ensemble"
BEST, BEST_ALONE = "best", "best-alone"
TAKEN = (COHORT, TEACHER, ENSEMBLE, DEEP_ENSEMBLE, BEST, BEST_ALONE)


def cohort_specs(cohort: Cohort) -> list[ModelSpec]:
    """The models of a run that classifies, in the order in which they are trained and shown."""
    found = []
    if cohort.distill.takes_part:
        found.append(ModelSpec(_entry(TEACHER, Role.TEACHER, cohort.teacher), cohort.teacher, begins=TEACHER))
    if cohort.alone:
        found += rivals_alone(cohort.members, ensemble=cohort.ensemble)
    return [*found, *member_specs(cohort.members, over=cohort.alone, ensemble=cohort.ensemble)]


def rivals_alone(members: Mapping[str, ModelShape], *, ensemble: bool) -> list[ModelSpec]:
    """Each member alone, and where there are several what they are together."""
    found = [
        # It begins as the member does, and draws alike: the two differ by what the member learns from others.
        ModelSpec(_entry(f"{ALONE}{name}", Role.BASELINE, member), member, begins=name)
        for name, member in members.items()
    ]
    if len(members) > 1:
        found += _measured(members, ensemble, (DEEP_ENSEMBLE, BEST_ALONE), ("", ""))
    return found


def member_specs(members: Mapping[str, ModelShape], *, over: bool, ensemble: bool) -> list[ModelSpec]:
    """The members, and where there are several what they are together; `over`: held against themselves alone."""
    found = []
    for name, member in members.items():
        entry = _entry(name, Role.MEMBER, member, f"{ALONE}{name}" if over else "")
        found.append(ModelSpec(entry, member, begins=name, together=COHORT))
    if len(members) > 1:
        rivals = (DEEP_ENSEMBLE, BEST_ALONE) if over else ("", "")
        found += _measured(members, ensemble, (ENSEMBLE, BEST), rivals)
    return found


def cohort_stages(cohort: Cohort) -> list[tuple[Stage, int]]:
    """The stages of a seed, in order, and the epochs of each."""
    specs = cohort_specs(cohort)
    found = [(spec.training, cohort.epochs) for spec in specs if spec.trained and not spec.together]
    return [*found, (cohort_stage(specs), cohort.epochs)]


def network_of(spec: ModelSpec) -> Network:
    """The network that a model of such a run is."""
    assert isinstance(spec.shape, Network)
    return spec.shape


def cohort_stage(specs: Sequence[ModelSpec]) -> Stage:
    """The stage that trains the members; the ensemble is looked at in it as well."""
    names = [spec.name for spec in specs if spec.together or spec.name == ENSEMBLE]
    return Stage(COHORT, Phase.DISTILL, tuple(names))


def _measured(
    members: Mapping[str, ModelShape], ensemble: bool, names: tuple[str, str], over: tuple[str, str]
) -> list[ModelSpec]:
    """The mean of some models where it is asked for, and the one that validation puts first."""
    first = next(iter(members.values()))
    entries = [
        ModelEntry(name=name, role=Role.ENSEMBLE, label=name.replace("-", " "), over=rival)
        for name, rival in zip(names, over, strict=True)
    ]
    kept = entries if ensemble else entries[1:]
    return [ModelSpec(entry, first, begins=entry.name) for entry in kept]


def _entry(name: str, role: Role, network: ModelShape, over: str = "") -> ModelEntry:
    return ModelEntry(
        name=name,
        role=role,
        label=name.replace(ALONE, "alone "),
        dim=network.dim,
        layers=network.layers,
        layer_kind=network.kind,
        over=over,
    )
