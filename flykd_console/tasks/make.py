"""From a profile to its task: the data once, a task for every seed, and what the data is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flykd_console.tasks.base import Task

if TYPE_CHECKING:
    import torch

    from flykd_console.profile.schema import Profile
    from flykd_console.runs.directory import RunDirectory

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """What a run learns from, read.

    Attributes:
        facts: Source, fingerprint, nodes, edges and targets, as the event log names them.
        tasks: By seed; each is made once, and what it prepares goes with it when its seed is done.
        leave: What is left in the run directory before any seed begins.
        imported: The report of the import that made the graph; None: it was read as it is.
    """

    facts: dict[str, Any]
    tasks: dict[int, Task]
    leave: Callable[[RunDirectory], None] = field(default=lambda directory: None)
    imported: Mapping[str, Any] | None = None


def prepare(profile: Profile, device: torch.device, tell: Tell) -> Prepared:
    """Read the data of a profile, and make its tasks.

    Raises:
        UserError: The data or a split does not fit.
    """
    makers = {
        "link_prediction": _links,
        "node_classification": _nodes,
        "graph_classification": _graphs,
    }
    return makers[profile.task.kind](profile, device, tell)


def _links(profile: Profile, device: torch.device, tell: Tell) -> Prepared:
    from flykd_console.graph.load import load_graph
    from flykd_console.graph.orientation import orient_targets
    from flykd_console.tasks.link_prediction.files import save_nodes
    from flykd_console.tasks.link_prediction.task import LinkPrediction

    graph = load_graph(profile.graph, log=tell)
    graph = orient_targets(graph, profile.graph.targets, profile.graph.pooling.relations, tell)
    targets = graph.targets(profile.graph.targets)
    facts = {
        "source": graph.source,
        "fingerprint": graph.fingerprint,
        "nodes": graph.node_count,
        "edges": graph.edge_count,
        "targets": [target.relation for target in targets],
    }
    tasks: dict[int, Task] = {seed: LinkPrediction(profile, graph, targets, seed, device) for seed in profile.run.seeds}
    return Prepared(facts, tasks, lambda directory: save_nodes(graph, targets, directory), graph.imported)


def _nodes(profile: Profile, device: torch.device, tell: Tell) -> Prepared:
    from flykd_console.data.authors import authors
    from flykd_console.data.citations import citations
    from flykd_console.data.npz import read_attributed
    from flykd_console.profile.samples import EMBEDDED, EMBEDDED_TYPED
    from flykd_console.tasks.classification.files import save_data
    from flykd_console.tasks.classification.task import Classification
    from flykd_console.tasks.node_classification.samples import NodeSamples

    data = profile.data
    made = {EMBEDDED: citations, EMBEDDED_TYPED: authors}
    graph = made[data.source]() if data.source in made else read_attributed(Path(data.source))
    tasks: dict[int, Task] = {
        seed: Classification(profile, NodeSamples(graph, data, profile.engine, seed, device), seed, device)
        for seed in profile.run.seeds
    }
    facts = {
        "source": data.source,
        "fingerprint": graph.fingerprint,
        "nodes": graph.nodes,
        "edges": len(graph.edges),
        "targets": [],
    }
    return Prepared(facts, tasks, lambda directory: save_data(graph, directory))


def _graphs(profile: Profile, device: torch.device, tell: Tell) -> Prepared:
    from flykd_console.data.molecules import molecules
    from flykd_console.data.tu_text import read_graphs
    from flykd_console.profile.samples import EMBEDDED
    from flykd_console.tasks.classification.files import save_data
    from flykd_console.tasks.classification.task import Classification
    from flykd_console.tasks.graph_classification.samples import GraphSamples

    source = profile.data.source
    graphs = molecules() if source == EMBEDDED else read_graphs(Path(source))
    batch = profile.cohort.batch
    tasks: dict[int, Task] = {
        seed: Classification(profile, GraphSamples(graphs, batch, profile.engine, seed, device), seed, device)
        for seed in profile.run.seeds
    }
    facts = {
        "source": source,
        "fingerprint": graphs.fingerprint,
        "nodes": graphs.nodes,
        "edges": len(graphs.edges),
        "targets": [],
    }
    return Prepared(facts, tasks, lambda directory: save_data(graphs, directory))
