"""How time and memory grow with the graph: an epoch of each kind at several scales of the synthetic graph.

    python benchmarks/growth.py                              # 0.01, 0.1, 0.3 and 1.0 of PrimeKG's size
    python benchmarks/growth.py --scales 0.1 1 4             # 4: 32 million rows both ways

Each scale runs in a process of its own, so that its peak memory is its own: reading the kept graph, splitting,
preparing both models and training. Generating the graph is done before, in another. A scale's baseline is the one
before it: time per edge grows where more edges take more than their share of it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, in_child, machine, show

_TOLERANCE = 1.15  # of time per edge, for the unevenness of short measurements
KINDS = {
    "teacher": "teacher finetune",
    "student": "student finetune",
    "flykd": "FlyKD student, teacher run once",
}
_MAKE = """
import sys, time, torch
from benchmarks.measure import peak_gib
from flykd_console.graph.load import load_graph
from flykd_console.profile.schema import Profile
start = time.perf_counter()
load_graph(Profile.model_validate({"graph": {"source": "synthetic", "scale": float(sys.argv[1])}}).graph)
import json
print(json.dumps({"seconds": time.perf_counter() - start, "peak": peak_gib()}))
"""
_CASE = """
import json, sys, torch
from benchmarks.epochs import Bench
from benchmarks.growth import KINDS
from benchmarks.measure import median_seconds, peak_gib
from flykd_console.graph.load import load_graph
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import Task
profile = Profile.model_validate({"graph": {"source": "synthetic", "scale": float(sys.argv[1])}})
graph = load_graph(profile.graph)
task = Task(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))
edges = sum(len(heads) for heads, _ in task.messages.edges.values())
epochs = Bench(task, "auto").epochs()
result = {key: median_seconds(epochs[name], int(sys.argv[2])) for key, name in KINDS.items()}
print(json.dumps(result | {"edges": edges, "nodes": graph.node_count, "peak": peak_gib()}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scales", type=float, nargs="+", default=[0.01, 0.1, 0.3, 1.0])
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    found = []
    made = {}
    for scale in sorted(options.scales):
        made[scale] = in_child(_MAKE, str(scale))
        found.append((scale, in_child(_CASE, str(scale), str(options.repeats))))
    console.print(f"{machine()}\nsynthetic graph, teacher 130, student 80, k = 100,000")
    show(
        "An epoch",
        ["scale", "nodes", "edges, both ways", *KINDS, "peak GiB"],
        [
            [
                f"{scale:g}",
                f"{case['nodes']:,.0f}",
                f"{case['edges']:,.0f}",
                *(f"{1e3 * case[kind]:.1f} ms" for kind in KINDS),
                f"{case['peak']:.2f}",
            ]
            for scale, case in found
        ],
    )
    previous = [None, *(case for _, case in found)]
    rows = []
    for (scale, case), before in zip(found, previous, strict=False):
        per_edge = {kind: case[kind] / case["edges"] for kind in (*KINDS, "peak")}
        grows = [k for k in per_edge if before is not None and per_edge[k] > _TOLERANCE * before[k] / before["edges"]]
        verdict = "" if before is None else f"faster than the edges: {', '.join(grows)}" if grows else "no faster"
        rows.append(
            [
                f"{scale:g}",
                *(f"{1e9 * per_edge[kind]:.1f} ms" for kind in KINDS),
                f"{1e6 * per_edge['peak']:.2f} GiB",
                verdict,
            ]
        )
    show("For a million edges", ["scale", *KINDS, "peak", "grows"], rows)
    show(
        "Generating it, or reading it where it was kept",
        ["scale", "seconds", "peak GiB"],
        [[f"{scale:g}", f"{case['seconds']:.1f}", f"{case['peak']:.2f}"] for scale, case in made.items()],
    )


if __name__ == "__main__":
    main()
