"""Paired tests over seeds: what a difference is worth against another seed, which is another split and initialisation.

With five seeds these are weak by nature: the interval says so by its width, and the exact sign-flip test cannot go
below 2 / 2^5 = 0.0625.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_EXACT_UP_TO = 16  # seeds: 2^16 sign patterns


def t_interval(differences: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Student's interval for the mean of paired differences; None for fewer than two."""
    from scipy import stats

    n = len(differences)
    if n < 2:
        return None
    mean, error = float(np.mean(differences)), float(stats.sem(differences))
    if error == 0.0:
        return mean, mean
    low, high = stats.t.interval(level, n - 1, loc=mean, scale=error)
    return float(low), float(high)


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """Two-sided p of the sign-flip permutation test on the mean, exact up to 16 seeds; None for fewer than two."""
    from scipy import stats

    n = len(differences)
    if n < 2:
        return None
    found = stats.permutation_test(
        (np.asarray(differences, dtype=np.float64),),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf if n <= _EXACT_UP_TO else 2**_EXACT_UP_TO,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)
