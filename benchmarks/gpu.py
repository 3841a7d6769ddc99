"""What the GPU makes of it: 2000 epochs of teacher, baseline and FlyKD student on a graph of PrimeKG's size.

    python benchmarks/gpu.py                     # PrimeKG's full size, 2000 epochs, the first CUDA device
    python benchmarks/gpu.py --graph kg.csv.gz   # any graph
    python benchmarks/gpu.py --epochs 200 --scale 0.1 --device cpu

The paper's profile, carried out as a run of one seed without pretraining; evaluations are not counted. It runs with
CUDA graphs and without, in float32, TF32 and bf16; the others are told as a ratio to the first, with what they do to
the student on the test part.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.measure import console, machine, restart_as_trainer, show
from flykd_console.graph.load import load_graph
from flykd_console.profile.load import load_profile
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Epoch, Evaluation, Log, RunPrepared, StageFinished
from flykd_console.runs.log import EventFollower, EventWriter
from flykd_console.training.orders import Orders
from flykd_console.training.run import train_run

STAGES = ("teacher", "baseline", "student")


@dataclass(frozen=True)
class Trained:
    """A run as its log tells it.

    Attributes:
        graph: Its source and size in words.
        preparing: Seconds until it was read and split.
        seconds: Of the epochs of each stage.
        last_loss: The student's.
        test: By model its headline metric on the test part, a fraction.
        messages: What the stages logged.
    """

    graph: str
    preparing: float
    seconds: dict[str, float]
    last_loss: float
    test: dict[str, float | None]
    messages: list[str]


def profile_of(
    source: list[str], epochs: int, device: str, precision: str = "float32", cuda_graphs: bool = True
) -> Profile:
    """One seed of the paper's FlyKD; the rate may fall in the last fifth of the epochs, as in the paper.

    Args:
        source: Overrides of the graph.
    """
    return load_profile(
        "primekg/flykd",
        [
            *source,
            "run.seeds=[45]",
            f"run.device={device}",
            "pretrain.epochs=0",
            f"finetune.epochs={epochs}",
            f"finetune.plateau.last_epochs={epochs // 5}",
            f"finetune.validate_every={epochs}",
            f"distill.epochs={epochs}",
            f"engine.checkpoint_every={epochs + 1}",
            f"engine.precision={precision}",
            f"engine.cuda_graphs={str(cuda_graphs).lower()}",
        ],
    )


def train_all(profile: Profile) -> Trained:
    """Carry out a run, and read its log."""
    with TemporaryDirectory() as folder:
        directory = RunDirectory(Path(folder))
        events = EventWriter(directory.events)
        train_run(directory, profile, events, Orders(directory, events), fresh=True, began=time.time())
        events.close()
        told = EventFollower(directory.events).read(seconds=60)
    (prepared,) = (event for event in told if isinstance(event, RunPrepared))
    totals = [event.losses["total"] for event in told if isinstance(event, Epoch) and event.stage == "student"]
    assert totals[-1] is not None
    rows = 2 * prepared.graph.edges
    return Trained(
        graph=f"{prepared.graph.source}: {prepared.graph.nodes:,} nodes, {rows:,} rows",
        preparing=prepared.seconds,
        seconds={event.stage: event.seconds for event in told if isinstance(event, StageFinished)},
        last_loss=totals[-1],
        test={event.model: event.score for event in told if isinstance(event, Evaluation) and event.split == "test"},
        messages=[event.message for event in told if isinstance(event, Log) and event.stage is not None],
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--graph", default="synthetic")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic graph; 1.0 is full PrimeKG")
    parser.add_argument("--epochs", type=int, default=2000)
    parser.add_argument("--json", type=Path, help="write what was found there, too")
    options = parser.parse_args()
    restart_as_trainer()
    on_gpu = torch.device(options.device).type == "cuda"
    ways = {"float32": ("float32", True)}
    if on_gpu:
        ways = {
            "float32, CUDA graphs": ("float32", True),
            "float32": ("float32", False),
            "tf32, CUDA graphs": ("tf32", True),
            "bf16, CUDA graphs": ("bf16", True),
        }
    console.print(f"{machine()}, torch {torch.__version__}")
    if on_gpu:
        console.print(torch.cuda.get_device_name(options.device))

    source = [f"graph.source={options.graph}", f"graph.scale={options.scale}"]
    # Once before, so that every way finds it kept.
    profile = profile_of(source, options.epochs, options.device)
    load_graph(profile.graph)
    trained = {name: train_all(profile_of(source, options.epochs, options.device, *way)) for name, way in ways.items()}

    first = next(iter(trained.values()))
    console.print(f"{first.graph}; k = {profile.distill.random_graph.labels_per_relation:,}")
    show(
        f"{options.epochs} epochs",
        ["way", "reading, splitting", "teacher", "baseline", "FlyKD", "of the first row", "last loss", "test"],
        [
            [
                name,
                f"{run.preparing:.1f} s",
                *(f"{run.seconds[stage]:.2f} s" for stage in STAGES),
                f"{run.seconds['student'] / first.seconds['student']:.2f}x",
                f"{run.last_loss:.4f}",
                f"{100 * (run.test.get('student') or 0.0):.2f}",
            ]
            for name, run in trained.items()
        ],
    )
    for message in dict.fromkeys(message for run in trained.values() for message in run.messages):
        console.print(message)
    if on_gpu:
        console.print(f"peak memory on the device: {torch.cuda.max_memory_allocated(options.device) / 2**30:.2f} GiB")
    if options.json is not None:
        options.json.write_text(json.dumps({name: asdict(run) for name, run in trained.items()}, indent=2) + "\n")
    console.print("published: about 2000 s for 2000 FlyKD epochs (FlyKD, Table 2)")


if __name__ == "__main__":
    main()
