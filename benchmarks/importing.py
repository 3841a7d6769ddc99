"""A graph of OptimusKG's size and shape: importing it, reading it, and what a FlyKD epoch and its ranking take.

    python benchmarks/importing.py                    # 190,531 nodes, 21.8 million edges
    python benchmarks/importing.py --scale 0.1 --skip-training

The graph is made up: OptimusKG's types, relations and counts, ends drawn with a few nodes much more often than most.
Each step runs in a process of its own; memory is the peak of that process. The baseline is polars reading the edges'
text columns and nothing else.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, in_child, machine, peak_gib, show

# Nodes by label (the published total is 190,531), and edges by (from, to, relation): the published counts where there
# are such, the rest spread so that the total is 21,813,816.
NODES = {
    "GEN": 61_500, "DIS": 22_300, "BPO": 26_500, "PHE": 17_700, "DRG": 18_500, "ANA": 14_000, "MFN": 10_200,
    "CCO": 4_100, "PWY": 2_700, "EXP": 13_031,
}  # fmt: skip
EDGES = {
    ("DIS", "GEN", "ASSOCIATED_WITH"): 9_730_000,
    ("ANA", "GEN", "EXPRESSION_PRESENT"): 8_790_000,
    ("DRG", "DRG", "SYNERGISTIC_INTERACTION"): 1_350_000,
    ("DRG", "DIS", "INDICATION"): 38_000,
    ("DRG", "DIS", "CONTRAINDICATION"): 30_000,
    ("DRG", "DIS", "OFF_LABEL_USE"): 2_380,
    ("DIS", "PHE", "PHENOTYPE_PRESENT"): 157_144,
    ("DRG", "GEN", "INHIBITOR"): 20_694,
    ("DRG", "PHE", "INDICATION"): 60_000,
    ("GEN", "GEN", "INTERACTS_WITH"): 650_000,
    ("GEN", "BPO", "INTERACTS_WITH"): 500_000,
    ("GEN", "CCO", "INTERACTS_WITH"): 200_000,
    ("GEN", "MFN", "INTERACTS_WITH"): 150_000,
    ("GEN", "PWY", "INTERACTS_WITH"): 50_000,
    ("DIS", "DIS", "PARENT"): 45_000,
    ("EXP", "GEN", "LINKED_TO"): 40_598,
}
TARGETS = '["contraindication", "indication"]'
# What the steps may take.
AIM_SECONDS, AIM_IMPORT, AIM_TRAINING = 60.0, 4.0, 6.0


# Each of these runs in a process of its own, and imports what it needs there.


def make(folder: str, scale: str) -> dict[str, float]:
    """Write `nodes.parquet` and `edges.parquet`."""
    import numpy as np
    import polars as pl

    share = float(scale)
    rng = np.random.default_rng(0)
    ids, nodes = {}, []
    for label, count in NODES.items():
        size = max(20, round(count * share))
        ids[label] = pl.Series([f"{label}_{number:011d}" for number in range(size)])
        text = pl.Series([f'{{"name":"{label.lower()} node {n}","synonyms":["s{n}"]}}' for n in range(size)])
        nodes.append(pl.DataFrame({"id": ids[label], "label": [label] * size, "properties": text}))
    pl.concat(nodes).write_parquet(Path(folder) / "nodes.parquet")
    edges = []
    for (head, tail, relation), count in EDGES.items():
        size = max(20, round(count * share))
        # Cubed uniform numbers: a tenth of the nodes has about half of the ends.
        ends = [(rng.random(size) ** 2.0 * len(ids[label])).astype(np.int64) for label in (head, tail)]
        edges.append(
            pl.DataFrame({"from": ids[head].gather(ends[0]), "to": ids[tail].gather(ends[1])}).with_columns(
                label=pl.lit(f"{head}-{tail}"),
                relation=pl.lit(relation),
                undirected=pl.lit(head == tail),
                properties=pl.lit('{"sources":{"direct":["X"]}}'),
            )
        )
    table = pl.concat(edges)
    table.write_parquet(Path(folder) / "edges.parquet")
    return {"edges": float(table.height), "nodes": float(sum(len(one) for one in ids.values()))}


def polars_alone(folder: str) -> dict[str, float]:
    """Polars reading the columns that are needed."""
    start = time.perf_counter()
    import polars as pl

    pl.scan_parquet(Path(folder) / "edges.parquet").select("from", "to", "relation").collect()
    return _spent(start)


def importing(folder: str) -> dict[str, float]:
    """What `graph import` does, to the table and its report on disk."""
    start = time.perf_counter()
    from flykd_console.graph.imports.write import write
    from flykd_console.graph.read import import_graph

    found = import_graph([Path(folder) / "nodes.parquet", Path(folder) / "edges.parquet"])
    report = write(found, Path(folder) / "kg.parquet")
    return _spent(start) | {"kept": float(report.kept)}


def reading(path: str) -> dict[str, float]:
    """The table to a graph in memory, without the cache."""
    start = time.perf_counter()
    from flykd_console.graph.load import load_graph
    from flykd_console.profile.sections import Graph

    load_graph(Graph(source=path), use_cache=False)
    return _spent(start)


def training(path: str) -> dict[str, float]:
    """A FlyKD epoch of a student, the teacher run once, and the ranking of the test part."""
    start = time.perf_counter()
    import json

    from benchmarks.epochs import flykd_epoch
    from benchmarks.training import prepare, task_of
    from flykd_console.graph.load import load_graph
    from flykd_console.graph.orientation import orient_targets
    from flykd_console.model.link_model import link_model
    from flykd_console.profile.models import models_of
    from flykd_console.profile.schema import Profile
    from flykd_console.tasks.link_prediction.measure import measure
    from flykd_console.tasks.link_prediction.scorers import EmbeddingScorer

    profile = Profile.model_validate({"graph": {"source": path, "targets": json.loads(TARGETS)}})
    graph = orient_targets(load_graph(profile.graph), profile.graph.targets, profile.graph.pooling.relations)
    task = task_of(profile, graph)
    prepare(task.data)
    prepared = time.perf_counter()
    epoch = flykd_epoch(task)
    epoch()
    begun = time.perf_counter()
    epoch()
    ended = time.perf_counter()
    student = task.new_model(models_of(profile)[-1])
    measure(task.data, EmbeddingScorer(task.data.encode_all(link_model(student))), "test")
    return _spent(start) | {
        "prepare": prepared - start,
        "epoch": ended - begun,
        "evaluate": time.perf_counter() - ended,
    }


def _spent(start: float) -> dict[str, float]:
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time(), "peak": peak_gib()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of OptimusKG's nodes and edges")
    parser.add_argument("--skip-training", action="store_true", help="import and read only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = in_child(make, folder, str(options.scale))
        console.print(f"{machine()}\n{made['nodes']:,.0f} nodes, {made['edges']:,.0f} edges, each once")
        cases = {
            "polars, edges alone": in_child(polars_alone, folder),
            "graph import": in_child(importing, folder, keep_freed=False),
            "reading kg.parquet": in_child(reading, f"{folder}/kg.parquet", keep_freed=False),
        }
        rows = [[name, f"{c['seconds']:.1f}", f"{c['cpu']:.1f}", f"{c['peak']:.2f}"] for name, c in cases.items()]
        show("Importing", ["step", "seconds", "of processor", "peak GiB"], rows)
        found = cases["graph import"]
        reached = found["seconds"] < AIM_SECONDS and found["peak"] < AIM_IMPORT
        console.print(f"aim {AIM_SECONDS:.0f} s and {AIM_IMPORT:.0f} GiB: {'reached' if reached else 'missed'}")
        if options.skip_training:
            return
        run = in_child(training, f"{folder}/kg.parquet", cache=f"{folder}/cache", keep_freed=False)
        columns = ["graph, split, pooling s", "epoch s", "evaluation s", "peak GiB"]
        show("Training", ["", *columns], [["", *(f"{run[k]:.1f}" for k in ("prepare", "epoch", "evaluate", "peak"))]])
        console.print(f"aim {AIM_TRAINING:.0f} GiB: {'reached' if run['peak'] < AIM_TRAINING else 'missed'}")


if __name__ == "__main__":
    main()
