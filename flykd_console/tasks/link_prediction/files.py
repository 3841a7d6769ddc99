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
from numpy.typing import NDArray
from torch import Tensor

from flykd_console.graph.knowledge_graph import KnowledgeGraph, Targets
from flykd_console.graph.split.edge_split import PARTS
from flykd_console.model.distmult import pair_logits
from flykd_console.model.encoded import Encoded
from flykd_console.model.tensor_files import save_tensors
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import replace_file
from flykd_console.runs.results import RankingScores
from flykd_console.seeding import numpy_rng
from flykd_console.tasks.link_prediction import ranking
from flykd_console.tasks.link_prediction.metrics import Scored

if TYPE_CHECKING:
    from flykd_console.tasks.link_prediction.data import LinkData

PROBE_PAIRS = 4096


def score_part(data: LinkData, encoded: Encoded, part: str) -> dict[str, Scored]:
    """Per relation (labels, logits) of a part's stored pairs, float32, from the embedding tables that are exported."""
    return {
        pairs.relation: (pairs.labels, _logits(encoded, pairs.relation, pairs.heads, pairs.tails))
        for pairs in data.evaluation(part)
    }


def _logits(encoded: Encoded, relation: str, heads: NDArray[np.int64], tails: NDArray[np.int64]) -> NDArray[np.float32]:
    head, tail = encoded.head[torch.from_numpy(heads)], encoded.tails[relation][torch.from_numpy(tails)]
    logits: NDArray[np.float32] = pair_logits(head, encoded.relation[relation], tail).numpy()
    return logits


def rank_part(data: LinkData, encoded: Encoded, part: str) -> dict[str, RankingScores] | None:
    """Per relation a part's ranking metrics, from the embedding tables that are exported; None where it is empty."""
    tails = {relation: x.numpy() for relation, x in encoded.tails.items()}
    vectors = {relation: x.numpy() for relation, x in encoded.relation.items()}
    return ranking.rank_part(data.split, part, encoded.head.numpy(), tails, vectors) or None


def save_embeddings(data: LinkData, directory: RunDirectory, name: str, encoded: Encoded) -> None:
    """Write `<model>.embeddings.safetensors`, with the logits of random pairs as a probe for exporters."""
    tensors: dict[str, Tensor] = {"head.embedding": encoded.head, "tail.embedding": encoded.tail}
    for relation, tails in encoded.tails.items():
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
            f"probe/{relation}/logit": torch.from_numpy(_logits(encoded, relation, heads_of, tails_of)),
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


def save_scores(data: LinkData, directory: RunDirectory, part: str, scored: Mapping[str, Mapping[str, Scored]]) -> None:
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
                | {model: relations[pairs.relation][1] for model, relations in scored.items()}
            )
        )
    _write_parquet(pl.concat(frames), directory.scores(data.seed, part))


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


def save_nodes(graph: KnowledgeGraph, targets: Targets, directory: RunDirectory) -> None:
    """Write `nodes.parquet`: ids and names of the scored node types, in the order of the embeddings' rows."""
    frames = [
        graph.nodes[node_type].select(
            pl.lit(node_type).alias("type"),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("index"),
            pl.col("id").cast(pl.String),
            pl.col("name").cast(pl.String),
        )
        for node_type in (targets.head, targets.tail)
    ]
    _write_parquet(pl.concat(frames), directory.nodes)


def _ids(graph: KnowledgeGraph, targets: Targets) -> tuple[pl.Series, pl.Series]:
    return graph.nodes[targets.head]["id"].cast(pl.String), graph.nodes[targets.tail]["id"].cast(pl.String)


def _write_parquet(frame: pl.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())
