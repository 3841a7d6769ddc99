"""What local structure preservation costs: its epochs against an epoch of Basic KD, same graph, same threads, same run.

    python benchmarks/lsp.py                             # the embedded graph
    python benchmarks/lsp.py --graph synthetic --scale 1.0
    python benchmarks/lsp.py --graph synthetic --scale 1.0 --reached 0.41    # as real diseases: 41 % of the proteins
    python benchmarks/lsp.py --graph kg.csv.gz --full    # neighbourhoods over all relations too

The compositions are the paper's: Basic KD is .05 L_og + L_pe, the others L_og + 500 L_lsp on the last layer or on both.
The paper reports 12 times Basic KD for one layer and 25 times for two.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.measure import console, median_seconds, restart_as_trainer, show
from benchmarks.training import LEARNING_RATE, epoch_of, machine_with_torch, prepare, task_of
from flykd_console.distill.matching.local_structure import Neighbourhood
from flykd_console.distill.structure.lsp import LocalStructureSettings
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.graph.load import load_graph
from flykd_console.model.link_model import network
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.loops.replay import adam

BASIC = "Basic KD"
_NO_CURRICULUM = {"shape": "none"}


def compositions(full: bool) -> dict[str, dict[str, Any]]:
    """The `distill` section of each row."""
    both = {"weight": 500.0, "layers": [1, 2], "sigma": [0.2, 3.0]}
    supervised = {"sources": ["original"], "curriculum": _NO_CURRICULUM}
    rows: dict[str, dict[str, Any]] = {
        BASIC: {"sources": ["original", "pseudo_train"], "curriculum": _NO_CURRICULUM},
        "LSP, 1 layer": supervised | {"lsp": {"weight": 500.0}},
        "LSP, 2 layers": supervised | {"lsp": both},
    }
    if full:
        rows["LSP, 2 layers, full neighbourhoods"] = supervised | {"lsp": both | {"neighbourhood": "full"}}
    return rows


def concentrated(graph: KnowledgeGraph, share: float) -> KnowledgeGraph:
    """The graph with as many disease_protein edges, on a share of the proteins alone: those that have most of them.

    A generated graph spreads them over more proteins than the curated associations of real ones reach, and what LSP
    costs hangs on how many it compares.
    """
    edge_type = next(e for e in graph.edges if e.relation == "disease_protein")
    heads, tails = graph.edges[edge_type]
    by_degree = np.argsort(-np.bincount(heads, minlength=graph.count(edge_type.head)), kind="stable")
    rank = np.argsort(by_degree)
    moved = by_degree[rank[heads] % int(share * len(by_degree))]
    pairs = np.unique(np.stack([moved, tails]), axis=1)
    return KnowledgeGraph(graph.nodes, {**graph.edges, edge_type: (pairs[0], pairs[1])}, graph.source)


def student_epoch(task: LinkPrediction, teacher: HeteroRGCN) -> Callable[[], None]:
    """One call is one epoch of a fresh student under the task's profile, with the weights of its first."""
    spec = models_of(task.profile)[-1]
    student = task.new_model(spec)
    objective = task.distilled(spec, student, [teacher], lambda *_: None)
    assert objective.curriculum is not None
    return epoch_of(objective, adam(student.parameters(), LEARNING_RATE), objective.curriculum.weights(0))


def neighbour_count(task: LinkPrediction) -> str:
    """How many neighbours are compared; empty where none are."""
    settings = task.profile.distill.structure["lsp"]
    assert isinstance(settings, LocalStructureSettings)
    if not settings.takes_part:
        return ""
    relations = task.profile.graph.pooling.relations if settings.neighbourhood == "partial" else None
    found = Neighbourhood(task.data.split.train, task.data.targets.tail, relations)
    return f"{found.matrix.nnz:,}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--scale", type=float, default=0.1, help="size of the synthetic graph")
    parser.add_argument("--full", action="store_true", help="also neighbourhoods over all relations")
    parser.add_argument(
        "--reached", type=float, help="share of the proteins that diseases are linked with (generated graphs)"
    )
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    restart_as_trainer()
    base = {"graph": {"source": options.graph, "scale": options.scale}}
    profiles = {
        name: Profile.model_validate(base | {"distill": distill})
        for name, distill in compositions(options.full).items()
    }
    graph = load_graph(profiles[BASIC].graph)
    if options.reached:
        graph = concentrated(graph, options.reached)
    teacher = None
    times, preparing, neighbours = {}, {}, {}
    for name, profile in profiles.items():
        task = task_of(profile, graph)
        prepare(task.data)
        teacher = teacher or network(task.new_model(models_of(profile)[0]))
        start = time.perf_counter()
        epoch = student_epoch(task, teacher)
        preparing[name] = time.perf_counter() - start
        times[name] = median_seconds(epoch, options.repeats)
        neighbours[name] = neighbour_count(task)
    console.print(machine_with_torch())
    proteins = [ends[e.tail == "gene/protein"] for e, ends in graph.edges.items() if e.relation == "disease_protein"]
    console.print(
        f"{graph.source}: {graph.node_count:,} nodes, {graph.edge_count:,} edges; "
        f"diseases are linked with {len(np.unique(np.concatenate(proteins))):,} proteins"
    )
    show(
        "Local structure preservation",
        ["composition", "neighbours", "preparing", "epoch", "of Basic KD"],
        [
            [name, neighbours[name], f"{preparing[name]:.1f} s", f"{1e3 * t:.0f} ms", f"{t / times[BASIC]:.2f}x"]
            for name, t in times.items()
        ],
    )


if __name__ == "__main__":
    main()
