"""What it costs to rank all pairs of every relation together, for a model and for the scorers without training.

    python benchmarks/matrix.py                          # the synthetic graph at full size, d = 80
    python benchmarks/matrix.py --graph kg.csv.gz

Embeddings are drawn at random. The peak is that of everything so far, so it can only grow from row to row.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.links import drawn, graph_options, links_of
from benchmarks.measure import console, machine, peak_gib, restart_as_trainer, show
from flykd_console.heuristics.find import heuristic
from flykd_console.profile.sections import HEURISTICS
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.matrix import rank_matrix
from flykd_console.tasks.link_prediction.measure import measure
from flykd_console.tasks.link_prediction.scorers import HeuristicScorer, Scorer


def seconds_of(data: LinkData, scorer: Scorer, repeats: int) -> tuple[float, float, float]:
    """Median wall and processor seconds of the matrix, and wall seconds of all else that a run measures of a scorer."""
    walls, cores, others = [], [], []
    for _ in range(repeats):
        wall, core = time.perf_counter(), time.process_time()
        rank_matrix(data.graph, data.split, "test", scorer, data.seed)
        walls.append(time.perf_counter() - wall)
        cores.append(time.process_time() - core)
        wall = time.perf_counter()
        for part in ("validation", "test"):
            measure(data, scorer, part)
        others.append(time.perf_counter() - wall)
    return statistics.median(walls), statistics.median(cores), statistics.median(others)


def main() -> None:
    """Measure and print."""
    parser = graph_options(__doc__, repeats=3)
    parser.add_argument("--dim", type=int, default=80)
    options = parser.parse_args()
    restart_as_trainer()
    data = links_of(options)
    data.replaced_heads  # noqa: B018
    before = peak_gib()
    rows, together = [], 0.0
    for name in (f"a model, d = {options.dim}", *HEURISTICS):
        trained = name not in HEURISTICS
        scorer = drawn(data, options.dim) if trained else HeuristicScorer(heuristic(name, data.training))
        wall, core, other = seconds_of(data, scorer, options.repeats)
        together += 0.0 if trained else wall
        rows.append([name, f"{wall:.2f} s", f"{core:.2f} s", f"{other:.2f} s", f"{peak_gib():.2f} GiB"])
    rows.append(["scorers without training together", f"{together:.2f} s", "", "", ""])
    pairs = len(data.split.linked(data.targets.head)) * len(data.split.linked(data.targets.tail))
    console.print(f"{machine()}, {torch.get_num_threads()} threads")
    console.print(
        f"{options.graph}: {len(data.targets)} relations of {pairs:,} pairs each; peak before {before:.2f} GiB"
    )
    show("The whole matrix", ["scorer", "on the clock", "processor", "all else that is measured", "peak"], rows)


if __name__ == "__main__":
    main()
