"""What the GPU makes of it: 2000 epochs of teacher, baseline and FlyKD student on a graph of PrimeKG's size.

    python benchmarks/gpu.py                     # PrimeKG's full size, 2000 epochs, the first CUDA device
    python benchmarks/gpu.py --graph kg.csv.gz   # any graph
    python benchmarks/gpu.py --epochs 200 --scale 0.1 --device cpu

The paper's profile, trained as a run trains it, without pretraining and evaluations. Each stage
runs with CUDA graphs and without, in float32 and in TF32, and the first is told as a ratio to the others.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from flykd_console.training.loops.distill import distill
from flykd_console.training.loops.finetune import finetune
from flykd_console.training.session import StageSession
from flykd_console.training.task import Task

from benchmarks.measure import console, machine, restart_as_trainer, show
from flykd_console.graph.load import load_graph
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.profile.load import load_profile
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Epoch, Log
from flykd_console.runs.log import EventFollower, EventWriter
from flykd_console.training.orders import ControlDesk

SEED = 45
# torch's words for the precisions of a profile that are compared.
MATMUL = {"float32": "highest", "tf32": "high"}


@dataclass(frozen=True)
class Trained:
    """A stage that was trained: seconds of its epochs, its last loss, and what it logged."""

    seconds: float
    last_loss: float
    messages: list[str]


def profile_of(source: list[str], epochs: int, precision: str = "float32", cuda_graphs: bool = True) -> Profile:
    """The paper's FlyKD; the rate may fall in the last fifth of the epochs, as in the paper.

    Args:
        source: Overrides of the graph.
    """
    return load_profile(
        "primekg/flykd",
        [
            *source,
            f"finetune.epochs={epochs}",
            f"finetune.plateau.last_epochs={epochs // 5}",
            f"distill.epochs={epochs}",
            f"engine.precision={precision}",
            f"engine.cuda_graphs={str(cuda_graphs).lower()}",
        ],
    )


def train_all(task: Task) -> dict[str, Trained]:
    """Teacher, baseline and FlyKD student, one after the other."""
    settings = task.profile.finetune
    teacher, baseline, student = (task.new_model(size) for size in ("teacher", "student", "student"))
    return {
        "teacher": _train(task, "teacher", teacher, lambda session: finetune(task, teacher, settings, session)),
        "baseline": _train(task, "baseline", baseline, lambda session: finetune(task, baseline, settings, session)),
        "student": _train(task, "student", student, lambda session: distill(task, [teacher], student, session)),
    }


def _train(task: Task, stage: str, model: HeteroRGCN, train: Callable[[StageSession], None]) -> Trained:
    epochs = task.profile.distill.epochs if stage == "student" else task.profile.finetune.epochs
    with TemporaryDirectory() as folder:
        directory = RunDirectory(Path(folder))
        events = EventWriter(directory.events)
        session = StageSession(
            directory=directory,
            events=events,
            control=ControlDesk(directory, events),
            seed=task.seed,
            stage=stage,
            epochs_total=epochs,
            model=model,
            key="",
            checkpoint_every=epochs + 1,
        )
        train(session)
        events.close()
        told = EventFollower(directory.events).read(seconds=60)
    totals = (event.losses["total"] for event in told if isinstance(event, Epoch))
    losses = [total for total in totals if total is not None]
    return Trained(session.seconds, losses[-1], [event.message for event in told if isinstance(event, Log)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--graph", default="synthetic")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic graph; 1.0 is full PrimeKG")
    parser.add_argument("--epochs", type=int, default=2000)
    options = parser.parse_args()
    restart_as_trainer()
    device = torch.device(options.device)
    ways = [("float32", True)]
    if device.type == "cuda":
        ways = [("float32", True), ("float32", False), ("tf32", True)]
    console.print(f"{machine()}, torch {torch.__version__}")
    if device.type == "cuda":
        console.print(torch.cuda.get_device_name(device))

    rows: list[list[str]] = []
    messages: dict[str, None] = {}
    first = 0.0
    source = [f"graph.source={options.graph}", f"graph.scale={options.scale}"]
    graph = load_graph(profile_of(source, options.epochs).graph)
    for precision, replayed in ways:
        torch.set_float32_matmul_precision(MATMUL[precision])
        profile = profile_of(source, options.epochs, precision, replayed)
        task = Task(profile, graph, graph.targets(profile.graph.targets), SEED, device)
        began = time.perf_counter()
        task.split, task.messages, task.pooling, task.space  # noqa: B018
        prepared = time.perf_counter() - began
        trained = train_all(task)
        student = trained["student"]
        first = first or student.seconds
        rows.append(
            [
                f"{precision}, CUDA graphs" if replayed and device.type == "cuda" else precision,
                f"{prepared:.1f} s",
                *(f"{stage.seconds:.2f} s" for stage in trained.values()),
                f"{student.seconds / first:.2f}x",
                f"{student.last_loss:.4f}",
            ]
        )
        messages |= dict.fromkeys(message for stage in trained.values() for message in stage.messages)

    edges = 2 * sum(len(heads) for heads, _ in task.split.train.values())
    labels = profile.distill.random_graph.labels_per_relation
    console.print(f"{graph.source}: {graph.node_count:,} nodes, {edges:,} training edges with reverses; k = {labels:,}")
    show(
        f"{options.epochs} epochs",
        ["way", "splitting, pooling", "teacher", "baseline", "FlyKD", "of the first row", "last loss"],
        rows,
    )
    for message in messages:
        console.print(message)
    if device.type == "cuda":
        console.print(f"peak memory on the device: {torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB")
    console.print("published: about 2000 s for 2000 FlyKD epochs (FlyKD, Table 2)")


if __name__ == "__main__":
    main()
