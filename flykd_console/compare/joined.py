"""Jobs of one training: runs of equal settings with seeds of their own stand in tables as one run of all these seeds.

A cluster trains a seed a job. What belongs together is told by the settings: whatever is not how a run is called or
carried out must be equal, and so must graph, scored relations and models; no seed may be in two of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import msgspec

from flykd_console.compare.loading import LoadedRun
from flykd_console.compare.settings import Difference, differences
from flykd_console.profile.schema import Profile
from flykd_console.runs.results import summarise

# A run's name, seeds, device and engine are how it is carried out; one graph may be read from several places.
_CARRIED_OUT = ("run.", "engine.", "graph.source", "graph.scale")
_COMPUTED = ("engine.precision", "engine.propagation")


def joined(runs: Sequence[LoadedRun]) -> list[LoadedRun]:
    """The runs, those that are jobs of one training as one, at the place of the first."""
    sets: list[list[LoadedRun]] = []
    for run in runs:
        home = next((jobs for jobs in sets if all(_one_training(job, run) for job in jobs)), None)
        if home is None:
            sets.append([run])
        else:
            home.append(run)
    return [_as_one(jobs) if len(jobs) > 1 else jobs[0] for jobs in sets]


def differing(a: LoadedRun, b: LoadedRun) -> list[Difference]:
    """The settings in which two runs differ, but for how they are called and carried out."""
    found = differences([a.settings, b.settings], {})
    return [one for one in found if one.key in _COMPUTED or not one.key.startswith(_CARRIED_OUT)]


def _one_training(a: LoadedRun, b: LoadedRun) -> bool:
    if set(a.seeds) & set(b.seeds) or a.part != b.part:
        return False
    if a.fingerprint != b.fingerprint or a.targets != b.targets or a.models != b.models:
        return False
    return a.results.method == b.results.method and not differing(a, b)


def _as_one(jobs: Sequence[LoadedRun]) -> LoadedRun:
    """The first of the runs, with the seeds of all."""
    first = jobs[0]
    seeds = sorted(seed for job in jobs for seed in job.seeds)
    owner = {seed: job for job in jobs for seed in job.seeds}
    scores = {str(seed): owner[seed].results.seeds[str(seed)] for seed in seeds}
    results = msgspec.structs.replace(first.results, seeds=scores, summary=summarise(scores, first.results.models))
    splits = {seed: split for job in jobs for seed, split in job.splits.items()}
    return dataclasses.replace(
        first,
        results=results,
        profile=_profile_of(jobs),
        environment={**first.environment, "splits": splits},
        seeds=tuple(seeds),
        jobs=tuple(jobs),
    )


def _profile_of(jobs: Sequence[LoadedRun]) -> Profile:
    """The first run's profile, with the seeds that all of them ask for."""
    profile = jobs[0].profile
    asked = sorted({seed for job in jobs for seed in job.profile.run.seeds})
    return profile.model_copy(update={"run": profile.run.model_copy(update={"seeds": asked})})
