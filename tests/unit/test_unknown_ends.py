"""The log counts test pairs of which the model knows one end nothing, and names twins of ids where these explain it."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch

from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.words import opening
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph


def said(graph: KnowledgeGraph, level: str) -> list[str]:
    profile = Profile()
    data = LinkData(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))
    return [line for line, its_level in opening(data) if its_level == level and "no training edge leads" in line]


def spelt_twice(graph: KnowledgeGraph) -> KnowledgeGraph:
    """Ids of diseases are whole numbers in drug edges, and fractions everywhere else."""
    count = graph.count("disease")
    ids = [str(1000 + row) for row in range(count)] + [f"{1000 + row}.0" for row in range(count)]
    edges = {}
    for edge_type, (heads, tails) in graph.edges.items():
        if edge_type in (INDICATION, CONTRAINDICATION):
            edges[edge_type] = heads, tails
        else:
            moved = (
                nodes + count * (kind == "disease")
                for nodes, kind in ((heads, edge_type.head), (tails, edge_type.tail))
            )
            first, second = moved
            edges[edge_type] = first, second
    nodes = {**graph.nodes, "disease": pl.DataFrame({"id": ids, "name": [f"disease {i}" for i in ids]})}
    return KnowledgeGraph(nodes, edges, "small")


def test_ids_under_two_spellings_are_warned_of_with_counts_and_twins() -> None:
    graph = spelt_twice(small_graph())
    lines = said(graph, "warning")
    assert len(lines) == 2
    for line, target in zip(lines, ("contraindication", "indication"), strict=True):
        assert line.startswith(f"{target}: ")
        count, total = line.split(": ")[1].split(" test pairs")[0].split(" of ")
        assert count == total
        assert "have a disease that no training edge leads to: the model knows nothing of it" in line
    data = LinkData(Profile(), graph, graph.targets(Profile().graph.targets), 45, torch.device("cpu"))
    twins = [line for line, level in opening(data) if level == "warning" and "spellings" in line]
    assert twins == [
        "60 times several disease nodes look like one under different spellings of its id, such as '1000' and "
        "'1000.0': flykd-console graph info small"
    ]


def test_a_few_pairs_of_unknown_ends_are_information() -> None:
    graph = small_graph()
    alone = graph.nodes["drug"].vstack(pl.DataFrame({"id": ["DR9999"], "name": ["lonely"]}))
    heads, tails = graph.edges[CONTRAINDICATION]
    found: list[str] = []
    for tail in range(60):
        # The lonely drug's one edge is tested where its disease is.
        edges = {**graph.edges, CONTRAINDICATION: (np.append(heads, 40), np.append(tails, tail))}
        more = KnowledgeGraph({**graph.nodes, "drug": alone}, edges, "small")
        found += said(more, "info")
        if found:
            break
    (line,) = found
    assert line.startswith("contraindication: 1 of ")
    assert "have a drug that no training edge leads to" in line
    assert said(more, "warning") == []


def test_nothing_is_said_where_every_end_is_known() -> None:
    assert said(small_graph(), "info") + said(small_graph(), "warning") == []
