"""An epoch of each kind: this package against plain DGL, same graph, same threads, same run.

    python benchmarks/epochs.py                          # the embedded graph
    python benchmarks/epochs.py --graph kg.csv.gz        # any graph
    python benchmarks/epochs.py --graph synthetic --scale 1.0

The baseline computes the same equations plainly: both layers over the whole graph with DGL message passing, every pair
scored from gathered rows, and (as the published code does) the frozen teacher run again in each distilling epoch. The
row "teacher run once" leaves that out, so that repeated work and algebra can be told apart.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.measure import console, median_seconds, peak_gib, restart_as_trainer, show
from benchmarks.training import LEARNING_RATE, changed, edge_count, epoch_of, machine_with_torch, prepare, task_of
from flykd_console.distill.pairs.pair_space import PairSpace
from flykd_console.distill.soft_labels import SoftLabels
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.graph.load import load_graph
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.loops.replay import adam

# The weights of the curriculum's end.
WEIGHTS = {"original": 0.05 / 2.05, "pseudo_train": 1 / 2.05, "pseudo_random": 1 / 2.05}


class PlainData(LinkData):
    """Every pair is scored from gathered rows."""

    @cached_property
    def space(self) -> PairSpace:
        return PairSpace(self.targets, self.split.train, self.device, dense_limit=0)


def plain_task(profile: Profile, graph: KnowledgeGraph) -> LinkPrediction:
    """A task whose equations are computed plainly."""
    task = task_of(changed(profile, "engine", propagation="dgl"), graph)
    data = task.data
    task.data = PlainData(data.profile, data.graph, data.targets, data.seed, data.device)
    return task


# From a task to the epoch of a fresh model: one call is one epoch.


def teacher_epoch(task: LinkPrediction) -> Callable[[], None]:
    """The teacher on labels alone."""
    return _supervised(task, "teacher")


def student_epoch(task: LinkPrediction) -> Callable[[], None]:
    """A model of the student's size on labels alone."""
    return _supervised(task, "baseline")


def _supervised(task: LinkPrediction, name: str) -> Callable[[], None]:
    (spec,) = (spec for spec in models_of(task.profile) if spec.name == name)
    model = task.new_model(spec)
    return epoch_of(task.supervised(model, name), adam(model.parameters(), LEARNING_RATE))


def flykd_epoch(task: LinkPrediction) -> Callable[[], None]:
    """The student on all three label sources; the teacher was run before."""
    teacher, _, student = models_of(task.profile)
    model = task.new_model(student)
    objective = task.distilled(student, model, [task.new_model(teacher)], lambda *_: None)
    return epoch_of(objective, adam(model.parameters(), LEARNING_RATE), WEIGHTS)


def flykd_epoch_with_teacher(task: LinkPrediction) -> Callable[[], None]:
    """The same, and the frozen teacher run once more in each epoch."""
    flykd = flykd_epoch(task)
    teacher = task.new_model(models_of(task.profile)[0])
    encode = task.data.space_encoder(teacher, task.data.space)

    def epoch() -> None:
        with torch.no_grad():
            SoftLabels(task.data.space, encode(teacher))
        flykd()

    return epoch


# Per row what plain DGL computes, and what this package does, which never runs the teacher again.
ROWS = {
    "FlyKD student, teacher run each epoch": (flykd_epoch_with_teacher, flykd_epoch),
    "FlyKD student, teacher run once": (flykd_epoch, flykd_epoch),
    "student finetune": (student_epoch, student_epoch),
    "teacher finetune": (teacher_epoch, teacher_epoch),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--scale", type=float, default=0.1, help="size of the synthetic graph")
    parser.add_argument("--labels", type=int, default=100_000, help="labels per relation of the random graph")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    restart_as_trainer()
    profile = Profile.model_validate(
        {
            "graph": {"source": options.graph, "scale": options.scale},
            "distill": {"random_graph": {"labels_per_relation": options.labels}},
        }
    )
    start = time.perf_counter()
    graph = load_graph(profile.graph)
    task = task_of(profile, graph)
    prepare(task.data)
    read_seconds = time.perf_counter() - start
    preparing, ours = {}, {}
    for build in (flykd_epoch, student_epoch, teacher_epoch):
        start = time.perf_counter()
        epoch = build(task)
        preparing[build] = time.perf_counter() - start
        ours[build] = median_seconds(epoch, options.repeats)
    peak = peak_gib()

    plain = plain_task(profile, graph)
    rows = []
    for name, (theirs, build) in ROWS.items():
        seconds = median_seconds(theirs(plain), max(3, options.repeats // 3), 1)
        faster = f"{seconds / ours[build]:.1f}x"
        rows.append([name, f"{1e3 * seconds:.0f} ms", f"{1e3 * ours[build]:.1f} ms", faster])
    console.print(machine_with_torch())
    console.print(
        f"{graph.source}: {graph.node_count:,} nodes, {edge_count(task.data):,} training edges with reverses; "
        f"teacher {profile.teacher.dim}, student {profile.student.dim}, k = {options.labels:,}"
    )
    show("Seconds per epoch", ["epoch", "plain DGL", "this package", "faster"], rows)
    show(
        "Around it",
        ["what", "this package"],
        [
            ["graph, split, pooling", f"{read_seconds:.2f} s"],
            ["preparing teacher and student", f"{preparing[teacher_epoch] + preparing[student_epoch]:.2f} s"],
            ["peak memory, before plain DGL runs", f"{peak:.2f} GiB"],
        ],
    )


if __name__ == "__main__":
    main()
