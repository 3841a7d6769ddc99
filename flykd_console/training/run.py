"""One run: the graph once, a task for every seed, the seeds in order, results after each."""

from __future__ import annotations

import time

import msgspec
import torch

from flykd_console.graph.knowledge_graph import KnowledgeGraph, Targets
from flykd_console.graph.load import load_graph
from flykd_console.graph.orientation import orient_targets
from flykd_console.profile.models import entries_of, method_of, planned_stages
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import GraphFacts, Log, RunFinished, RunPrepared
from flykd_console.runs.log import EventWriter
from flykd_console.runs.results import GraphSource, LeftOutLabels, ModelResult, build_results, write_results
from flykd_console.tasks.base import Task
from flykd_console.tasks.link_prediction.files import save_nodes
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training import environment
from flykd_console.training.devices import device_name, engine_settings, gpu_uuid, resolve_device
from flykd_console.training.finished_seeds import check_added, finished_seeds
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
            graph, targets = _read_graph(profile, events, device)
            tasks = _tasks(profile, graph, targets, device)
            done = finished_seeds(directory, profile, tasks)
            check_added(directory, graph, done)
            _tell_prepared(directory, profile, graph, targets, tasks, events, begun_here)
            _train_seeds(directory, profile, graph, tasks, events, orders, fresh, done)
            orders.close()
            events.write(RunFinished(outcome="finished", seconds=time.time() - began))
        finally:
            sampler.stop()


def _read_graph(profile: Profile, events: EventWriter, device: torch.device) -> tuple[KnowledgeGraph, Targets]:
    def log(message: str) -> None:
        events.write(Log(level="info", message=message))

    if profile.engine.precision == "tf32" and device.type == "cpu":
        log("engine.precision = tf32 changes nothing on a CPU")
    graph = load_graph(profile.graph, log=log)
    graph = orient_targets(graph, profile.graph.targets, profile.graph.pooling.relations, log)
    return graph, graph.targets(profile.graph.targets)


def _tasks(profile: Profile, graph: KnowledgeGraph, targets: Targets, device: torch.device) -> dict[int, Task]:
    """A task for every seed; each is made once, and what it prepares goes with it when its seed is done."""
    return {seed: LinkPrediction(profile, graph, targets, seed, device) for seed in profile.run.seeds}


def _tell_prepared(
    directory: RunDirectory,
    profile: Profile,
    graph: KnowledgeGraph,
    targets: Targets,
    tasks: dict[int, Task],
    events: EventWriter,
    begun_here: float,
) -> None:
    device = next(iter(tasks.values())).device
    facts = environment.describe(graph, str(device), device_name(device), torch.get_num_threads())
    environment.write(directory, facts)
    save_nodes(graph, directory)
    # Every seed's split is made before anything is trained: a bad one is told now, not after an hour.
    facts["splits"] = {str(seed): task.fingerprints["split"] for seed, task in tasks.items()}
    left_out = {str(seed): left for seed, left in _left_out(tasks).items()}
    if left_out:
        facts["left_out"] = msgspec.to_builtins(left_out)
    environment.write(directory, facts)
    events.write(
        RunPrepared(
            graph=GraphFacts(
                source=graph.source,
                fingerprint=graph.fingerprint,
                nodes=graph.node_count,
                edges=graph.edge_count,
                targets=[target.relation for target in targets],
            ),
            stages=planned_stages(profile, {seed: task.pretraining_steps() for seed, task in tasks.items()}),
            device=str(device),
            device_name=device_name(device),
            seconds=time.time() - begun_here,
        )
    )


def _train_seeds(
    directory: RunDirectory,
    profile: Profile,
    graph: KnowledgeGraph,
    tasks: dict[int, Task],
    events: EventWriter,
    orders: Orders,
    fresh: bool,
    done: dict[int, dict[str, ModelResult]],
) -> None:
    results = dict(done)
    source = GraphSource(source=graph.source, fingerprint=graph.fingerprint)
    models = entries_of(profile)
    left_out = _left_out(tasks)
    if done:
        seeds = f"seed{'s' if len(done) > 1 else ''} {', '.join(map(str, sorted(done)))}"
        events.write(Log(level="info", message=f"{seeds}: trained and measured before in this run; left as they are"))
        for seed in done:
            del tasks[seed]
    for seed in list(tasks):
        stages = SeedStages(tasks.pop(seed), directory, events, orders, StageStore(directory, fresh))
        results[seed] = stages.run()
        # After each seed, so that a run that ends early leaves what it has measured.
        found = build_results(
            directory.name, method_of(profile), source, results, models, profile.evaluation.headline, left_out
        )
        write_results(directory, found)


def _left_out(tasks: dict[int, Task]) -> dict[int, LeftOutLabels]:
    """Of the seeds whose split keeps labels out of every part, which."""
    return {seed: left for seed, task in tasks.items() if (left := task.left_out) is not None}
