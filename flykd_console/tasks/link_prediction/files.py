"""What a trained model leaves in the run for those who must not import torch: embeddings, scores, labels, nodes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from torch import Tensor

from flykd_console.graph.connecting_edges import connecting_edges
from flykd_console.graph.knowledge_graph import KnowledgeGraph, Targets
from flykd_console.graph.split.edge_split import PARTS
from flykd_console.model.encoded import Encoded
from flykd_console.model.tensor_files import save_tensors
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import replace_file
from flykd_console.seeding import numpy_rng
from flykd_console.tasks.link_prediction.measure import Measured
from flykd_console.tasks.link_prediction.nearest import nearest_tails
from flykd_console.tasks.link_prediction.scorers import EmbeddingScorer

if TYPE_CHECKING:
    from flykd_console.tasks.link_prediction.data import LinkData

PROBE_PAIRS = 4096


def save_embeddings(data: LinkData, directory: RunDirectory, name: str, encoded: Encoded) -> None:
    """Write `<model>.embeddings.safetensors`, with the logits of random pairs as a probe for exporters."""
    tensors: dict[str, Tensor] = {"head.embedding": encoded.head, "tail.embedding": encoded.tail}
    scorer = EmbeddingScorer(encoded)
    for target in data.targets:
        relation, tails = target.relation, encoded.tails[target.relation]
        rng = numpy_rng(data.seed, f"probe/{relation}")
        heads_of, tails_of = (
            rng.integers(len(encoded.head), size=PROBE_PAIRS),
            rng.integers(len(tails), size=PROBE_PAIRS),
        )
        tensors |= {
            f"tail.embedding/{relation}": tails,
            f"relation/{relation}": encoded.relation[relation],
            f"probe/{relation}/head": torch.from_numpy(heads_of),
            f"probe/{relation}/tail": torch.from_numpy(tails_of),
            f"probe/{relation}/logit": torch.from_numpy(scorer.pairs(target, heads_of, tails_of)),
        }
    metadata = {
        "schema": "1",
        "head_type": data.targets.head,
        "tail_type": data.targets.tail,
        "relations": json.dumps([t.relation for t in data.targets]),
        "dim": str(encoded.head.shape[1]),
        "seed": str(data.seed),
        "model": name,
    }
    save_tensors(directory.embeddings(data.seed, name), tensors, metadata, plain=True)


def save_scores(data: LinkData, directory: RunDirectory, part: str, measured: Mapping[str, Measured]) -> None:
    """Write `<part>-scores.parquet`: a part's stored pairs and every model's logits, to recompute each figure."""
    frames = []
    for pairs in data.evaluation(part):
        head_ids, tail_ids = _ids(data.graph, data.targets)
        frames.append(
            pl.DataFrame(
                {
                    "relation": pl.Series([pairs.relation] * len(pairs.heads), dtype=pl.String),
                    "head_id": head_ids.gather(pairs.heads),
                    "tail_id": tail_ids.gather(pairs.tails),
                    "label": pairs.labels.astype(np.int8),
                }
                | {model: of_model.pairs[pairs.relation][1] for model, of_model in measured.items()}
            )
        )
    _write_parquet(pl.concat(frames), directory.scores(data.seed, part))


def save_ranking(data: LinkData, directory: RunDirectory, part: str, measured: Mapping[str, Measured]) -> None:
    """Write `<part>-ranking.parquet`: each tail's number of true heads and every model's average precision."""
    _, tail_ids = _ids(data.graph, data.targets)
    columns = {"relation": pl.String, "tail_id": pl.String, "true": pl.Int64} | dict.fromkeys(measured, pl.Float32)
    schema = pl.Schema(columns)
    frames = [pl.DataFrame(schema=schema)]
    for target in data.targets:
        ranked = {model: of_model.heads.get(target.relation) for model, of_model in measured.items()}
        first = next(iter(ranked.values()), None)
        if first is not None:
            values = {
                "relation": [target.relation] * len(first.nodes),
                "tail_id": tail_ids.gather(first.nodes),
                "true": first.true,
            } | {model: one.metrics.found["ap"] for model, one in ranked.items() if one is not None}
            frames.append(pl.DataFrame(values).cast(schema))
    _write_parquet(pl.concat(frames), directory.ranking(data.seed, part))


def save_evaluation_pairs(data: LinkData, directory: RunDirectory) -> None:
    """Write `evaluation-pairs.parquet`: the validation and test pairs with their stored negatives."""
    head_ids, tail_ids = _ids(data.graph, data.targets)
    frames = [
        pl.DataFrame(
            {
                "head_id": head_ids.gather(pairs.heads),
                "tail_id": tail_ids.gather(pairs.tails),
                "label": pairs.labels.astype(np.int8),
            }
        ).select(pl.lit(part).alias("part"), pl.lit(pairs.relation).alias("relation"), "head_id", "tail_id", "label")
        for part in ("validation", "test")
        for pairs in data.evaluation(part)
    ]
    _write_parquet(pl.concat(frames), directory.evaluation_pairs(data.seed))


def save_labels(data: LinkData, directory: RunDirectory) -> None:
    """Write `labels.parquet`: every true pair of the targets and the part it belongs to."""
    frames = []
    head_ids, tail_ids = _ids(data.graph, data.targets)
    for target in data.targets:
        for part in PARTS:
            heads, tails = data.split.part(part)[target]
            frames.append(
                pl.DataFrame({"head_id": head_ids.gather(heads), "tail_id": tail_ids.gather(tails)}).select(
                    pl.lit(target.relation).alias("relation"), "head_id", "tail_id", pl.lit(part).alias("part")
                )
            )
    _write_parquet(pl.concat(frames), directory.labels(data.seed))


def save_neighbours(data: LinkData, directory: RunDirectory) -> None:
    """Write `neighbours.parquet`: what the heuristic of that name ranks by, to be shown beside a model's ranks."""
    types = {"relation": pl.String, "tail": pl.Int32, "neighbour": pl.Int32, "similarity": pl.Float32}
    columns = pl.Schema(types)
    frames = [pl.DataFrame(schema=columns)]
    for target in data.targets:
        nearest = nearest_tails(data.training, target)
        found = {
            "tail": np.repeat(np.arange(nearest.shape[0]), np.diff(nearest.indptr)),
            "neighbour": nearest.indices,
            "similarity": nearest.data,
        }
        frames.append(pl.DataFrame(found).select(pl.lit(target.relation).alias("relation"), pl.all()).cast(columns))
    _write_parquet(pl.concat(frames), directory.neighbours(data.seed))


