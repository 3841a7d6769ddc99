"""How time and memory grow with the graph: an epoch of each kind at several scales of the synthetic graph.

    python benchmarks/growth.py                              # 0.03, 0.1, 0.3 and 1.0 of PrimeKG's size
    python benchmarks/growth.py --scales 0.1 1 4             # 4: 32 million rows both ways

Each scale runs in a process of its own, so that its peak memory is its own: reading the kept graph, splitting, and
preparing and training one model after the other. Generating the graph is done before, in another. A scale's baseline
is the one before it: time per edge grows where more edges take more than their share of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.epochs import flykd_epoch, student_epoch, teacher_epoch
from benchmarks.measure import console, in_child, machine, median_seconds, peak_gib, show
from benchmarks.training import edge_count, task_of
from flykd_console.graph.load import load_graph
from flykd_console.profile.schema import Profile

_TOLERANCE = 1.15  # of time per edge, for the unevenness of short measurements
KINDS = {"teacher": teacher_epoch, "student": student_epoch, "flykd": flykd_epoch}


def profile_of(scale: str) -> Profile:
    """The synthetic graph at a scale."""
    return Profile.model_validate({"graph": {"source": "synthetic", "scale": float(scale)}})


def make(scale: str) -> dict[str, float]:
    """Seconds and peak memory of generating the graph, or of reading it where it was kept."""
    start = time.perf_counter()
    load_graph(profile_of(scale).graph)
    return {"seconds": time.perf_counter() - start, "peak": peak_gib()}


def measure(scale: str, repeats: str) -> dict[str, float]:
    """Seconds of an epoch of each kind, peak memory, and the graph's size."""
    profile = profile_of(scale)
    graph = load_graph(profile.graph)
    task = task_of(profile, graph)
    found = {kind: median_seconds(build(task), int(repeats)) for kind, build in KINDS.items()}
    return found | {"edges": edge_count(task.data), "nodes": graph.node_count, "peak": peak_gib()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scales", type=float, nargs="+", default=[0.03, 0.1, 0.3, 1.0])
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    found = []
    made = {}
    for scale in sorted(options.scales):
        made[scale] = in_child(make, str(scale))
        found.append((scale, in_child(measure, str(scale), str(options.repeats))))
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
