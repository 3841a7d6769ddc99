"""How alike the members of a cohort of students order pairs: Spearman's rank correlation of their scores.

It stands where classes have a share of samples told alike: two models agree as far as they order alike.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flykd_console.tasks.link_prediction.metrics import Scored


def rank_correlation(members: Sequence[Mapping[str, Scored]]) -> float | None:
    """The mean over pairs of members and over relations, in [-1, 1]; None where nothing can be ordered.

    Args:
        members: Of each its (labels, scores) by relation, float32 [n_r] each, of the same pairs.
    """
    found = []
    for one, other in itertools.combinations(members, 2):
        for relation, (_, scores) in one.items():
            value = _spearman(scores, other[relation][1])
            if value is not None:
                found.append(value)
    return float(np.mean(found)) if found else None


def mean_logits(members: Sequence[Mapping[str, Scored]]) -> dict[str, Scored]:
    """By relation the labels, and the mean of the members' scores of each pair."""
    return {
        relation: (labels, np.mean([member[relation][1] for member in members], axis=0))
        for relation, (labels, _) in members[0].items()
    }


def _spearman(a: NDArray[np.float32], b: NDArray[np.float32]) -> float | None:
    """Pearson's correlation of the ranks, ties sharing theirs; None where one of them has a single score."""
    from scipy.stats import rankdata

    if len(a) < 2 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return None
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
