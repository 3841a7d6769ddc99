"""Temperature scaling: one number divides all logits, so that what is told with 0.8 is right four times in five.

T minimises the NLL of validation (Guo et al. 2017, section 4.2); the order of the classes, and so the accuracy, stays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15
# Bounds of the search; beyond them a model is right or wrong throughout.
_COLDEST, _HOTTEST, _STEPS = 0.01, 20.0, 80
_GOLDEN = (5.0**0.5 - 1.0) / 2.0


def log_softmax(logits: Any, temperature: float = 1.0) -> NDArray[np.float64]:
    """Log-probabilities [m, C]."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    shifted = scaled - scaled.max(axis=1, keepdims=True)
    found: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def nll(logits: Any, labels: Any, temperature: float = 1.0) -> float:
    """Mean of -log p of the true class, in nats."""
    return float(-log_softmax(logits, temperature)[np.arange(len(labels)), labels].mean())


def calibration_error(logits: Any, labels: Any, temperature: float = 1.0) -> float:
    """Expected calibration error over `BINS` equal bins of confidence, a fraction."""
    logs = log_softmax(logits, temperature)
    confidence, right = np.exp(logs.max(axis=1)), logs.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    off = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(off).sum() / len(confidence))


def fitted(logits: Any, labels: Any) -> float:
    """The temperature of smallest NLL, by golden sections of its logarithm; 1 without a sample."""
    if len(labels) == 0:
        return 1.0
    low, high = float(np.log(_COLDEST)), float(np.log(_HOTTEST))
    for _ in range(_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if nll(logits, labels, float(np.exp(left))) < nll(logits, labels, float(np.exp(right))):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2.0))
