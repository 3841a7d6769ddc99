"""A tiny drug-disease graph with structure enough to train on in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs

INDICATION = EdgeType("drug", "indication", "disease")
CONTRAINDICATION = EdgeType("drug", "contraindication", "disease")


def small_graph(drugs: int = 40, diseases: int = 60, proteins: int = 50, seed: int = 0) -> KnowledgeGraph:
    """Three node types, two target relations, and the two profile relations of disease pooling."""
    rng = np.random.default_rng(seed)
    sizes = {"drug": drugs, "disease": diseases, "gene/protein": proteins}

    def some(head: str, tail: str, count: int) -> Pairs:
        flat = rng.choice(sizes[head] * sizes[tail], size=count, replace=False)
        return flat // sizes[tail], flat % sizes[tail]

    edges = {
        INDICATION: some("drug", "disease", 150),
        CONTRAINDICATION: some("drug", "disease", 260),
        EdgeType("drug", "drug_protein", "gene/protein"): some("drug", "gene/protein", 120),
        EdgeType("gene/protein", "disease_protein", "disease"): some("gene/protein", "disease", 200),
        EdgeType("gene/protein", "protein_protein", "gene/protein"): some("gene/protein", "gene/protein", 150),
        EdgeType("disease", "disease_disease", "disease"): some("disease", "disease", 60),
    }
    nodes = {
        name: pl.DataFrame(
            {"id": [f"{name[:2].upper()}{i:04d}" for i in range(n)], "name": [f"{name} {i}" for i in range(n)]}
        )
        for name, n in sizes.items()
    }
    return KnowledgeGraph(nodes=nodes, edges=edges, source="small")


def kin_graph(seed: int = 0) -> KnowledgeGraph:
    """The tiny graph with labels that something says something of: kin share drugs, and some drugs are popular."""
    graph = small_graph(seed=seed)
    rng = np.random.default_rng(seed + 1)
    kin = np.arange(60) // 15
    edges = dict(graph.edges)
    firsts = np.arange(60)
    edges[EdgeType("disease", "disease_disease", "disease")] = firsts, kin * 15 + (firsts + 1) % 15
    for number, target in enumerate((INDICATION, CONTRAINDICATION)):
        likely = np.where(kin[None, :] == (np.arange(40) % 4)[:, None], 1.0, 0.05)
        likely *= 1.0 / (1.0 + (np.arange(40)[:, None] + 7 * number) % 40)
        flat = rng.choice(likely.size, size=(150, 260)[number], replace=False, p=(likely / likely.sum()).ravel())
        edges[target] = flat // 60, flat % 60
    return KnowledgeGraph(nodes=graph.nodes, edges=edges, source="kin")


def write_kg_csv(graph: KnowledgeGraph, path: Path) -> Path:
    """The graph in PrimeKG's twelve-column form, both directions."""
    frames = []
    for edge_type, (heads, tails) in graph.edges.items():
        ends: dict[str, object] = {}
        for side, node_type, index in (("x", edge_type.head, heads), ("y", edge_type.tail, tails)):
            table = graph.nodes[node_type]
            ends |= {
                f"{side}_index": index,
                f"{side}_id": table["id"].gather(index),
                f"{side}_type": [node_type] * len(index),
                f"{side}_name": table["name"].gather(index),
                f"{side}_source": ["test"] * len(index),
            }
        labels = {"relation": [edge_type.relation] * len(heads), "display_relation": [edge_type.relation] * len(heads)}
        frame = pl.DataFrame(labels | ends)
        swapped = frame.rename({c: ("y" if c[0] == "x" else "x") + c[1:] for c in ends}).select(frame.columns)
        frames += [frame, swapped]
    pl.concat(frames).write_csv(path)
    return path
