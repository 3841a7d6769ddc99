"""The models of a block under the names that its tables use: shared teachers and baselines once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flykd_console.compare.comparable import same_model
from flykd_console.compare.loading import COMPARED, LoadedRun
from flykd_console.runs.results import ModelResult


@dataclass(frozen=True, eq=False)
class Contender:
    """A model of a block, and the runs that it is the same in."""

    label: str
    model: str
    runs: tuple[LoadedRun, ...]

    def result(self, seed: int) -> ModelResult:
        """What its first run measured."""
        return self.runs[0].results.seeds[str(seed)][self.model]

    @property
    def dim(self) -> int:
        return self.result(self.runs[0].seeds[0]).dim

    @property
    def shape(self) -> str:
        """Width, with kind and depth where they are not the paper's."""
        return self.result(self.runs[0].seeds[0]).shape


def contenders_of(runs: Sequence[LoadedRun], seeds: Sequence[int]) -> list[Contender]:
    """Teachers, baselines and students of a block, in the order of the runs.

    Runs with equal logits on every test pair share one teacher or baseline. Where there are several, each is
    named after its first run.
    """
    found: list[Contender] = []
    for model in COMPARED[:-1]:
        groups: list[list[LoadedRun]] = []
        for run in runs:
            if model not in run.models:
                continue
            group = next((g for g in groups if same_model([g[0], run], model, seeds)), None)
            if group is None:
                groups.append([run])
            else:
                group.append(run)
        labels = method_labels([group[0] for group in groups])
        for label, group in zip(labels, groups, strict=True):
            shape = group[0].results.seeds[str(seeds[0])][model].shape
            named = f"{model} {shape}" if len(groups) == 1 else f"{model} {shape} of {label}"
            found.append(Contender(named, model, tuple(group)))
    students = [run for run in runs if "student" in run.models]
    for label, run in zip(method_labels(students), students, strict=True):
        found.append(Contender(label, "student", (run,)))
    return found


def method_labels(runs: Sequence[LoadedRun]) -> list[str]:
    """Each run's method; the run's name where several have the same method; the folder's where those are equal too."""
    methods = [run.results.method for run in runs]
    names = [run.profile.run.name for run in runs]
    labels = []
    for run, method, name in zip(runs, methods, names, strict=True):
        if Counter(methods)[method] == 1:
            labels.append(method)
        elif Counter(zip(methods, names, strict=True))[(method, name)] == 1:
            labels.append(name if method in name else f"{method} ({name})")
        else:
            labels.append(run.name)
    return labels
