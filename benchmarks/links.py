"""What benchmarks of rankings measure on: the links of a graph, prepared as a run does, and a model of them."""

from __future__ import annotations

import argparse

import torch

from flykd_console.graph.load import load_graph
from flykd_console.model.encoded import Encoded
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.scorers import EmbeddingScorer

SEED = 45


def graph_options(about: str | None, repeats: int) -> argparse.ArgumentParser:
    """The options that these benchmarks share; `about`: the benchmark's own words."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="synthetic")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic graph")
    parser.add_argument("--repeats", type=int, default=repeats)
    return parser


def links_of(options: argparse.Namespace) -> LinkData:
    """One seed's links of the graph that the options name, on the CPU."""
    profile = Profile.model_validate({"graph": {"source": options.graph, "scale": options.scale}})
    graph = load_graph(profile.graph)
    return LinkData(profile, graph, graph.targets(profile.graph.targets), SEED, torch.device("cpu"))


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
