"""Platt's calibration (1999): one logistic regression makes a probability of a score, `sigmoid(slope s + intercept)`.

The probability is that of a pair drawn as the pairs were that it was fitted to: where one negative stands beside every
positive, the base rate is one half, and another one moves the intercept by its log odds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Fewer pairs of a class than this say nothing of probabilities.
FEWEST = 10
# The inverse of the ridge penalty: next to none.
_INVERSE_PENALTY = 1e6


class NotCalibratedError(ValueError):
    """Pairs that no probability can be learnt from; the message is a clause that says why."""


@dataclass(frozen=True)
class Platt:
    """One relation's calibration.

    Attributes:
        slope: Where it is not above 0, true pairs scored no higher than others, and probabilities turn the order round.
        intercept: In log odds.
        positives: True pairs that it was fitted to; `negatives` the others.
    """

    slope: float
    intercept: float
    positives: int
    negatives: int

    @property
    def base_rate(self) -> float:
        """Share of true pairs among those that it was fitted to, which its probabilities take for granted."""
        return self.positives / (self.positives + self.negatives)


def fit_platt(scores: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any] | None = None) -> Platt:
    """Fit slope and intercept by maximum likelihood.

    Args:
        scores: [n], finite.
        labels: [n], 1 for true pairs and 0 for others.
        weights: What each pair counts, [n]; None: all alike.

    Raises:
        NotCalibratedError: Fewer than `FEWEST` pairs of a class, or scores that are not finite.
    """
    truth = np.asarray(labels) == 1
    positives, negatives = int(truth.sum()), int((~truth).sum())
    for count, what in ((positives, "true"), (negatives, "other")):
        if count < FEWEST:
            raise NotCalibratedError(f"{count} {what} pairs are too few to learn probabilities from, {FEWEST} needed")
    if not np.isfinite(scores).all():
        raise NotCalibratedError("a score is not a finite number")
    # Here and not above: the import takes a second, which most commands need not wait for.
    from sklearn.linear_model import LogisticRegression

    table = np.asarray(scores, np.float64)[:, None]
    fitted = LogisticRegression(C=_INVERSE_PENALTY).fit(table, truth.astype(np.int64), weights)
    return Platt(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]), positives, negatives)
