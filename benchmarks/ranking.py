"""What it costs to rank one model on a graph of PrimeKG's size: heads for each test tail, and tails for each test head.

    python benchmarks/ranking.py                         # the synthetic graph at full size, d = 80
    python benchmarks/ranking.py --graph kg.csv.gz

Embeddings are drawn at random: how long ordering takes does not depend on what they say. All that does not depend on
the model (the split, pairs whose head was replaced) is prepared before.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.links import SEED, drawn, graph_options, links_of
from benchmarks.measure import console, machine, peak_gib, restart_as_trainer, show
from flykd_console.tasks.link_prediction.measure import measure
from flykd_console.tasks.link_prediction.ranking import rank_heads, rank_tails
from flykd_console.words import grouped

AIM = 2.0


def in_turns(ways: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each, all measured in turns, so that whatever else the machine does meets them alike."""
    times: list[list[float]] = [[] for _ in ways]
    for turn in range(repeats + 1):
        for way, taken in zip(ways, times, strict=True):
            start = time.perf_counter()
            way()
            if turn > 0:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def main() -> None:
    """Measure and print."""
    parser = graph_options(__doc__, repeats=9)
    parser.add_argument("--dim", type=int, default=80)
    options = parser.parse_args()
    restart_as_trainer()
    data = links_of(options)
    split, scorer = data.split, drawn(data, options.dim)
    start = time.perf_counter()
    data.replaced_heads  # noqa: B018
    prepared = time.perf_counter() - start
    before = peak_gib()

    ranked = {
        "heads for each tail": partial(rank_heads, split, "test", scorer, SEED),
        "tails for each head": partial(rank_tails, split, "test", scorer, SEED),
    }
    everything = partial(measure, data, scorer, "test")
    seconds = in_turns([*ranked.values(), everything], options.repeats)
    rows = []
    for (name, way), one in zip(ranked.items(), seconds, strict=False):
        found = way().values()
        nodes, true = (sum(counts) for counts in zip(*((len(r.nodes), int(r.true.sum())) for r in found), strict=True))
        rows.append([name, grouped(nodes), grouped(max(r.candidates for r in found)), grouped(true), f"{one:.2f} s"])
    total = seconds[0] + seconds[1]
    rows.append(["both", "", "", "", f"{total:.2f} s"])
    rows.append(["all that is measured of a part", "", "", "", f"{seconds[2]:.2f} s"])

    console.print(f"{machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    console.print(
        f"{options.graph}: {data.graph.node_count:,} nodes, {len(split.targets)} relations, d = {options.dim}"
    )
    show("Ranking the test part", ["ranked", "rankings", "candidates", "true pairs", "a model"], rows)
    console.print(f"aim {AIM:.0f} s for both directions: {'reached' if total < AIM else 'missed'}")
    console.print(f"pairs with another head, once a seed: {prepared:.2f} s; peak {before:.2f} -> {peak_gib():.2f} GiB")


if __name__ == "__main__":
    main()
