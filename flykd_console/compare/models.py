"""The models of a block under the names that its tables use: what several runs share once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flykd_console.compare.comparable import same_model
from flykd_console.compare.loading import LoadedRun
from flykd_console.compare.paper import PaperMethod
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import ModelResult, Scores

# Roles of models that runs may share, in the order of the tables; distilled models come after them.
_SHARED = (Role.TEACHER, Role.ENSEMBLE, Role.BASELINE, Role.HEURISTIC)


@dataclass(frozen=True, eq=False)
class Contender:
    """A model of a block, and the runs that it is the same in."""

    label: str
    entry: ModelEntry
    runs: tuple[LoadedRun, ...]

    @property
    def model(self) -> str:
        """Its name in its runs."""
        return self.entry.name

    def result(self, seed: int) -> ModelResult:
        """What its first run measured."""
        return self.runs[0].results.seeds[str(seed)][self.model]

    def measured(self, seed: int) -> Scores:
        """What its first run measured on the part that is compared."""
        return self.runs[0].measured(seed, self.model)

    @property
    def paper_row(self) -> PaperMethod | None:
        """The row of the paper that a student repeats."""
        return self.runs[0].paper_rows.get(self.model)

    @property
    def dim(self) -> int | None:
        return self.entry.dim

    @property
    def shape(self) -> str:
        """Width, with kind and depth where they are not the paper's; empty without a width."""
        return self.entry.shape


def contenders_of(runs: Sequence[LoadedRun], seeds: Sequence[int]) -> list[Contender]:
    """The models of a block: teachers, baselines and the like by role, then distilled ones, in the order of the runs.

    Runs whose models of one role and name have equal logits on every test pair, but for rounding, share them; a
    distilled model is its run's own.
    """
    found: list[tuple[ModelEntry, list[LoadedRun]]] = []
    for role in _SHARED:
        for run in runs:
            for entry in run.models:
                if entry.role is role:
                    _join(found, entry, run, seeds)
    found += [(entry, [run]) for run in runs for entry in run.models if entry.distilled]
    labels = _labels([_names(entry, members[0]) for entry, members in found])
    return [Contender(label, entry, tuple(members)) for label, (entry, members) in zip(labels, found, strict=True)]


def contender_of(run: LoadedRun, model: str | None, contenders: Sequence[Contender]) -> Contender | None:
    """A model of a run, by its name there; None where the run is not among those of the contenders."""
    return next((one for one in contenders if one.model == model and run in one.runs), None)


def rival_of(one: Contender, contenders: Sequence[Contender]) -> Contender | None:
    """What a model's gain is over: the model that its entry names, else its run's first baseline.

    None for baselines, and where no run of the model has one.
    """
    if one.entry.role is Role.BASELINE:
        return None
    found = (contender_of(run, one.entry.over or run.baseline, contenders) for run in one.runs)
    return next((other for other in found if other is not None), None)


def _join(
    found: list[tuple[ModelEntry, list[LoadedRun]]], entry: ModelEntry, run: LoadedRun, seeds: Sequence[int]
) -> None:
    """Put a run beside those that have the same model, or at the end."""
    for theirs, members in found:
        alike = (theirs.role, theirs.name) == (entry.role, entry.name)
        if alike and same_model([members[0], run], entry.name, seeds):
            members.append(run)
            return
    found.append((entry, [run]))


def _names(entry: ModelEntry, run: LoadedRun) -> list[str]:
    """What a model may be called, the shortest first; the last is nobody else's."""
    unique = f"{entry.name} of {run.directory.path}"
    if entry.distilled:
        beside = (entry.name, run.profile.run.name, run.name)
        names = [entry.label, *(_beside(entry.label, name) for name in beside)]
        return [*names, f"{entry.label} ({entry.name}) of {run.name}", unique]
    plain = f"{entry.label} {entry.shape}".strip()
    method = run.results.method
    owners = (method, _beside(method, run.profile.run.name), run.name)
    return [plain, *(f"{plain} of {owner}" for owner in owners), unique]


def _beside(label: str, name: str) -> str:
    """A label with a name that tells it from others; the name alone where it says the label."""
    return name if label in name else f"{label} ({name})"


def _labels(models: Sequence[Sequence[str]]) -> list[str]:
    """For each model the first of its names that no other has in the same place."""
    count = Counter(placed for names in models for placed in enumerate(names))
    labels: list[str] = []
    for names in models:
        free = [name for place, name in enumerate(names) if count[place, name] == 1 and name not in labels]
        labels.append(free[0] if free else names[-1])
    return labels
