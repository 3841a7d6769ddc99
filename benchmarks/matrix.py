"""What it costs to rank all pairs of every relation together, for a model and for the scorers without training.

    python benchmarks/matrix.py                          # the synthetic graph at full size, d = 80
    python benchmarks/matrix.py --graph kg.csv.gz

Embeddings are drawn at random. The peak is that of everything so far, so it can only grow from row to row.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.measure import console, machine, peak_gib, restart_as_trainer, show
from benchmarks.ranking import drawn
from flykd_console.graph.load import load_graph
from flykd_console.heuristics.find import heuristic
from flykd_console.profile.schema import Profile
from flykd_console.profile.sections import HEURISTICS
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.matrix import rank_matrix
from flykd_console.tasks.link_prediction.measure import measure
from flykd_console.tasks.link_prediction.scorers import HeuristicScorer, Scorer

SEED = 45


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="synthetic")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic graph")
    parser.add_argument("--dim", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    restart_as_trainer()
    profile = Profile.model_validate({"graph": {"source": options.graph, "scale": options.scale}})
    graph = load_graph(profile.graph)
    data = LinkData(profile, graph, graph.targets(profile.graph.targets), SEED, torch.device("cpu"))
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
