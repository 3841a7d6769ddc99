"""Average precision under integer weights: a bootstrap resample is a weight per pair, so one sort serves all resamples.

The definition is scikit-learn's: AP = Σ_n (R_n - R_{n-1}) P_n over the distinct thresholds, pairs of one score entering
together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int32]
Floats = NDArray[np.float64]


class ScoreOrder:
    """The order of one model's scores over the pairs of one relation.

    Args:
        positives: Scores of the true pairs [p].
        negatives: Scores of the stored negatives [n].
    """

    def __init__(self, positives: NDArray[np.floating], negatives: NDArray[np.floating]) -> None:
        self._positives = np.argsort(-positives, kind="stable")
        self._negatives = np.argsort(-negatives, kind="stable")
        descending = -positives[self._positives]
        # How many positives and negatives score at least as high as the i-th positive: ties enter together.
        self._true_until = np.searchsorted(descending, descending, side="right") - 1
        self._false_until = np.searchsorted(-negatives[self._negatives], descending, side="right")
        self._tied = not np.array_equal(self._true_until, np.arange(len(descending)))

    def average_precision(self, positives: Counts, negatives: Counts) -> Floats:
        """Average precision of each resample, float64 [b]; NaN where no positive was drawn.

        Args:
            positives: How often each true pair was drawn, int32 [b, p].
            negatives: The same of the negatives, int32 [b, n].
        """
        drawn = np.take(positives, self._positives, axis=1)
        true = np.cumsum(drawn, axis=1, dtype=np.int32)
        total = true[:, -1].astype(np.float64)
        if self._tied:
            true = np.take(true, self._true_until, axis=1)
        false = np.zeros((len(negatives), negatives.shape[1] + 1), dtype=np.int32)
        np.cumsum(np.take(negatives, self._negatives, axis=1), axis=1, out=false[:, 1:])
        found = np.take(false, self._false_until, axis=1)
        found += true
        # Where nothing was drawn so far, the pair itself was not drawn: it adds nothing.
        np.maximum(found, 1, out=found)
        precision = true / found
        return np.asarray(np.einsum("bp,bp->b", drawn, precision) / np.where(total > 0, total, np.nan))


def average_precision(positives: NDArray[np.floating], negatives: NDArray[np.floating]) -> float:
    """Average precision of the scores as they are."""
    once = np.ones((1, len(positives)), dtype=np.int32), np.ones((1, len(negatives)), dtype=np.int32)
    return float(ScoreOrder(positives, negatives).average_precision(*once)[0])
