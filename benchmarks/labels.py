"""What a label costs, and that their number costs no memory: the three samplers of random graphs, one relation's pairs.

    python benchmarks/labels.py                          # the embedded graph
    python benchmarks/labels.py --graph kg.csv.gz --labels 1e5 1e6 1e8

`pairs` draws and lists each label; `blocks` labels m heads with n tails; `exact` takes the expectation over all random
graphs, whatever their number. The baseline is the first number of labels, drawn as `pairs`. Each case runs in a
process of its own; "extra" is its peak memory above what it held before its first epoch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, in_child, machine, median_seconds, show
from benchmarks.training import task_of
from flykd_console.graph.load import load_graph
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.training.resources import peak_bytes, reset_peak


def measure(source: str, sampler: str, labels: str) -> dict[str, float]:
    """Seconds of an epoch of pseudo labels alone, without an optimiser, and the MiB that it needs."""
    count = int(float(labels))
    random_graph = {"sampler": sampler, "labels_per_relation": count}
    profile = Profile.model_validate({"graph": {"source": source}, "distill": {"random_graph": random_graph}})
    task = task_of(profile, load_graph(profile.graph))
    teacher, _, student = models_of(profile)
    model = task.new_model(student)
    objective = task.distilled(student, model, [task.new_model(teacher)], lambda *_: None)
    reset_peak()
    before = peak_bytes() or 0

    def epoch() -> None:
        objective(0, {"pseudo_random": 1.0})["total"].backward()

    seconds = median_seconds(epoch, 3 if count > 10**7 else 9, 1)
    return {"seconds": seconds, "extra": ((peak_bytes() or 0) - before) / 2**20}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--labels", type=float, nargs="+", default=[1e5, 1e6, 1e8])
    options = parser.parse_args()
    source = options.graph if options.graph == "embedded" else str(Path(options.graph).absolute())

    def measured(sampler: str, labels: float) -> dict[str, float]:
        return in_child(measure, source, sampler, str(labels), keep_freed=False)

    cases = [("pairs", n) for n in options.labels if n <= 1e7] + [("blocks", n) for n in options.labels]
    found = {case: measured(*case) for case in cases}
    exact = measured("exact", 1)
    baseline = found["pairs", options.labels[0]]["seconds"]
    rows = [
        [
            f"{sampler}, {labels:,.0f} a relation",
            f"{1e3 * case['seconds']:.0f} ms",
            f"{case['seconds'] / baseline:.1f}x",
            f"{1e9 * case['seconds'] / (2 * labels):.1f} ns",
            f"{case['extra']:.0f} MiB",
        ]
        for (sampler, labels), case in found.items()
    ]
    rows.append(
        [
            "exact",
            f"{1e3 * exact['seconds']:.0f} ms",
            f"{exact['seconds'] / baseline:.1f}x",
            "",
            f"{exact['extra']:.0f} MiB",
        ]
    )
    console.print(f"{machine()}\n{options.graph}")
    show("An epoch of pseudo labels alone", ["sampler", "epoch", "of the first", "a label", "extra memory"], rows)


if __name__ == "__main__":
    main()
