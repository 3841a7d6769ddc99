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

from benchmarks.measure import console, median_seconds, restart_as_trainer, show
from benchmarks.training import changed, edge_count, epoch_of, machine_with_torch, task_of
from flykd_console.graph.load import load_graph
from flykd_console.profile.model_spec import ModelSpec
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.resources import peak_bytes, reset_peak


def seconds_per_step(task: LinkPrediction, spec: ModelSpec, repeats: int) -> float:
    """Median seconds of an optimiser step of a fresh model, in batches of the profile's size."""
    model = task.new_model(spec)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    # The first step draws the order of all edges.
    return median_seconds(epoch_of(task.pretraining(model, "benchmark"), optimizer), repeats, 1)


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
    rows = []
    teacher, baseline, _ = models_of(profile)
    for spec in (teacher, baseline):
        start = time.perf_counter()
        reset_peak()
        ours, steps = {}, {}
        for batch in options.batches:
            task = task_of(changed(profile, "pretrain", batch_size=batch), graph)
            ours[batch] = seconds_per_step(task, spec, options.repeats)
            steps[batch] = task.pretraining_steps()
        peak = (peak_bytes() or 0) / 2**30
        console.print(f"{spec.begins}: measured in {time.perf_counter() - start:.0f} s")
        plain = None
        if options.plain:
            settings = changed(profile, "pretrain", batch_size=options.batches[0])
            plain_task = task_of(changed(settings, "engine", propagation="dgl"), graph)
            plain = seconds_per_step(plain_task, spec, max(1, options.repeats // 3))
        for batch, seconds in ours.items():
            compared = ["", ""] if plain is None else [f"{plain:.2f} s", f"{plain / seconds:.1f}x"]
            rows.append(
                [
                    f"{spec.begins}, d {spec.shape.dim}",
                    f"{batch:,}",
                    f"{steps[batch]:,}",
                    f"{seconds:.3f} s",
                    f"{seconds * steps[batch] / 60:.1f} min",
                    *compared,
                    f"{peak:.2f}",
                ]
            )
    console.print(machine_with_torch())
    edges = edge_count(task.data)
    console.print(f"{graph.source}: {graph.node_count:,} nodes, {edges:,} training edges with reverses")
    show(
        "Pretraining",
        ["model", "batch", "steps", "a step", "epoch, extrapolated", "plain DGL", "faster", "peak GiB"],
        rows,
    )


if __name__ == "__main__":
    main()
