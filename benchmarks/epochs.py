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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from flykd_console.training.loops.distill import label_sources

from benchmarks.measure import console, machine, median_seconds, peak_gib, restart_as_trainer, show
from flykd_console.distill.labels.random_graph import RandomGraphs
from flykd_console.distill.labels.sources import losses
from flykd_console.distill.pairs.pair_space import PairSpace, SoftLabels
from flykd_console.graph.load import load_graph
from flykd_console.model.link_encoder import LinkEncoder
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import Task

WEIGHTS = {"original": 0.05 / 2.05, "pseudo_train": 1 / 2.05, "pseudo_random": 1 / 2.05}


class Bench:
    """Teacher and student of one task, with one engine."""

    def __init__(self, task: Task, kind: str) -> None:
        self.kind = kind
        dense_limit = 0 if kind == "dgl" else 100_000_000
        self.space = PairSpace(task.targets, task.split.train, task.device, dense_limit)
        self.task = task
        start = time.perf_counter()
        self.teacher, self.student = task.new_model("teacher"), task.new_model("student")
        self.teacher_encoder, self.student_encoder = (self._encoder(m) for m in (self.teacher, self.student))
        self.prepare_seconds = time.perf_counter() - start
        # An epoch of the student with some label sources; `epochs` sets it.
        self.distilling: Callable[[list[str]], Callable[[], None]]

    def _encoder(self, model: HeteroRGCN) -> LinkEncoder:
        task = self.task
        return LinkEncoder(
            self.kind, task.messages, model, task.pooling, task.targets, self.space.heads, self.space.tails
        )

    def epochs(self) -> dict[str, Callable[[], object]]:
        """One call is one epoch."""
        generators = {name: self.task.generator(name) for name in ("negatives", "pseudo_negatives", "random_graph")}
        graphs = RandomGraphs(self.space, self.task.profile.distill.random_graph, generators["random_graph"])

        def label() -> SoftLabels:
            with torch.no_grad():
                return SoftLabels(self.space, self.teacher_encoder(self.teacher))

        task = self.task
        for name in ("space", "distilling_space"):
            object.__setattr__(task, name, self.space)
        sources = label_sources(task, label(), graphs, generators)

        def step(model: HeteroRGCN, encoder: LinkEncoder, names: list[str]) -> Callable[[], None]:
            optimizer = torch.optim.Adam(model.parameters(), lr=5e-4, fused=True)
            weights = {name: WEIGHTS[name] for name in names}

            def epoch() -> None:
                loss = losses(self.space, encoder(model), {n: sources[n] for n in names}, weights, 0)
                optimizer.zero_grad(set_to_none=True)
                loss["total"].backward()
                optimizer.step()

            return epoch

        self.distilling = lambda names: step(self.student, self.student_encoder, names)
        flykd = self.distilling(list(WEIGHTS))

        def flykd_with_teacher() -> None:
            label()
            flykd()

        return {
            "FlyKD student, teacher run each epoch": flykd_with_teacher,
            "FlyKD student, teacher run once": flykd,
            "student finetune": step(self.student, self.student_encoder, ["original"]),
            "teacher finetune": step(self.teacher, self.teacher_encoder, ["original"]),
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
    targets = graph.targets(profile.graph.targets)

    def fresh_task() -> Task:
        return Task(profile, graph, targets, 45, torch.device("cpu"))

    task = fresh_task()
    task.split, task.messages, task.pooling, task.space  # noqa: B018
    read_seconds = time.perf_counter() - start
    mine = Bench(task, "auto")
    epochs = mine.epochs()
    my_times = {name: median_seconds(epoch, options.repeats) for name, epoch in epochs.items()}
    my_peak = peak_gib()
    plain = Bench(fresh_task(), "dgl").epochs()
    plain_times = {name: median_seconds(epoch, max(3, options.repeats // 3), 1) for name, epoch in plain.items()}

    once = "FlyKD student, teacher run once"
    rows = []
    for name in plain:
        # This package never runs the teacher again.
        seconds = my_times[once if name.startswith("FlyKD") else name]
        faster = f"{plain_times[name] / seconds:.1f}x"
        rows.append([name, f"{1e3 * plain_times[name]:.0f} ms", f"{1e3 * seconds:.1f} ms", faster])
    edge_count = sum(len(heads) for heads, _ in task.messages.edges.values())
    console.print(f"{machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    console.print(
        f"{graph.source}: {graph.node_count:,} nodes, {edge_count:,} training edges with reverses; "
        f"teacher {profile.teacher.dim}, student {profile.student.dim}, k = {options.labels:,}"
    )
    show("Seconds per epoch", ["epoch", "plain DGL", "this package", "faster"], rows)
    show(
        "Around it",
        ["what", "this package"],
        [
            ["graph, split, pooling", f"{read_seconds:.2f} s"],
            ["preparing teacher and student", f"{mine.prepare_seconds:.2f} s"],
            ["peak memory, before plain DGL runs", f"{my_peak:.2f} GiB"],
        ],
    )


if __name__ == "__main__":
    main()
