"""What the GPU makes of it: 2000 epochs of teacher, baseline and FlyKD student on a graph of PrimeKG's size.

    python benchmarks/gpu.py                     # PrimeKG's full size, 2000 epochs, the first CUDA device
    python benchmarks/gpu.py --epochs 200 --scale 0.1 --device cpu

Needs torch, numpy and this package's sources, nothing else: copy the checkout to a CUDA machine and run it. It trains
with the package's own loops; around them stand a random graph with PrimeKG's node and edge counts, and a session that
keeps losses on the device. Each stage runs with CUDA graphs and without, in float32 and in TF32, and the first is told
as a ratio to the others. Figures of speed only: a random graph teaches nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**30))

from benchmarks import bare

STAND_INS = bare.provide("scipy", "polars")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from flykd_console.graph.knowledge_graph import EdgeType, Pairs  # noqa: E402
from flykd_console.graph.sources.synthetic.shape import NODE_TYPES, RELATIONS  # noqa: E402
from flykd_console.seeding import numpy_rng  # noqa: E402
from flykd_console.training.loops.distill import distill  # noqa: E402
from flykd_console.training.loops.finetune import finetune  # noqa: E402
from flykd_console.training.task import Task  # noqa: E402

TARGETS = ["contraindication", "indication"]
TRAIN_SHARE = 0.83125


def settings(epochs: int, cuda_graphs: bool = True) -> Any:
    """The paper's profile, as far as the training loops read it; a test holds it against the defaults."""
    plateau = SimpleNamespace(factor=0.8, patience=10, last_epochs=epochs // 5, stop_below=0.0)
    curriculum = _Curriculum(
        original=[(0.2, 1.0), (0.4, 0.05)],
        pseudo_train=[(0.2, 0.0), (0.4, 1.0)],
        pseudo_random=[(0.4, 0.0), (0.6, 1.0)],
    )
    off = SimpleNamespace(weight=0.0, layers=[])
    return SimpleNamespace(
        graph=SimpleNamespace(targets=TARGETS, pooling=SimpleNamespace(relations=[])),
        split=SimpleNamespace(filter_negatives=False),
        teacher=SimpleNamespace(dim=130, layers=2, kind="rgcn"),
        student=SimpleNamespace(dim=80, layers=2, kind="rgcn"),
        finetune=SimpleNamespace(epochs=epochs, lr=5e-4, plateau=plateau),
        distill=SimpleNamespace(
            epochs=epochs,
            sources=["original", "pseudo_train", "pseudo_random"],
            pseudo_negatives="student",
            temperature=1.0,
            plateau=None,
            random_graph=SimpleNamespace(
                labels_per_relation=100_000,
                sampler="pairs",
                degree_power=1.0,
                refresh_every=1,
                min_logit=None,
                unseen=0.0,
            ),
            curriculum=curriculum,
            lsp=off,
            hidden=off,
            anchor=SimpleNamespace(rank_weight=0.0, distribution_weight=0.0),
        ),
        engine=SimpleNamespace(propagation="auto", cuda_graphs=cuda_graphs),
    )


class _Curriculum(SimpleNamespace):
    """The linear curriculum between break points."""

    def weight(self, source: str, fraction: float) -> float:
        fractions, weights = zip(*getattr(self, source), strict=True)
        return float(np.interp(fraction, fractions, weights))


class RandomTask(Task):
    """A task on a random graph with PrimeKG's counts times a scale; degrees are skewed as they are there."""

    def __init__(self, profile: Any, scale: float, device: torch.device) -> None:
        targets = [EdgeType(RELATIONS[name].head, name, RELATIONS[name].tail) for name in TARGETS]
        super().__init__(profile, None, targets, 45, device)  # type: ignore[arg-type]
        object.__setattr__(self, "scale", scale)

    @cached_property
    def node_counts(self) -> dict[str, int]:
        return {name: max(20, round(kind.size * self.scale)) for name, kind in sorted(NODE_TYPES.items())}  # type: ignore[attr-defined]

    @cached_property
    def split(self) -> Any:
        rng = numpy_rng(self.seed, "benchmark graph")
        train: dict[EdgeType, Pairs] = {}
        for name, relation in sorted(RELATIONS.items()):
            count = max(4, round(TRAIN_SHARE * relation.size * self.scale))  # type: ignore[attr-defined]
            heads, tails = (self._skewed(rng, kind, count, name in TARGETS) for kind in (relation.head, relation.tail))
            train[EdgeType(relation.head, name, relation.tail)] = heads, tails
        return SimpleNamespace(train=train)

    def _skewed(self, rng: np.random.Generator, node_type: str, count: int, target: bool) -> Any:
        # A target touches a few thousand drugs and diseases; the cube draws low numbers more often.
        nodes = self.node_counts[node_type] // (6 if target else 1)
        return np.minimum((rng.random(count) ** 3 * nodes).astype(np.int64), nodes - 1)

    @cached_property
    def pooling(self) -> Any:
        import scipy.sparse as sp

        rng = numpy_rng(self.seed, "benchmark pooling")
        count = self.node_counts[self.targets[0].tail]
        rows = np.repeat(np.arange(count), 4)
        columns = np.concatenate([np.arange(count)[:, None], rng.integers(0, count, (count, 3))], axis=1).ravel()
        values = np.tile(np.array([0.6, 0.2, 0.1, 0.1], dtype=np.float32), count)
        return {name: sp.csr_array((values, (rows, columns)), shape=(count, count)) for name in TARGETS}


class Session:
    """Runs a loop's epochs, reading losses back in blocks as the trainer does; times all but the first ones."""

    WARM = 30

    def __init__(self, stage: str, epochs: int) -> None:
        self.stage, self.count = stage, epochs
        self.seconds = 0.0
        self.last = float("nan")
        self.messages: list[str] = []
        self._kept: list[torch.Tensor] = []

    def epochs(self) -> Iterator[int]:
        began = 0.0
        for epoch in range(self.count + self.WARM):
            if epoch == self.WARM:
                synchronise()
                began = time.perf_counter()
            # The curriculum ends at the profile's epochs; the warm-up runs its first ones.
            yield max(0, epoch - self.WARM)
        synchronise()
        self.seconds = time.perf_counter() - began

    def record(self, epoch: int, losses: dict[str, torch.Tensor], lr: object, weights: object = None) -> None:
        self._kept.append(losses["total"].detach())
        if len(self._kept) == 50:
            self.last = float(torch.stack(self._kept)[-1])
            self._kept.clear()

    def resume(self) -> None: ...

    def log(self, message: str, level: str = "info") -> None:
        self.messages.append(message)


def synchronise() -> None:
    """Wait for the device, where there is one to wait for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the graph; 1.0 is full PrimeKG")
    parser.add_argument("--epochs", type=int, default=2000)
    options = parser.parse_args()
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{name}, torch {torch.__version__}, Python {platform.python_version()}")
    if STAND_INS:
        print(f"not installed here, stand-ins used: {', '.join(STAND_INS)}")

    began = time.perf_counter()
    first = RandomTask(settings(options.epochs), options.scale, device)
    edges = sum(len(heads) for heads, _ in first.messages.edges.values())
    print(f"{sum(first.node_counts.values()):,} nodes, {edges:,} training edges with reverses; k = 100,000")
    teacher = first.new_model("teacher")
    first.training_encoder(teacher)
    synchronise()
    print(f"graph and the teacher's plan: {time.perf_counter() - began:.1f} s")
    print(f"\n{options.epochs} epochs            teacher   baseline     FlyKD   FlyKD against the first row")

    ways = [("float32", True)]
    if device.type == "cuda":
        ways = [("float32", True), ("float32", False), ("tf32", True)]
    reference = 0.0
    for precision, replayed in ways:
        torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
        profile = settings(options.epochs, replayed)
        task = RandomTask(profile, options.scale, device)
        task.__dict__.update({key: first.__dict__[key] for key in ("split", "messages", "node_counts", "pooling")})
        seconds, session = run_all(task)
        reference = reference or seconds[-1]
        label = f"{precision}{', CUDA graphs' if replayed and device.type == 'cuda' else ''}"
        figures = "".join(f"{value:9.2f} s" for value in seconds)
        print(f"{label:<21}{figures}   {seconds[-1] / reference:.2f}x   last loss {session.last:.4f}")
        for message in dict.fromkeys(session.messages):
            print(f"  {message}")
    if device.type == "cuda":
        print(f"\npeak memory on the device: {torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB")
    print("published: about 2000 s for 2000 FlyKD epochs (FlyKD, Table 2)")


def run_all(task: RandomTask) -> tuple[list[float], Session]:
    """Seconds of teacher, baseline and student, and the student's session."""
    epochs = task.profile.finetune.epochs
    teacher, baseline, student = (task.new_model(size) for size in ("teacher", "student", "student"))
    stages: list[tuple[str, Callable[[Session], None]]] = [
        ("teacher", lambda session: finetune(task, teacher, task.profile.finetune, session)),  # type: ignore[arg-type]
        ("baseline", lambda session: finetune(task, baseline, task.profile.finetune, session)),  # type: ignore[arg-type]
        ("student", lambda session: distill(task, [teacher], student, session)),  # type: ignore[arg-type]
    ]
    seconds = []
    for stage, train in stages:
        session = Session(stage, epochs)
        train(session)
        seconds.append(session.seconds)
    return seconds, session


if __name__ == "__main__":
    main()
