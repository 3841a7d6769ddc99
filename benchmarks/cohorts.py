"""What students cost that teach each other: an epoch of a cohort against that of others, in turn.

    python benchmarks/cohorts.py                         # the embedded graph
    python benchmarks/cohorts.py --graph kg.csv.gz       # any graph
    python benchmarks/cohorts.py --members 3

All epochs are of the curriculum's end, where every loss takes part. They are timed in turn, one of each kind after the
other, so that what else the machine does falls on all of them; the figures are medians, and the ratios those of one
round each.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.epochs import flykd_epoch, student_epoch, teacher_epoch
from benchmarks.measure import console, restart_as_trainer, show
from benchmarks.training import LEARNING_RATE, edge_count, epoch_of, machine_with_torch, prepare, task_of
from flykd_console.graph.load import load_graph
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.loops.replay import adam

WEIGHTS = {"original": 1 / 3, "pseudo_train": 1 / 3, "pseudo_random": 1 / 3}


def cohort_epoch(task: LinkPrediction) -> Callable[[], None]:
    """All members of a cohort on all three label sources."""
    specs = [spec for spec in models_of(task.profile) if spec.together]
    models = {spec.name: task.new_model(spec) for spec in specs}
    objective = task.taught_together(specs, models, [])
    parameters = [parameter for model in models.values() for parameter in model.parameters()]
    return epoch_of(objective, adam([*parameters, *objective.parameters], LEARNING_RATE), WEIGHTS)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--scale", type=float, default=0.1, help="size of the synthetic graph")
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--labels", type=int, default=100_000, help="labels per relation of the random graph")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    restart_as_trainer()
    tables = {
        "graph": {"source": options.graph, "scale": options.scale},
        "distill": {"random_graph": {"labels_per_relation": options.labels}},
    }
    members: dict[str, Any] = {"mutual": {"members": {f"member-{n}": {} for n in range(1, options.members + 1)}}}
    graph = load_graph(Profile.model_validate(tables).graph)
    single = task_of(Profile.model_validate(tables), graph)
    together = task_of(Profile.model_validate(tables | members), graph)
    prepare(single.data)
    prepare(together.data)
    epochs = {
        "a student that learns from a teacher (FlyKD)": flykd_epoch(single),
        "a student alone (baseline)": student_epoch(single),
        "the teacher": teacher_epoch(single),
        f"a cohort of {options.members}": cohort_epoch(together),
    }
    seconds = timed_in_turn(epochs, options.repeats)
    student, baseline, teacher, cohort = seconds.values()
    console.print(machine_with_torch())
    console.print(
        f"{graph.source}: {graph.node_count:,} nodes, {edge_count(single.data):,} training edges with reverses; "
        f"k = {options.labels:,}"
    )
    rows = [[name, f"{1e3 * statistics.median(found):.1f} ms"] for name, found in seconds.items()]
    show("Seconds per epoch", ["epoch", "median"], rows)
    run = [sum(three) for three in zip(student, baseline, teacher, strict=True)]
    against = {
        "one student's epoch (FlyKD)": student,
        "one baseline's epoch": baseline,
        "teacher + baseline + student": run,
    }
    show(
        f"A cohort of {options.members}, in so many times",
        ["what", "times"],
        [[name, f"{ratio(cohort, other):.2f}"] for name, other in against.items()],
    )


def timed_in_turn(epochs: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Seconds of some epochs of each kind, one after the other in every round, after two rounds that warm up."""
    found: dict[str, list[float]] = {name: [] for name in epochs}
    for turn in range(repeats + 2):
        for name, epoch in epochs.items():
            begun = time.perf_counter()
            epoch()
            if turn >= 2:
                found[name].append(time.perf_counter() - begun)
    return found


def ratio(these: list[float], those: list[float]) -> float:
    """The median over the rounds of one time in another."""
    return statistics.median(a / b for a, b in zip(these, those, strict=True))


if __name__ == "__main__":
    main()
