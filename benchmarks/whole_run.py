"""How long a whole run takes: its pretrainings, then every model of it, estimated from some epochs of each.

    python benchmarks/whole_run.py --graph synthetic --scale 1.0      # PrimeKG's size
    python benchmarks/whole_run.py --set pretrain.batch_size=16384    # any key of a profile

Every figure is EXTRAPOLATED: the median of some epochs times their number in the profile. A distilling epoch is
measured with each set of label sources that the curriculum has at work, and counted as often as it has. Evaluations
count too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, median_seconds, peak_gib, restart_as_trainer, show
from benchmarks.pretraining import seconds_per_step
from benchmarks.training import LABELS_ALONE, epoch_of, machine_with_torch, prepare, task_of
from flykd_console.graph.load import load_graph
from flykd_console.profile.load import load_profile
from flykd_console.profile.model_spec import ModelSpec
from flykd_console.profile.models import models_of, stage_epochs
from flykd_console.runs.models import Role
from flykd_console.tasks.base import Objective
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.loops.replay import adam

REACH, AIM = 75 * 60, 35 * 60
# What the public reference implementation took at full size on two other cores: a constant, not measured here.
REFERENCE = 10 * 3600
# What, how often, and seconds of each.
Row = tuple[str, int, float]


def rows_of_run(task: LinkPrediction, repeats: int) -> list[Row]:
    """Every stage of a seed, in order."""
    every = models_of(task.profile)
    specs = {spec.name: spec for spec in every}
    rows: list[Row] = []
    for stage, epochs in stage_epochs(task.profile, every, task.pretraining_steps()):
        spec = specs[stage.models[0]]
        if stage.pretrains:
            name = f"pretraining {spec.begins}, batches of {task.profile.pretrain.batch_size:,}"
            rows.append((name, epochs, seconds_per_step(task, spec, repeats)))
        else:
            rows += rows_of_model(task, spec, epochs, repeats)
    return rows


def rows_of_model(task: LinkPrediction, spec: ModelSpec, epochs: int, repeats: int) -> list[Row]:
    """Preparing a model, its epochs, and its evaluations."""
    start = time.perf_counter()
    model = task.new_model(spec)
    if spec.distill is None:
        objective = task.supervised(model, spec.name)
    else:
        teachers = [task.new_model(other) for other in models_of(task.profile) if other.entry.role is Role.TEACHER]
        objective = task.distilled(spec, model, teachers, lambda *_: None)
    rows: list[Row] = [(f"preparing {spec.name}", 1, time.perf_counter() - start)]
    optimizer = adam([*model.parameters(), *objective.parameters], task.profile.finetune.lr)
    for names, times in sources_at_work(objective, epochs).items():
        epoch = epoch_of(objective, optimizer, dict.fromkeys(names, 1 / len(names)))
        rows.append((f"{spec.name}: {', '.join(names)}", times, median_seconds(epoch, repeats)))
    evaluations = epochs // task.profile.finetune.validate_every
    rows.append((f"evaluating {spec.name}", evaluations, median_seconds(task.evaluator(model), 3, 1)))
    return rows


def sources_at_work(objective: Objective, epochs: int) -> Counter[tuple[str, ...]]:
    """Each set of label sources that have a weight, and in how many epochs."""
    curriculum = objective.curriculum
    if curriculum is None:
        return Counter({tuple(LABELS_ALONE): epochs})
    return Counter(
        tuple(name for name, weight in curriculum.weights(epoch).items() if weight > 0) for epoch in range(epochs)
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", nargs="?", default="primekg/flykd")
    parser.add_argument("--graph", default="synthetic")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic graph")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key of the profile")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    restart_as_trainer()
    source = [f"graph.source={options.graph}", f"graph.scale={options.scale}"]
    profile = load_profile(options.profile, [*source, *options.set])
    start = time.perf_counter()
    graph = load_graph(profile.graph)
    task = task_of(profile, graph)
    prepare(task.data)
    rows: list[Row] = [("reading, splitting, pooling", 1, time.perf_counter() - start)]
    rows += rows_of_run(task, options.repeats)

    total = sum(times * seconds for _, times, seconds in rows)
    console.print(machine_with_torch())
    console.print(f"{graph.source}: {graph.node_count:,} nodes, {2 * graph.edge_count:,} rows")
    show(
        "A whole run, extrapolated",
        ["part", "times", "measured, each", "together"],
        [
            [name, f"{times:,}", f"{1e3 * seconds:.1f} ms", f"{times * seconds / 60:.1f} min"]
            for name, times, seconds in rows
        ],
    )
    show(
        "Against the targets",
        ["what", "minutes", "ours is"],
        [
            ["this machine, extrapolated", f"{total / 60:.1f}", ""],
            ["to reach", f"{REACH / 60:.0f}", "within" if total <= REACH else "above"],
            ["aim", f"{AIM / 60:.0f}", "within" if total <= AIM else "above"],
            [
                "public reference (constant, another machine)",
                f"{REFERENCE / 60:.0f}",
                f"{REFERENCE / total:.0f}x faster",
            ],
        ],
    )
    console.print(f"peak memory {peak_gib():.2f} GiB")


if __name__ == "__main__":
    main()
