"""Average precision as scikit-learn defines it, in numpy: what a bundle says is not checked by what the run used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def average_precision(labels: NDArray[Any], scores: NDArray[Any]) -> float:
    """`Σ_n (R_n - R_{n-1}) P_n` over the distinct scores, highest first; equal scores count as one threshold.

    Args:
        labels: [n], 1 for positives and 0 for negatives; at least one positive.
        scores: [n], any real scores.

    Returns:
        A fraction in (0, 1], equal to `sklearn.metrics.average_precision_score`.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(labels[order], dtype=np.float64)[ends]
    steps = np.diff(hits, prepend=0.0)
    return float(np.sum(steps * hits / (ends + 1)) / hits[-1])
