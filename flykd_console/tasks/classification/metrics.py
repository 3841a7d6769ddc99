"""How well classes are told: what is right, how sure it is, and how far members agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]

BINS = 15


def metrics_of(log_probabilities: Floats, labels: Integers, classes: int, rarest: int) -> dict[str, float]:
    """Every metric of a part by name.

    accuracy; macro_f1: F1 of each class that has a sample, their mean; rarest_class: share of its samples that are
    told; nll: mean of -log p of the true class, in nats; ece: expected calibration error over `BINS` equal bins of
    confidence (Guo et al. 2017). All but nll are fractions; nll and ece are better the lower they are.

    Args:
        log_probabilities: [m, C].
        labels: [m].
        classes: C.
        rarest: The class that is rarest in training.
    """
    if len(labels) == 0:
        return {}
    told = log_probabilities.argmax(axis=1)
    right = told == labels
    found = {
        "accuracy": float(right.mean()),
        "macro_f1": _macro_f1(told, labels, classes),
        "nll": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "ece": _calibration_error(np.exp(log_probabilities.max(axis=1)), right),
    }
    of_rarest = labels == rarest
    if of_rarest.any():
        found["rarest_class"] = float(right[of_rarest].mean())
    return found


def disagreement(answers: Sequence[Floats]) -> float:
    """Share of the samples on which two members tell different classes, the mean over pairs of members."""
    told = [one.argmax(axis=1) for one in answers]
    pairs = [(a, b) for i, a in enumerate(told) for b in told[i + 1 :]]
    return float(np.mean([(a != b).mean() for a, b in pairs]))


def linear_cka(first: Floats, second: Floats) -> float:
    """|Y^T X|_F^2 / (|X^T X|_F |Y^T Y|_F) of centred columns (Kornblith et al. 2019): 1 where rows lie alike.

    Args:
        first: [m, d].
        second: [m, d'].
    """
    x = np.asarray(first - first.mean(axis=0), dtype=np.float64)
    y = np.asarray(second - second.mean(axis=0), dtype=np.float64)
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(y.T @ x) ** 2 / scale) if scale > 0.0 else 0.0


def _macro_f1(told: Integers, labels: Integers, classes: int) -> float:
    right = np.bincount(labels[told == labels], minlength=classes)
    said, are = np.bincount(told, minlength=classes), np.bincount(labels, minlength=classes)
    present = are > 0
    scores = 2.0 * right / np.maximum(said + are, 1)
    return float(scores[present].mean())


def _calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    off = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(off).sum() / count.sum())
