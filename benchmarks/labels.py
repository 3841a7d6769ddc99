"""What a label costs, and that their number costs no memory: the three samplers of random graphs, one relation's pairs.

    python benchmarks/labels.py                          # the embedded graph
    python benchmarks/labels.py --graph kg.csv.gz --labels 1e5 1e6 1e8

`pairs` draws and lists each label; `blocks` labels m heads with n tails; `exact` takes the expectation over all random
graphs, whatever their number. The baseline is the first number of labels, drawn as `pairs`. Each case runs in a
process of its own; "extra" is its peak memory above what it held before its first epoch.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, machine, show

_CASE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import torch
from benchmarks.measure import median_seconds
from flykd_console.distill.labels.sources import losses
from flykd_console.distill.pairs.pair_space import SoftLabels
from flykd_console.distill.labels.random_graph import RandomBlocks, RandomGraphs
from flykd_console.graph.load import load_graph
from flykd_console.profile.schema import Profile
from flykd_console.training.loops.distill import label_sources
from flykd_console.training.resources import peak_bytes, reset_peak
from flykd_console.tasks.link_prediction.task import Task
sampler, labels = sys.argv[3], int(float(sys.argv[4]))
random = {"sampler": sampler, "labels_per_relation": labels}
profile = Profile.model_validate({"graph": {"source": sys.argv[2]}, "distill": {"random_graph": random}})
graph = load_graph(profile.graph)
task = Task(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))
teacher, student = task.new_model("teacher"), task.new_model("student")
encode = task.training_encoder(student)
with torch.no_grad():
    soft = SoftLabels(task.space, task.training_encoder(teacher)(teacher))
draw = {name: task.generator(name) for name in ("negatives", "pseudo_negatives", "random_graph")}
settings = profile.distill.random_graph
graphs = (RandomGraphs if sampler == "pairs" else RandomBlocks)(task.space, settings, draw["random_graph"])
source = label_sources(task, soft, graphs, draw)["pseudo_random"]
def epoch():
    losses(task.space, encode(student), {"pseudo_random": source}, {"pseudo_random": 1.0}, 0)["total"].backward()
reset_peak()
before = peak_bytes()
seconds = median_seconds(epoch, 3 if labels > 10**7 else 9, 1)
print(json.dumps({"seconds": seconds, "extra": (peak_bytes() - before) / 2**20}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--labels", type=float, nargs="+", default=[1e5, 1e6, 1e8])
    options = parser.parse_args()
    from flykd_console.runs.spawn import worker_environment

    root = str(Path(__file__).resolve().parents[1])
    # Not the trainer's thresholds: memory that is freed is given back, so that the peak is what an epoch needs.
    environment = {k: v for k, v in worker_environment().items() if not k.startswith("MALLOC_")}
    source = options.graph if options.graph == "embedded" else str(Path(options.graph).absolute())

    def measured(sampler: str, labels: float) -> dict[str, float]:
        command = [sys.executable, "-c", _CASE, root, source, sampler, str(labels)]
        output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        result: dict[str, float] = json.loads(output.splitlines()[-1])
        return result

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
