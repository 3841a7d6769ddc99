"""Scores of a bundle by numpy alone: lists of one node, and pairs.

`exporters.onnx_engine` gives the same answers by the bundle's ONNX heads; a test holds the two together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.candidates import best, dot_pairs
from exporters.manifest import EMBEDDINGS, damaged
from exporters.opened_bundle import OpenedBundle
from exporters.opened_tables import other_side
from exporters.sorting import descending

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
# Pairs in work at a time: their embeddings stay in the processor's cache.
_BLOCK = 1 << 12


class NumpyEngine:
    """Args: the bundle whose tables are multiplied."""

    def __init__(self, bundle: OpenedBundle) -> None:
        self._bundle = bundle

    def best(self, side: str, row: int, relation: str, left_out: Rows, top: int | None) -> tuple[Rows, Floats, Floats]:
        """As `Engine.best`."""
        tables = self._bundle.tables
        candidates = tables.candidates(other_side(side), relation)
        scores = candidates.scores(tables.factors(side, relation)[row])
        if not np.isfinite(scores).all():
            raise damaged("holds values whose products are not finite", self._bundle.path / EMBEDDINGS)
        scores[candidates.places(left_out)] = -np.inf
        places = best(scores, top) if top is not None else descending(scores)
        if top is None:
            places = places[scores[places] > -np.inf]
        logits = scores[places]
        return candidates.rows[places], logits, probabilities(self._bundle, relation, logits)

    def pairs(self, relation: str, heads: Rows, tails: Rows) -> tuple[Floats, Floats]:
        """As `Engine.pairs`."""
        factors = [self._bundle.tables.factors(side, relation) for side in ("head", "tail")]
        logits = np.empty(len(heads), np.float32)
        for start in range(0, len(heads), _BLOCK):
            block = slice(start, start + _BLOCK)
            logits[block] = dot_pairs(factors[0][heads[block]], factors[1][tails[block]])
        return logits, probabilities(self._bundle, relation, logits)


def probabilities(bundle: OpenedBundle, relation: str, logits: Floats) -> Floats:
    """sigmoid(slope logit + intercept), float32 [n]; NaN where the relation has no calibration."""
    if not bundle.is_calibrated(relation):
        return np.full(len(logits), np.nan, np.float32)
    numbers = bundle.manifest.calibration[relation]
    log_odds = numbers["slope"] * logits.astype(np.float64) + numbers["intercept"]
    # The hyperbolic tangent does not overflow.
    probability: Floats = (0.5 * (1.0 + np.tanh(0.5 * log_odds))).astype(np.float32)
    return probability
