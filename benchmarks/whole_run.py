"""How long a whole run takes: both pretrainings, then teacher, baseline and student, estimated from some steps of each.

    python benchmarks/whole_run.py --graph synthetic --scale 1.0      # PrimeKG's size
    python benchmarks/whole_run.py --set pretrain.batch_size=16384    # any key of a profile

Every figure is EXTRAPOLATED: the median of some steps times their number in the profile. A distilling epoch is measured
with each set of label sources that the curriculum has at work, and counted as often as it has. Evaluations count too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from flykd_console.training.loops.distill import curriculum_of
from flykd_console.training.loops.pretrain import steps_of

from benchmarks.epochs import Bench
from benchmarks.measure import console, machine, median_seconds, peak_gib, restart_as_trainer, show
from benchmarks.pretraining import seconds_per_step
from flykd_console.graph.load import load_graph
from flykd_console.profile.load import load_profile
from flykd_console.tasks.link_prediction.metrics import score
from flykd_console.tasks.link_prediction.task import Evaluator, Task

REACH, AIM = 75 * 60, 35 * 60
# What the public reference implementation took at full size on two other cores: a constant, not measured here.
REFERENCE = 10 * 3600


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
    task = Task(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))
    task.split, task.messages, task.pooling, task.space  # noqa: B018
    rows = [("reading, splitting, pooling", 1, time.perf_counter() - start)]

    for size in ("teacher", "student"):
        batch = profile.pretrain.batch_size
        seconds = seconds_per_step(task, size, "auto", [batch], options.repeats)[batch]
        rows.append((f"pretraining {size}, batches of {batch:,}", steps_of(task, profile.pretrain), seconds))

    bench = Bench(task, "auto")
    epochs = bench.epochs()
    count = profile.finetune.epochs
    rows.append(("preparing both models", 1, bench.prepare_seconds))
    rows.append(("teacher", count, median_seconds(epochs["teacher finetune"], options.repeats)))
    rows.append(("baseline", count, median_seconds(epochs["student finetune"], options.repeats)))
    curriculum = curriculum_of(profile)
    active = Counter(
        tuple(name for name, weight in curriculum.weights(epoch).items() if weight > 0)
        for epoch in range(profile.distill.epochs)
    )
    for names, times in active.items():
        rows.append(
            (f"student: {', '.join(names)}", times, median_seconds(bench.distilling(list(names)), options.repeats))
        )
    for size, model, stages in (("teacher", bench.teacher, 1), ("student", bench.student, 2)):
        evaluator = Evaluator(task, model, "validation")
        seconds = median_seconds(lambda e=evaluator, m=model: score(e.logits(m)), 3, 1)  # type: ignore[misc]
        rows.append((f"evaluating {size}", stages * count // profile.finetune.validate_every, seconds))

    total = sum(times * seconds for _, times, seconds in rows)
    console.print(f"{machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
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
