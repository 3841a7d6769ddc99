"""What asking which drug costs: an epoch under each key of negatives, losses and capacity, against the paper's.

    python benchmarks/capacity.py                                   # the embedded graph
    python benchmarks/capacity.py --graph synthetic --scale 1.0     # a graph of full PrimeKG's size
    python benchmarks/capacity.py --graph kg.csv.gz --memory        # and what more negatives need in memory

The baseline is the same epoch under the paper's keys, timed in turn with the others. It is the process's own time that
is told, on one thread, so that what else the machine does falls on no row. A FlyKD epoch has all three label sources; a
supervised one the true labels alone. "Extra" is the peak memory of a process of its own above what it held before its
first epoch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.epochs import flykd_epoch, student_epoch
from benchmarks.measure import console, in_child, restart_as_trainer, show
from benchmarks.training import edge_count, machine_with_torch, task_of
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.graph.load import load_graph
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.resources import peak_bytes, reset_peak

Tables = dict[str, dict[str, Any]]

BOTH = {"replace": "both"}
LINKED = BOTH | {"candidates": "linked"}
PAPER = "the paper's"
ROWS: dict[str, Tables] = {
    PAPER: {},
    "negatives of both ends": {"negatives": BOTH},
    "the same and biases of both ends": {"negatives": BOTH, "student": {"biases": "both"}},
    "the same, drugs from all linked ones": {"negatives": LINKED, "student": {"biases": "both"}},
    "by degree": {"negatives": BOTH | {"distribution": "degree"}},
    "four an end": {"negatives": BOTH | {"ratio": 4}},
    "softmax, sixteen an end": {"negatives": BOTH | {"ratio": 16, "loss": "softmax"}},
    "self-adversarial, sixteen an end": {"negatives": BOTH | {"ratio": 16, "loss": "self_adversarial"}},
    "margin, sixteen an end": {"negatives": BOTH | {"ratio": 16, "loss": "margin"}},
    "sums": {"student": {"aggregation": "sum"}},
    "self loops": {"student": {"self_loop": True}},
    "learnt inputs": {"student": {"inputs": "learnt"}},
    "degrees among the inputs": {"student": {"degrees": True}},
    "pooling of all relations, weighed, 20 neighbours": {
        "graph": {"pooling": {"all_relations": True, "weights": "rarity", "neighbours": 20}}
    },
}
# Negatives an end whose memory is measured.
RATIOS = (1, 16, 256)


def task_under(tables: Tables, graph_keys: dict[str, Any], graph: KnowledgeGraph) -> LinkPrediction:
    """The task of a row."""
    return task_of(Profile.model_validate(tables | {"graph": graph_keys | tables.get("graph", {})}), graph)


def in_turn(epochs: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median seconds of the processor for each epoch, timed one after another, again and again."""
    times: dict[str, list[float]] = {name: [] for name in epochs}
    for number in range(repeats + 2):
        for name, epoch in epochs.items():
            start = time.process_time()
            epoch()
            if number >= 2:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def memory_of(source: str, scale: str, negatives: str) -> dict[str, float]:
    """Seconds of an epoch of true labels without an optimiser, and the MiB that it needs."""
    graph_keys = {"source": source, "scale": float(scale)}
    profile = Profile.model_validate({"graph": graph_keys, "negatives": json.loads(negatives)})
    task = task_of(profile, load_graph(profile.graph))
    (spec,) = (spec for spec in models_of(profile) if spec.name == "baseline")
    objective = task.supervised(task.new_model(spec), "baseline")
    reset_peak()
    before = peak_bytes() or 0
    start = time.process_time()
    for epoch in range(3):
        objective(epoch, {"original": 1.0})["total"].backward()
    return {"seconds": (time.process_time() - start) / 3, "extra": ((peak_bytes() or 0) - before) / 2**20}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--scale", type=float, default=0.1, help="size of the synthetic graph")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--rows", type=int, default=len(ROWS), help="only the first so many rows")
    parser.add_argument("--memory", action="store_true", help="measure what more negatives need in memory")
    options = parser.parse_args()
    restart_as_trainer()
    torch.set_num_threads(1)
    named = options.graph in ("embedded", "synthetic")
    source = options.graph if named else str(Path(options.graph).absolute())
    graph_keys = {"source": source, "scale": options.scale}
    graph = load_graph(Profile.model_validate({"graph": graph_keys}).graph)
    tasks = {name: task_under(ROWS[name], graph_keys, graph) for name in list(ROWS)[: options.rows]}
    flykd = in_turn({name: flykd_epoch(task) for name, task in tasks.items()}, options.repeats)
    alone = in_turn({name: student_epoch(task) for name, task in tasks.items()}, options.repeats)
    console.print(machine_with_torch())
    data = tasks[PAPER].data
    console.print(f"{graph.source}: {graph.node_count:,} nodes, {edge_count(data):,} training edges with reverses")
    rows = [
        [name, *(f"{1e3 * found[name]:.1f} ms ({found[name] / found[PAPER]:.2f}x)" for found in (flykd, alone))]
        for name in tasks
    ]
    show("An epoch, time of the processor", ["keys", "FlyKD student", "labels alone"], rows)
    if options.memory:
        rows = []
        for loss in ("bce", "softmax"):
            for ratio in RATIOS:
                negatives = json.dumps(BOTH | {"ratio": ratio, "loss": loss})
                found = in_child(memory_of, source, str(options.scale), negatives, keep_freed=False)
                rows.append([loss, str(ratio), f"{found['seconds']:.3f} s", f"{found['extra']:.0f} MiB"])
        show("More negatives, labels alone", ["loss", "negatives an end", "an epoch", "extra"], rows)


if __name__ == "__main__":
    main()
