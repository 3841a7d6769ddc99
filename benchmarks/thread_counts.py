"""How evenly threads share an epoch's sparse products, counted for 2, 4, 8 and 16; and epochs, as there are cores.

    python benchmarks/thread_counts.py                                # the embedded graph
    python benchmarks/thread_counts.py --graph kg.csv.gz
    python benchmarks/thread_counts.py --graph synthetic --scale 1.0

The share of the slowest thread is what it has of the entries as a multiple of an equal part: 1 is even, and with 2
threads 2 means that one of them does all. Rows as they stand, and dealt out by their entries (`model/shared_rows.py`).
Epochs are timed with dealing and without, in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.epochs import flykd_epoch, student_epoch, teacher_epoch
from benchmarks.measure import console, restart_as_trainer, show
from benchmarks.training import machine_with_torch, prepare, task_of
from flykd_console.graph.load import load_graph
from flykd_console.model import shared_rows
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import LinkPrediction

COUNTS = (2, 4, 8, 16)
EPOCHS = {"FlyKD student": flykd_epoch, "student": student_epoch, "teacher": teacher_epoch}


def products_of(task: LinkPrediction) -> list[torch.Tensor]:
    """Offsets of every sparse matrix that an epoch of the teacher multiplies by, the largest first."""
    met: list[torch.Tensor] = []
    product = shared_rows.SharedRows.product

    def noted(self: shared_rows.SharedRows, dense: torch.Tensor) -> torch.Tensor:
        met.append(self._parts[1])
        return product(self, dense)

    epoch = teacher_epoch(task)
    epoch()
    shared_rows.SharedRows.product = noted  # type: ignore[method-assign]
    try:
        epoch()
    finally:
        shared_rows.SharedRows.product = product  # type: ignore[method-assign]
    return sorted(met, key=lambda offsets: -int(offsets[-1]))


def shares(offsets: torch.Tensor, threads: int) -> tuple[float, float]:
    """Of the slowest thread: rows as they stand, and dealt."""
    lengths = offsets.diff()[shared_rows.dealt(offsets, threads)]
    ends = lengths.cumsum(0)
    return shared_rows.slowest_share(offsets, threads), shared_rows.slowest_share(
        torch.cat([ends.new_zeros(1), ends]), threads
    )


def timed(task: LinkPrediction, threads: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Median seconds of each epoch, rows as they stand and shared evenly, in turns."""
    torch.set_num_threads(threads)
    found = {}
    uneven = shared_rows._UNEVEN
    for name, build in EPOCHS.items():
        ways = {}
        for even in (False, True):
            shared_rows._UNEVEN = uneven if even else float("inf")
            ways[even] = build(task)
            for _ in range(8):  # both ways of a product are tried in the first six
                ways[even]()
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(repeats):
            for even, epoch in ways.items():
                begun = time.perf_counter()
                epoch()
                times[even].append(time.perf_counter() - begun)
        found[name] = statistics.median(times[False]), statistics.median(times[True])
    shared_rows._UNEVEN = uneven
    return found


def main() -> None:
    """Count, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic graph")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write what was found there, too")
    options = parser.parse_args()
    restart_as_trainer()
    profile = Profile.model_validate({"graph": {"source": options.graph, "scale": options.scale}})
    task = task_of(profile, load_graph(profile.graph))
    prepare(task.data)
    most = torch.get_num_threads()
    found: dict[str, Any] = {"shares": [], "epochs": {}}
    rows = []
    for offsets in products_of(task):
        each = [shares(offsets, count) for count in COUNTS]
        entries = int(offsets[-1])
        if entries < shared_rows._SMALL:
            continue
        found["shares"].append(
            {"entries": entries, "rows": len(offsets) - 1, "slowest": dict(zip(COUNTS, each, strict=True))}
        )
        rows.append([f"{entries:,} in {len(offsets) - 1:,} rows", *(f"{a:.2f} -> {b:.2f}" for a, b in each)])
    console.print(machine_with_torch())
    console.print(f"{options.graph}: {task.data.graph.node_count:,} nodes")
    show("Share of the slowest thread, counted", ["product", *(f"{count} threads" for count in COUNTS)], rows)
    times = []
    for count in (1, *(count for count in COUNTS if count <= most)):
        measured = timed(task, count, options.repeats)
        found["epochs"][count] = measured
        times.append([str(count), *(f"{1e3 * a:.1f} -> {1e3 * b:.1f} ms ({a / b:.2f}x)" for a, b in measured.values())])
    show("An epoch, rows as they stand -> shared evenly where that is quicker", ["threads", *EPOCHS], times)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