def save_profiles(data: LinkData, directory: RunDirectory) -> None:
    """Write `profiles.parquet`: what training says of heads and tails besides the targets, edge by edge."""
    words = ("head_type", "relation", "tail_type")
    schema = pl.Schema(dict.fromkeys(words, pl.String) | dict.fromkeys(("head", "tail"), pl.Int32))
    frames = [pl.DataFrame(schema=schema)]
    scored = {data.targets.head, data.targets.tail}
    for edge_type, (heads, tails) in sorted(data.training.edges.items()):
        if edge_type in data.targets or not scored & {edge_type.head, edge_type.tail}:
            continue
        ends = pl.DataFrame({"head": heads, "tail": tails}).unique().sort("head", "tail")
        names = [pl.lit(value).alias(word) for word, value in zip(words, edge_type, strict=True)]
        frames.append(ends.select(*names, "head", "tail").cast(schema))
    _write_parquet(pl.concat(frames), directory.profiles(data.seed))


def save_connections(graph: KnowledgeGraph, targets: Targets, directory: RunDirectory) -> None:
    """Write `connections.parquet`: the edges by which a head and a tail can reach a node of a third type."""
    columns = pl.Schema({"x_type": pl.String, "x": pl.Int32, "y_type": pl.String, "y": pl.Int32})
    frames = [pl.DataFrame(schema=columns)]
    for (x_type, y_type), (x, y) in connecting_edges(graph, targets).items():
        found = pl.DataFrame({"x": x, "y": y}).select(
            pl.lit(x_type).alias("x_type"), "x", pl.lit(y_type).alias("y_type"), "y"
        )
        frames.append(found.cast(columns))
    _write_parquet(pl.concat(frames), directory.connections)


def save_nodes(graph: KnowledgeGraph, targets: Targets, directory: RunDirectory) -> None:
    """Write `nodes.parquet`: ids and names by type, in the order of the embeddings' rows; heads first, then tails."""
    scored = (targets.head, targets.tail)
    others = sorted(set(graph.nodes) - set(scored))
    frames = [
        graph.nodes[node_type].select(
            pl.lit(node_type).alias("type"),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("index"),
            pl.col("id").cast(pl.String),
            pl.col("name").cast(pl.String),
        )
        for node_type in dict.fromkeys((*scored, *others))
    ]
    _write_parquet(pl.concat(frames), directory.nodes)


def _ids(graph: KnowledgeGraph, targets: Targets) -> tuple[pl.Series, pl.Series]:
    return graph.nodes[targets.head]["id"].cast(pl.String), graph.nodes[targets.tail]["id"].cast(pl.String)


def _write_parquet(frame: pl.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())
