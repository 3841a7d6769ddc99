"""Logits and probabilities of pairs of a bundle's nodes, by its scoring head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exporters.answers import ScoredPair
from exporters.manifest import PARTS, SCORING_HEAD, damaged
from exporters.onnx_sessions import run_head
from exporters.opened_bundle import OpenedBundle

Floats = NDArray[np.float32]

_BLOCK = 1 << 16


def pair_scores(
    bundle: OpenedBundle, session: Any, heads: ArrayLike, tails: ArrayLike, relation: str | None = None
) -> tuple[Floats, Floats]:
    """Logits and probabilities, float32 [n] each, of pairs given as rows of the embedding tables, int [n] each.

    Without a calibration of the relation the probabilities are NaN.
    """
    name = bundle.relation(relation)
    rows = [np.asarray(side, dtype=np.int64).reshape(-1) for side in (heads, tails)]
    if len(rows[0]) != len(rows[1]):
        raise ValueError(f"{len(rows[0])} heads and {len(rows[1])} tails")
    for side, nodes in zip(rows, (bundle.heads, bundle.tails), strict=True):
        if side.size and (side.min() < 0 or side.max() >= len(nodes)):
            raise IndexError(f"a row of {nodes.node_type} is outside 0 to {len(nodes) - 1}")
    outputs = [np.empty(len(rows[0]), dtype=np.float32) for _ in range(2)]
    for start in range(0, len(rows[0]), _BLOCK):
        block = slice(start, start + _BLOCK)
        feed = {
            "head": bundle.tables.embeddings("head", name)[rows[0][block]],
            "relation": np.full(len(rows[0][block]), bundle.relations.index(name), dtype=np.int64),
            "tail": bundle.tables.embeddings("tail", name)[rows[1][block]],
        }
        answer = run_head(session, ["logit", "probability"], feed, bundle.path / SCORING_HEAD)
        for output, values in zip(outputs, answer, strict=True):
            if values.shape != output[block].shape:
                raise damaged("gives something else than one number a pair", bundle.path / SCORING_HEAD)
            output[block] = values
    if not bundle.is_calibrated(name):
        outputs[1].fill(np.nan)
    return outputs[0], outputs[1]


def described_pairs(
    bundle: OpenedBundle, session: Any, pairs: Sequence[tuple[str | int, str | int]], relation: str | None = None
) -> list[ScoredPair]:
    """Score (head, tail) pairs, each node by its row, id, name or beginning of its name, in the order given."""
    name = bundle.relation(relation)
    heads = [bundle.row("head", head) for head, _ in pairs]
    tails = [bundle.row("tail", tail) for _, tail in pairs]
    known = {}
    for part in reversed(PARTS):
        known.update(dict.fromkeys(map(tuple, bundle.tables.pairs(name, part).tolist()), part))
    head_counts, tail_counts = (bundle.beside.training_pairs(name, side) for side in ("head", "tail"))
    return [
        ScoredPair(
            relation=name,
            head_id=bundle.heads.ids[head],
            head_name=bundle.heads.names[head],
            tail_id=bundle.tails.ids[tail],
            tail_name=bundle.tails.names[tail],
            logit=float(logit),
            probability=None if np.isnan(probability) else float(probability),
            known=known.get((head, tail), ""),
            head_trained=bool(head_counts[head]),
            tail_trained=bool(tail_counts[tail]),
        )
        for head, tail, logit, probability in zip(
            heads, tails, *pair_scores(bundle, session, heads, tails, name), strict=True
        )
    ]
