"""What the rows of scorers without training cost: all that a run measures of them, on a graph of PrimeKG's size.

    python benchmarks/heuristics.py                      # the synthetic graph at full size
    python benchmarks/heuristics.py --graph kg.csv.gz

Each scorer is made anew, and measured on validation and test as a run does it: stored pairs, pairs whose head was
replaced, heads ranked for each tail and tails for each head. What all models share (split, those pairs) is made before.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.links import graph_options, links_of
from benchmarks.measure import console, machine, peak_gib, restart_as_trainer, show
from flykd_console.heuristics.find import heuristic
from flykd_console.profile.sections import HEURISTICS
from flykd_console.tasks.link_prediction import names
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.measure import measure
from flykd_console.tasks.link_prediction.ranking import rank_heads, rank_tails
from flykd_console.tasks.link_prediction.scorers import HeuristicScorer

AIM_SECONDS, AIM_GIB = 20.0, 2.0


def seconds_of(data: LinkData, name: str) -> tuple[float, float, float]:
    """Seconds of a fresh scorer: all that is measured, and, of another one, heads and tails ranked."""
    begun = time.perf_counter()
    scorer = HeuristicScorer(heuristic(name, data.training))
    for part in names.SCORED:
        measure(data, scorer, part)
    everything = time.perf_counter() - begun

    scorer = HeuristicScorer(heuristic(name, data.training))
    taken = []
    for way in (rank_heads, rank_tails):
        begun = time.perf_counter()
        for part in names.SCORED:
            way(data.split, part, scorer, data.seed)
        taken.append(time.perf_counter() - begun)
    return everything, taken[0], taken[1]


def main() -> None:
    """Measure and print."""
    parser = graph_options(__doc__, repeats=3)
    options = parser.parse_args()
    restart_as_trainer()
    data = links_of(options)
    data.replaced_heads  # noqa: B018
    before = peak_gib()

    turns = [{name: seconds_of(data, name) for name in HEURISTICS} for _ in range(options.repeats)]
    rows, total = [], 0.0
    for name in HEURISTICS:
        everything, heads, tails = (statistics.median(turn[name][i] for turn in turns) for i in range(3))
        total += everything
        rows.append([name, f"{everything:.2f} s", f"{heads:.2f} s", f"{tails:.2f} s"])
    rows.append(["together", f"{total:.2f} s", "", ""])

    console.print(f"{machine()}, {torch.get_num_threads()} threads")
    console.print(f"{options.graph}: {data.graph.node_count:,} nodes, {len(data.targets)} relations")
    show("Validation and test", ["scorer", "all that is measured", "heads ranked", "tails ranked"], rows)
    reached = total < AIM_SECONDS and peak_gib() < AIM_GIB
    console.print(f"peak {before:.2f} -> {peak_gib():.2f} GiB")
    console.print(f"aim {AIM_SECONDS:.0f} s and {AIM_GIB:.0f} GiB: {'reached' if reached else 'missed'}")


if __name__ == "__main__":
    main()
