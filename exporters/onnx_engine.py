"""Scores of a bundle by its ONNX heads, as runtimes of other languages compute them: the oracle of `numpy_engine`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.manifest import RANKING_HEAD, SCORING_HEAD, damaged
from exporters.onnx_sessions import open_head, run_head
from exporters.opened_bundle import OpenedBundle
from exporters.opened_tables import other_side

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
_BLOCK = 1 << 16


class OnnxEngine:
    """Args: the bundle, whether its heads are held against the manifest, and threads of each computation.

    Raises:
        UserError: A head is damaged, or belongs to other tables.
    """

    def __init__(self, bundle: OpenedBundle, verify: bool = True, threads: int = 1) -> None:
        self._bundle = bundle
        self._scoring, self._ranking = (
            open_head(bundle.path / name, bundle.manifest, threads, verify) for name in (SCORING_HEAD, RANKING_HEAD)
        )

    def best(self, side: str, row: int, relation: str, left_out: Rows, top: int | None) -> tuple[Rows, Floats, Floats]:
        """As `Engine.best`."""
        bundle = self._bundle
        candidates = bundle.tables.embeddings(other_side(side), relation)
        excluded = np.ones(len(candidates), np.bool_)
        excluded[bundle.tables.embedded(other_side(side), relation)] = False
        excluded[left_out] = True
        feed = {
            "query": bundle.tables.embeddings(side, relation)[row],
            "relation": np.array(bundle.relations.index(relation), dtype=np.int64),
            "candidates": candidates,
            "excluded": excluded,
            "k": np.array([len(candidates) if top is None else top], dtype=np.int64),
        }
        path = bundle.path / RANKING_HEAD
        index, logit, probability = run_head(self._ranking, ["index", "logit", "probability"], feed, path)
        agree = index.ndim == 1 and index.shape == logit.shape == probability.shape
        if not agree or (index.size and (index.min() < 0 or index.max() >= len(candidates))):
            raise damaged("ranks what its tables do not have", path)
        return index, logit, self._known_alone(relation, probability)

    def pairs(self, relation: str, heads: Rows, tails: Rows) -> tuple[Floats, Floats]:
        """As `Engine.pairs`."""
        bundle = self._bundle
        path = bundle.path / SCORING_HEAD
        outputs = [np.empty(len(heads), dtype=np.float32) for _ in range(2)]
        for start in range(0, len(heads), _BLOCK):
            block = slice(start, start + _BLOCK)
            feed = {
                "head": bundle.tables.embeddings("head", relation)[heads[block]],
                "relation": np.full(len(heads[block]), bundle.relations.index(relation), dtype=np.int64),
                "tail": bundle.tables.embeddings("tail", relation)[tails[block]],
            }
            answer = run_head(self._scoring, ["logit", "probability"], feed, path)
            for output, values in zip(outputs, answer, strict=True):
                if values.shape != output[block].shape:
                    raise damaged("gives something else than one number a pair", path)
                output[block] = values
        return outputs[0], self._known_alone(relation, outputs[1])

    def _known_alone(self, relation: str, probability: Floats) -> Floats:
        """NaN where the relation has no calibration: there the graphs have slope 1 and intercept 0."""
        return probability if self._bundle.is_calibrated(relation) else np.full_like(probability, np.nan)
