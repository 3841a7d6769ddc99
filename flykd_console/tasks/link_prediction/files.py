"""What a trained model leaves in the run for those who must not import torch: embeddings, scores, labels, nodes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from flykd_console.graph.split.edge_split import PARTS
from flykd_console.model.distmult import pair_logits
from flykd_console.model.link_encoder import Encoded
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.model.tensor_files import save_tensors
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import replace_file
from flykd_console.runs.results import Ranking
from flykd_console.seeding import numpy_rng
from flykd_console.tasks.link_prediction import ranking
from flykd_console.tasks.link_prediction.metrics import Scored
from flykd_console.tasks.link_prediction.task import Task

PROBE_PAIRS = 4096


@torch.no_grad()
def encode_all(task: Task, model: HeteroRGCN) -> Encoded:
    """Embeddings of every node of the head type and, pooled per relation, of the tail type; on the CPU."""
    target = task.targets[0]
    heads = np.arange(task.node_counts[target.head])
    tails = {t.relation: np.arange(task.node_counts[t.tail]) for t in task.targets}
    encoded = task.encoder(model, heads, tails)(model)
    return Encoded(
        head=encoded.head.cpu(),
        tails={relation: x.cpu() for relation, x in encoded.tails.items()},
        relation={relation: x.detach().cpu().clone() for relation, x in encoded.relation.items()},
        tail=encoded.tail.cpu(),
    )


def score_part(task: Task, encoded: Encoded, part: str) -> dict[str, Scored]:
    """Per relation (labels, logits) of a part's stored pairs, float32, from the embedding tables that are exported."""
    return {
        pairs.relation: (pairs.labels, _logits(encoded, pairs.relation, pairs.heads, pairs.tails))
        for pairs in task.evaluation(part)
    }


def _logits(encoded: Encoded, relation: str, heads: NDArray[np.int64], tails: NDArray[np.int64]) -> NDArray[np.float32]:
    head, tail = encoded.head[torch.from_numpy(heads)], encoded.tails[relation][torch.from_numpy(tails)]
    logits: NDArray[np.float32] = pair_logits(head, encoded.relation[relation], tail).numpy()
    return logits


def rank_part(task: Task, encoded: Encoded, part: str) -> dict[str, Ranking] | None:
    """Per relation a part's ranking metrics, from the embedding tables that are exported; None where it is empty."""
    tails = {relation: x.numpy() for relation, x in encoded.tails.items()}
    vectors = {relation: x.numpy() for relation, x in encoded.relation.items()}
    return ranking.rank_part(task.split, part, encoded.head.numpy(), tails, vectors) or None


def save_embeddings(task: Task, directory: RunDirectory, name: str, encoded: Encoded) -> None:
    """Write `<model>.embeddings.safetensors`, with the logits of random pairs as a probe for exporters."""
    target = task.targets[0]
    tensors: dict[str, Tensor] = {"head.embedding": encoded.head, "tail.embedding": encoded.tail}
    for relation, tails in encoded.tails.items():
        rng = numpy_rng(task.seed, f"probe/{relation}")
        heads_of, tails_of = (
            rng.integers(len(encoded.head), size=PROBE_PAIRS),
            rng.integers(len(tails), size=PROBE_PAIRS),
        )
        tensors |= {
            f"tail.embedding/{relation}": tails,
            f"relation/{relation}": encoded.relation[relation],
            f"probe/{relation}/head": torch.from_numpy(heads_of),
            f"probe/{relation}/tail": torch.from_numpy(tails_of),
            f"probe/{relation}/logit": torch.from_numpy(_logits(encoded, relation, heads_of, tails_of)),
        }
    metadata = {
        "schema": "1",
        "head_type": target.head,
        "tail_type": target.tail,
        "relations": json.dumps([t.relation for t in task.targets]),
        "dim": str(encoded.head.shape[1]),
        "seed": str(task.seed),
        "model": name,
    }
    save_tensors(directory.embeddings(task.seed, name), tensors, metadata, plain=True)


def save_scores(task: Task, directory: RunDirectory, part: str, scored: Mapping[str, Mapping[str, Scored]]) -> None:
    """Write `<part>-scores.parquet`: a part's stored pairs and every model's logits, to recompute each figure."""
    frames = []
    for pairs in task.evaluation(part):
        head_ids, tail_ids = _ids(task.graph, task.targets[0])
        frames.append(
            pl.DataFrame(
                {
                    "relation": pl.Series([pairs.relation] * len(pairs.heads), dtype=pl.String),
                    "head_id": head_ids.gather(pairs.heads),
                    "tail_id": tail_ids.gather(pairs.tails),
                    "label": pairs.labels.astype(np.int8),
                }
                | {model: relations[pairs.relation][1] for model, relations in scored.items()}
            )
        )
    _write_parquet(pl.concat(frames), directory.scores(task.seed, part))


def save_evaluation_pairs(task: Task, directory: RunDirectory) -> None:
    """Write `evaluation-pairs.parquet`: the validation and test pairs with their stored negatives."""
    head_ids, tail_ids = _ids(task.graph, task.targets[0])
    frames = [
        pl.DataFrame(
            {
                "head_id": head_ids.gather(pairs.heads),
                "tail_id": tail_ids.gather(pairs.tails),
                "label": pairs.labels.astype(np.int8),
            }
        ).select(pl.lit(part).alias("part"), pl.lit(pairs.relation).alias("relation"), "head_id", "tail_id", "label")
        for part in ("validation", "test")
        for pairs in task.evaluation(part)
    ]
    _write_parquet(pl.concat(frames), directory.evaluation_pairs(task.seed))


def save_labels(task: Task, directory: RunDirectory) -> None:
    """Write `labels.parquet`: every true pair of the targets and the part it belongs to."""
    frames = []
    for target in task.targets:
        head_ids, tail_ids = _ids(task.graph, target)
        for part in PARTS:
            heads, tails = task.split.part(part)[target]
            frames.append(
                pl.DataFrame({"head_id": head_ids.gather(heads), "tail_id": tail_ids.gather(tails)}).select(
                    pl.lit(target.relation).alias("relation"), "head_id", "tail_id", pl.lit(part).alias("part")
                )
            )
    _write_parquet(pl.concat(frames), directory.labels(task.seed))


def save_nodes(graph: KnowledgeGraph, targets: list[EdgeType], directory: RunDirectory) -> None:
    """Write `nodes.parquet`: ids and names of the scored node types, in the order of the embeddings' rows."""
    frames = [
        graph.nodes[node_type].select(
            pl.lit(node_type).alias("type"),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("index"),
            pl.col("id").cast(pl.String),
            pl.col("name").cast(pl.String),
        )
        for node_type in (targets[0].head, targets[0].tail)
    ]
    _write_parquet(pl.concat(frames), directory.nodes)


def _ids(graph: KnowledgeGraph, target: EdgeType) -> tuple[pl.Series, pl.Series]:
    return graph.nodes[target.head]["id"].cast(pl.String), graph.nodes[target.tail]["id"].cast(pl.String)


def _write_parquet(frame: pl.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())
