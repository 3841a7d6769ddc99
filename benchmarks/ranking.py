"""What it costs to rank one model on a graph of PrimeKG's size: heads for each test tail, and tails for each test head.

    python benchmarks/ranking.py                         # the synthetic graph at full size, d = 80
    python benchmarks/ranking.py --graph kg.csv.gz

Embeddings are drawn at random: how long ordering takes does not depend on what they say. All that does not depend on
the model (the split, pairs whose head was replaced) is prepared before.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.measure import console, machine, median_seconds, peak_gib, restart_as_trainer, show
from flykd_console.graph.load import load_graph
from flykd_console.model.link_encoder import Encoded
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.measure import measure
from flykd_console.tasks.link_prediction.ranking import rank_heads, rank_tails
from flykd_console.tasks.link_prediction.scorers import EmbeddingScorer
from flykd_console.words import grouped

SEED = 45
AIM = 2.0


def drawn(data: LinkData, dim: int) -> EmbeddingScorer:
    """A model of random embeddings."""
    rng = torch.Generator().manual_seed(0)
    heads, tails = data.node_counts[data.targets.head], data.node_counts[data.targets.tail]
    names = [target.relation for target in data.targets]
    return EmbeddingScorer(
        Encoded(
            head=torch.randn(heads, dim, generator=rng),
            tails={name: torch.randn(tails, dim, generator=rng) for name in names},
            relation={name: torch.randn(dim, generator=rng) for name in names},
            tail=torch.randn(tails, dim, generator=rng),
        )
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="synthetic")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic graph")
    parser.add_argument("--dim", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    restart_as_trainer()
    profile = Profile.model_validate({"graph": {"source": options.graph, "scale": options.scale}})
    graph = load_graph(profile.graph)
    data = LinkData(profile, graph, graph.targets(profile.graph.targets), SEED, torch.device("cpu"))
    split, scorer = data.split, drawn(data, options.dim)
    start = time.perf_counter()
    data.replaced_heads  # noqa: B018
    prepared = time.perf_counter() - start
    before = peak_gib()

    ways = {
        "heads for each tail": partial(rank_heads, split, "test", scorer, SEED),
        "tails for each head": partial(rank_tails, split, "test", scorer, SEED),
    }
    rows, total = [], 0.0
    for name, way in ways.items():
        found = way()
        total += (seconds := median_seconds(way, options.repeats, warmup=1))
        asked = sum(len(ranked.nodes) for ranked in found.values())
        true = sum(int(ranked.true.sum()) for ranked in found.values())
        most = max(ranked.candidates for ranked in found.values())
        rows.append([name, grouped(asked), grouped(most), grouped(true), f"{seconds:.2f} s"])
    rows.append(["both", "", "", "", f"{total:.2f} s"])
    whole = median_seconds(partial(measure, data, scorer, "test"), options.repeats, warmup=1)
    rows.append(["all that is measured of a part", "", "", "", f"{whole:.2f} s"])

    console.print(f"{machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    console.print(f"{options.graph}: {graph.node_count:,} nodes, {len(split.targets)} relations, d = {options.dim}")
    show("Ranking the test part", ["ranked", "rankings", "candidates", "true pairs", "a model"], rows)
    console.print(f"aim {AIM:.0f} s for both directions: {'reached' if total < AIM else 'missed'}")
    console.print(f"pairs with another head, once a seed: {prepared:.2f} s; peak {before:.2f} -> {peak_gib():.2f} GiB")


if __name__ == "__main__":
    main()
