"""Diseases that are not in the graph: how well their drugs are ranked by profile alone, against the same ones inside.

    python benchmarks/unseen.py --graph kg.csv.gz --diseases 200

Two students of `--profile` are trained on the same labels. For one the diseases, with every edge of theirs, are taken
out of the graph, and are asked for afterwards by what the graph had said of them (`score --profile`). For the other they
stay, without a label (`split.kind = "disease"`). Some further diseases are the test of both: what the two trainings
differ by for other reasons. AP is over all drugs, by disease and relation, and a drug that is not listed counts as last.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import polars as pl

from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs, Targets
from flykd_console.graph.load import load_graph
from flykd_console.profile.load import load_profile
from flykd_console.seeding import numpy_rng

_HERE = Path(__file__).resolve().parents[1]
# Diseases that both trainings test.
_CONTROLS = 20


def chosen_tails(graph: KnowledgeGraph, targets: Targets, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Rows of tails with a label that are taken out, and of those that both trainings test, drawn at random."""
    labelled = np.unique(np.concatenate([graph.edges[target][1] for target in targets]))
    drawn = numpy_rng(seed, "benchmarks/unseen").permutation(labelled)
    out, controls = drawn[:count], drawn[count : count + _CONTROLS]
    return sorted(out.tolist()), sorted(controls.tolist())


def without(graph: KnowledgeGraph, node_type: str, rows: Sequence[int]) -> KnowledgeGraph:
    """The graph without some nodes of a type and every edge of theirs."""
    kept = np.ones(graph.count(node_type), dtype=bool)
    kept[list(rows)] = False
    place = np.cumsum(kept) - 1
    edges: dict[EdgeType, Pairs] = {}
    for edge_type, ends in graph.edges.items():
        there = np.ones(len(ends[0]), dtype=bool)
        for kind, side in zip((edge_type.head, edge_type.tail), ends, strict=True):
            if kind == node_type:
                there &= kept[side]
        kinds = (edge_type.head, edge_type.tail)
        moved = [place[side[there]] if kind == node_type else side[there] for kind, side in zip(kinds, ends, strict=True)]
        edges[edge_type] = (moved[0], moved[1])
    nodes = dict(graph.nodes) | {node_type: graph.nodes[node_type].filter(pl.Series(kept))}
    return KnowledgeGraph(nodes, edges, graph.source)


def write(graph: KnowledgeGraph, path: Path) -> None:
    """The graph in kg form, one direction of every edge."""
    frames = []
    for edge_type, ends in graph.edges.items():
        columns: dict[str, object] = {"relation": [edge_type.relation] * len(ends[0])}
        for side, kind, rows in zip("xy", (edge_type.head, edge_type.tail), ends, strict=True):
            table = graph.nodes[kind]
            columns |= {f"{side}_id": table["id"].gather(rows), f"{side}_type": [kind] * len(rows)}
            columns |= {f"{side}_name": table["name"].gather(rows)}
        frames.append(pl.DataFrame(columns))
    pl.concat(frames).write_parquet(path)


def trained(graph: Path, diseases: Sequence[str], options: argparse.Namespace, name: str) -> Path:
    """The bundle of a student of the profile whose test are these diseases, by id."""
    from flykd_console.api import load, train

    settings: dict[str, object] = {"split.kind": "disease", "split.diseases": list(diseases), "engine.threads": 1}
    settings |= {"evaluation.heuristics": []}
    if options.epochs:
        settings["distill.epochs"] = options.epochs
    place = Path("runs") / name
    if not (place / "results.json").is_file():
        run = train(options.profile, seeds=[options.seed], graph=graph, device="cpu", name=name, settings=settings)
        run.path.rename(place)
    run = load(place)
    return run.bundle or run.export().path


def main() -> None:
    """Train, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--profile", default="best")
    parser.add_argument("--diseases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=45)
    parser.add_argument("--epochs", type=int, help="of the student; default: the profile's")
    parser.add_argument("--folder", type=Path, help="keep graphs, runs and bundles here, and use those that are there")
    options = parser.parse_args()
    settings = load_profile(options.profile, [f"graph.source={json.dumps(options.graph)}"]).graph
    graph = load_graph(settings)
    targets = graph.targets(settings.targets)
    out, controls = chosen_tails(graph, targets, options.diseases, options.seed)
    ids = graph.ids(targets.tail)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        folder.mkdir(exist_ok=True)
        os.chdir(folder)
        for name, left_out in (("whole", []), ("reduced", out)):
            if not (folder / f"{name}.parquet").is_file():
                write(without(graph, targets.tail, left_out), folder / f"{name}.parquet")
        asked, kept = [ids[row] for row in out], [ids[row] for row in controls]
        outside = trained(folder / "reduced.parquet", kept, options, "outside")
        inside = trained(folder / "whole.parquet", [*asked, *kept], options, "inside")


if __name__ == "__main__":
    main()
