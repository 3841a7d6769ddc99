"""One run: the data once, a task for every seed, the seeds in order, results after each."""

from __future__ import annotations

import time

import msgspec
import torch

from flykd_console.profile.models import entries_of, method_of, planned_stages
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import GraphFacts, Log, RunFinished, RunPrepared
from flykd_console.runs.log import EventFollower, EventWriter
from flykd_console.runs.results import GraphSource, LeftOutLabels, ModelResult, build_results, write_results
from flykd_console.tasks.base import Task
from flykd_console.tasks.make import Prepared, prepare
from flykd_console.training import environment
from flykd_console.training.adaptive_threads import FixedThreads, chooses_threads, training_threads
from flykd_console.training.cohort_stages import CohortStages
from flykd_console.training.devices import device_name, engine_settings, gpu_uuid, resolve_device
from flykd_console.training.finished_seeds import check_added, finished_seeds
from flykd_console.training.orders import Orders
from flykd_console.training.resources import ResourceSampler
from flykd_console.training.reuse import StageStore
from flykd_console.training.stages import SeedStages
from flykd_console.training.student_cohort_stages import StudentCohortStages


def train_run(
    directory: RunDirectory, profile: Profile, events: EventWriter, orders: Orders, fresh: bool, began: float
) -> None:
    """Train every model of every seed.

    Args:
        fresh: Take nothing over from other runs.
        began: When the run began, by its own clock (Unix seconds).

    Raises:
        UserError: Graph, split, device or a method does not fit.
        StopRequestedError: A stop was ordered; the state is on disk.
        DivergedError: A loss or a weight is not a number.
    """
    begun_here = time.time()
    device = resolve_device(profile.run.device)
    with engine_settings(profile.engine):
        sampler = ResourceSampler(events, gpu_uuid(device))
        sampler.start()
        try:
            # Before the graph is read: what others use is read meanwhile.
            threads = training_threads(profile.engine, device, events, EventFollower(directory.events))
            prepared = _prepare(profile, events, device)
            done = finished_seeds(directory, profile, prepared.tasks)
            check_added(directory, prepared.facts, done)
            _tell_prepared(directory, profile, prepared, events, begun_here)
            _train_seeds(directory, profile, prepared, events, orders, fresh, done, threads)
            orders.close()
            events.write(RunFinished(outcome="finished", seconds=time.time() - began))
        finally:
            sampler.stop()


def _prepare(profile: Profile, events: EventWriter, device: torch.device) -> Prepared:
    def log(message: str) -> None:
        events.write(Log(level="info", message=message))

    if profile.engine.precision == "tf32" and device.type == "cpu":
        log("engine.precision = tf32 changes nothing on a CPU")
    return prepare(profile, device, log)


def _tell_prepared(
    directory: RunDirectory, profile: Profile, prepared: Prepared, events: EventWriter, begun_here: float
) -> None:
    tasks = prepared.tasks
    device = next(iter(tasks.values())).device
    source = prepared.facts | {"imported": prepared.imported}
    facts = environment.describe(source, str(device), device_name(device), torch.get_num_threads())
    facts["threads_adapt"] = chooses_threads(profile.engine, device)
    environment.write(directory, facts)
    prepared.leave(directory)
    # Every seed's split is made before anything is trained: a bad one is told now, not after an hour.
    facts["splits"] = {str(seed): task.fingerprints["split"] for seed, task in tasks.items()}
    left_out = {str(seed): left for seed, left in _left_out(tasks).items()}
    if left_out:
        facts["left_out"] = msgspec.to_builtins(left_out)
    environment.write(directory, facts)
    events.write(
        RunPrepared(
            graph=GraphFacts(**prepared.facts),
            stages=planned_stages(profile, {seed: task.pretraining_steps() for seed, task in tasks.items()}),
            device=str(device),
            device_name=device_name(device),
            seconds=time.time() - begun_here,
        )
    )


def _train_seeds(
    directory: RunDirectory,
    profile: Profile,
    prepared: Prepared,
    events: EventWriter,
    orders: Orders,
    fresh: bool,
    done: dict[int, dict[str, ModelResult]],
    threads: FixedThreads,
) -> None:
    results = dict(done)
    source = GraphSource(source=prepared.facts["source"], fingerprint=prepared.facts["fingerprint"])
    models, method = entries_of(profile), method_of(profile)
    tasks = prepared.tasks
    left_out = _left_out(tasks)
    if done:
        seeds = f"seed{'s' if len(done) > 1 else ''} {', '.join(map(str, sorted(done)))}"
        events.write(Log(level="info", message=f"{seeds}: trained and measured before in this run; left as they are"))
        for seed in done:
            del tasks[seed]
    stages_of = _stages_of(profile)
    for seed in list(tasks):
        stages = stages_of(tasks.pop(seed), directory, events, orders, StageStore(directory, fresh), threads)
        results[seed] = stages.run()
        # After each seed, so that a run that ends early leaves what it has measured.
        found = build_results(directory.name, method, source, results, models, profile.headline, left_out)
        write_results(directory, found)


def _stages_of(profile: Profile) -> type[CohortStages] | type[SeedStages]:
    """What carries out the stages of a seed."""
    if profile.classifies:
        return CohortStages
    return StudentCohortStages if profile.mutual.takes_part else SeedStages


def _left_out(tasks: dict[int, Task]) -> dict[int, LeftOutLabels]:
    """Of the seeds whose split keeps labels out of every part, which."""
    return {seed: left for seed, task in tasks.items() if (left := task.left_out) is not None}
