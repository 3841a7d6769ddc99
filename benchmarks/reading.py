"""From a file to ready-to-train, the first time and from the cache; the baseline is pandas reading the file.

    python benchmarks/reading.py kg.csv.gz

Ready to train: graph, split, message graph, disease pooling and the teacher's prepared propagation. Each case runs in a
process of its own, with a cache folder of its own, and includes importing what it uses.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, machine, show

_READY = """
import json, resource, sys, time
start = time.perf_counter()
import torch
from flykd_console.graph.load import load_graph
from flykd_console.profile import Profile
from flykd_console.training.task import Task
imported = time.perf_counter()
profile = Profile.model_validate({"graph": {"source": sys.argv[1]}})
graph = load_graph(profile.graph)
graph.fingerprint
read = time.perf_counter()
task = Task(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))
task.pooling
model = task.new_model("teacher")
task.training_encoder(model)
end = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"import": imported - start, "read": read - imported, "prepare": end - read, "peak": peak}))
"""
_PANDAS = """
import json, resource, sys, time
start = time.perf_counter()
import pandas
imported = time.perf_counter()
columns = ["relation", "x_id", "x_type", "x_name", "y_id", "y_type", "y_name"]
pandas.read_csv(sys.argv[1], usecols=columns, dtype=str)
end = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"import": imported - start, "read": end - imported, "prepare": 0.0, "peak": peak}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph")
    options = parser.parse_args()
    from flykd_console.runs.spawn import worker_environment

    root = str(Path(__file__).resolve().parents[1])
    with tempfile.TemporaryDirectory() as cache:
        environment = worker_environment() | {"FLYKD_CACHE": cache, "PYTHONPATH": root}

        def measured(code: str) -> dict[str, float]:
            output = subprocess.run(
                [sys.executable, "-c", code, os.path.abspath(options.graph)],
                env=environment,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
            result: dict[str, float] = json.loads(output.splitlines()[-1])
            return result

        # The file is in the page cache for every case after this one.
        cases = {
            "pandas, reading alone": measured(_PANDAS),
            "first time": measured(_READY),
            "from the cache": measured(_READY),
        }
    baseline = cases["pandas, reading alone"]["read"]
    console.print(f"{machine()}\n{options.graph}")
    show(
        "Seconds from file to ready-to-train",
        ["case", "imports", "reading", "preparing", "reading + preparing", "pandas takes", "peak GiB"],
        [
            [
                name,
                f"{case['import']:.2f}",
                f"{case['read']:.2f}",
                f"{case['prepare']:.2f}",
                f"{case['read'] + case['prepare']:.2f}",
                f"{baseline / (case['read'] + case['prepare']):.1f}x as long",
                f"{case['peak']:.2f}",
            ]
            for name, case in cases.items()
        ],
    )


if __name__ == "__main__":
    main()
