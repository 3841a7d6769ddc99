"""What a pretraining step costs at several batch sizes, and what an epoch over all relations comes to.

    python benchmarks/pretraining.py                                        # the embedded graph
    python benchmarks/pretraining.py --graph synthetic --scale 1.0          # PrimeKG's size
    python benchmarks/pretraining.py --graph kg.csv.gz --batches 1024 8192 --no-plain

Steps are measured, epochs extrapolated from them. The baseline is the same step with plain DGL message passing over the
whole graph; the batch size does not change what that costs by much, so it is measured at the first one alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from flykd_console.training.loops.pretrain import Encode, batch_loss, node_encoder, steps_of

from benchmarks.measure import console, machine, median_seconds, restart_as_trainer, show
from flykd_console.graph.load import load_graph
from flykd_console.profile.schema import Profile
from flykd_console.profile.sections import Pretrain
from flykd_console.tasks.link_prediction.all_edges import AllEdges, Shuffle
from flykd_console.tasks.link_prediction.task import Task
from flykd_console.training.resources import peak_bytes, reset_peak


def seconds_per_step(task: Task, size: str, encode_with: str, batches: list[int], repeats: int) -> dict[int, float]:
    """Median seconds of an optimiser step, by batch size."""
    model = task.new_model(size)
    edges = AllEdges(task.messages, model)
    profile = task.profile.model_copy(
        update={"engine": task.profile.engine.model_copy(update={"propagation": encode_with})}
    )
    encode: Encode = node_encoder(Task(profile, task.graph, task.targets, task.seed, task.device), model, edges)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    found = {}
    for size_of_batch in batches:
        order, draw = (task.generator(f"benchmark/{purpose}") for purpose in ("order", "negatives"))
        shuffle = Shuffle(len(edges), size_of_batch, order)
        shuffle.batch(0)
        number = iter(range(1 << 40))

        def step(shuffle: Shuffle = shuffle, draw: torch.Generator = draw, number: object = number) -> None:
            loss = batch_loss(model, encode, edges, shuffle.batch(next(number)), draw)  # type: ignore[call-overload]
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        found[size_of_batch] = median_seconds(step, repeats, 1)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--scale", type=float, default=0.1, help="size of the synthetic graph")
    parser.add_argument("--batches", type=int, nargs="+", default=[1024, 4096, 8192, 16384, 32768])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plain", action=argparse.BooleanOptionalAction, default=True, help="measure plain DGL too")
    options = parser.parse_args()
    restart_as_trainer()
    profile = Profile.model_validate({"graph": {"source": options.graph, "scale": options.scale}})
    graph = load_graph(profile.graph)
    task = Task(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))
    rows = []
    for size, dim in (("teacher", profile.teacher.dim), ("student", profile.student.dim)):
        start = time.perf_counter()
        reset_peak()
        mine = seconds_per_step(task, size, "auto", options.batches, options.repeats)
        peak = (peak_bytes() or 0) / 2**30
        console.print(f"{size}: measured in {time.perf_counter() - start:.0f} s")
        plain = None
        if options.plain:
            first = options.batches[:1]
            plain = seconds_per_step(task, size, "dgl", first, max(1, options.repeats // 3))[first[0]]
        for batch, seconds in mine.items():
            steps = steps_of(task, Pretrain(batch_size=batch))
            compared = ["", ""] if plain is None else [f"{plain:.2f} s", f"{plain / seconds:.1f}x"]
            rows.append(
                [
                    f"{size}, d {dim}",
                    f"{batch:,}",
                    f"{steps:,}",
                    f"{seconds:.3f} s",
                    f"{seconds * steps / 60:.1f} min",
                    *compared,
                    f"{peak:.2f}",
                ]
            )
    edges = 2 * sum(len(heads) for heads, _ in task.split.train.values())
    console.print(f"{machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    console.print(f"{graph.source}: {graph.node_count:,} nodes, {edges:,} training edges with reverses")
    show(
        "Pretraining",
        ["model", "batch", "steps", "a step", "epoch, extrapolated", "plain DGL", "faster", "peak GiB"],
        rows,
    )


if __name__ == "__main__":
    main()
