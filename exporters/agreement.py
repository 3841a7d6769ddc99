"""How what a bundle says is held against what the run says: one comparison a function, each raising `ParityError`.

Logits are sums of d products in float32, whose rounding grows with the size of the terms, so two logits agree when
`|a - b| <= 1e-5 · (1 + Σ_i |h_i w_i t_i|)`. Average precisions agree when they differ by at most 1e-6, or when pairs
whose logits are equal but for the last bits account for the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.metrics import average_precision
from exporters.onnx_head import Signature

LOGIT_TOLERANCE = 1e-5
AUPRC_TOLERANCE = 1e-6

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class ParityError(Exception):
    """A bundle does not say what the run says; the message tells what differs and by how much."""


def same_signature(side: str, expected: Signature, values: Any) -> None:
    """Names in order, element types and shapes of a session's inputs or outputs."""
    found = {value.name: (value.type, tuple(value.shape)) for value in values}
    if list(found) != list(expected):
        raise ParityError(f"the {side} are {', '.join(found)} where {', '.join(expected)} are asked for")
    for name, (element, shape) in expected.items():
        if found[name] != (element, shape):
            raise ParityError(f"{name} of the {side} is {found[name]} where {(element, shape)} is asked for")


def same_bits(tensor: str, found: Floats, expected: Floats) -> None:
    """Two float32 tables are finite and equal bit for bit."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise ParityError(f"{tensor} is {found.dtype} {list(found.shape)} on disk, {list(expected.shape)} in the run")
    bad = int(np.count_nonzero(~np.isfinite(expected)))
    if bad:
        raise ParityError(f"{tensor} of the run holds {bad} values that are not finite: training diverged")
    different = np.count_nonzero(found.view(np.uint32) != np.ascontiguousarray(expected).view(np.uint32))
    if different:
        raise ParityError(f"{tensor}: {different} of {found.size} values on disk differ from the run's")


def logit_tolerance(head: Floats, vector: Floats, tail: Floats) -> Doubles:
    """How far the logits of pairs may be from the run's, [n], for embeddings [n, d] and a relation vector [d]."""
    size: Doubles = np.abs(head * vector * tail).sum(axis=1, dtype=np.float64)
    return LOGIT_TOLERANCE * (1.0 + size)


def same_logits(what: str, found: Floats, expected: Floats, tolerance: Doubles) -> float:
    """The largest difference of logits [n], once all are within their tolerances [n]."""
    if found.shape != expected.shape:
        raise ParityError(f"{what}: {list(found.shape)} logits for {len(expected)} pairs")
    difference = np.abs(found.astype(np.float64) - expected)
    # Written so that a NaN fails.
    failed = ~(difference <= tolerance)
    if failed.any():
        place = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
        raise ParityError(
            f"{what}: {int(failed.sum())} of {len(expected)} logits differ; the worst is {found[place]:.6g} "
            f"where torch left {expected[place]:.6g} (off by {difference[place]:.1e}, pair {place})"
        )
    return float(difference.max(initial=0.0))


def same_order(what: str, found: Floats, expected: Floats, tolerance: Doubles) -> None:
    """Sorted by the run's logits [n], the bundle's must descend too, but for steps within the tolerance."""
    order = np.argsort(-expected, kind="stable")
    rises = np.diff(found[order].astype(np.float64)) > tolerance[order][1:] + tolerance[order][:-1]
    if rises.any():
        raise ParityError(f"{what}: {int(rises.sum())} neighbours of the run's ranking change places in the bundle")


def same_ranking(what: str, index: NDArray[np.int64], logit: Floats, scores: Doubles, tolerance: Doubles) -> None:
    """The first k of a ranking (`index`, `logit`: [k]) against the scores and tolerances [M] of all candidates."""
    k = len(index)
    if len(np.unique(index)) != k or index.min() < 0 or index.max() >= len(scores):
        raise ParityError(f"{what}: the best {k} of {len(scores)} name a place twice or none")
    worst = float(np.max(np.abs(logit - scores[index]) / tolerance[index]))
    if not worst <= 1.0:
        raise ParityError(f"{what}: a ranked logit is {worst:.3g} times the tolerance from the run's")
    # The n-th of the list must score as the n-th of a full sort does.
    gap = np.abs(np.sort(scores)[::-1][:k] - scores[index])
    if not (gap <= 2.0 * tolerance.max()).all():
        raise ParityError(f"{what}: place {int(np.argmax(gap)) + 1} of the best {k} is {gap.max():.3g} off a full sort")


def tie_slack(labels: NDArray[Any], expected: Floats, found: Floats) -> float:
    """How much the average precision can move when logits [n] move by as much as these two sets differ."""
    size = float(np.abs(found.astype(np.float64) - expected).max(initial=0.0))
    if size == 0.0:
        return 0.0
    towards = np.where(labels == 1, size, -size)
    scores = expected.astype(np.float64)
    return average_precision(labels, scores + towards) - average_precision(labels, scores - towards)


def same_auprc(what: str, found: float, stated: Any, slack: float = 0.0) -> float:
    """How far an average precision is from the figure of `results.json`, once within 1e-6 plus the slack."""
    if not isinstance(stated, (int, float)):
        raise ParityError(f"{what} gives {found:.8f} where results.json has no figure")
    difference = found - stated
    if not abs(difference) <= AUPRC_TOLERANCE + slack:
        raise ParityError(f"{what} gives {found:.8f} where results.json has {stated:.8f} (off by {difference:+.1e})")
    return abs(difference)
