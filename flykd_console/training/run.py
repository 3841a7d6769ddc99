"""One run: the data once, a task for every seed, the seeds in order, results after each."""

from __future__ import annotations

import time

import torch

from flykd_console.profile.models import entries_of, planned_stages
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import GraphFacts, Log, RunFinished, RunPrepared
from flykd_console.runs.log import EventWriter
from flykd_console.runs.results import GraphSource, ModelResult, build_results, write_results
from flykd_console.tasks.make import Prepared, prepare
from flykd_console.training import environment
from flykd_console.training.cohort_stages import CohortStages
from flykd_console.training.devices import device_name, engine_settings, gpu_uuid, resolve_device
from flykd_console.training.orders import Orders
from flykd_console.training.resources import ResourceSampler
from flykd_console.training.reuse import StageStore
from flykd_console.training.stages import SeedStages


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
            prepared = _prepare(profile, events, device)
            _tell_prepared(directory, profile, prepared, events, begun_here)
            _train_seeds(directory, profile, prepared, events, orders, fresh)
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
    facts = environment.describe(prepared.facts, str(device), device_name(device), torch.get_num_threads())
    environment.write(directory, facts)
    prepared.leave(directory)
    # Every seed's split is made before anything is trained: a bad one is told now, not after an hour.
    facts["splits"] = {str(seed): task.fingerprints["split"] for seed, task in tasks.items()}
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
) -> None:
    results: dict[int, dict[str, ModelResult]] = {}
    source = GraphSource(source=prepared.facts["source"], fingerprint=prepared.facts["fingerprint"])
    models = entries_of(profile)
    for seed in profile.run.seeds:
        kind = CohortStages if profile.classifies else SeedStages
        stages = kind(prepared.tasks.pop(seed), directory, events, orders, StageStore(directory, fresh))
        results[seed] = stages.run()
        # After each seed, so that a run that ends early leaves what it has measured.
        found = build_results(directory.name, profile.method, source, results, models, profile.headline)
        write_results(directory, found)
