"""Paired tests over seeds: what a difference is worth against another seed, which is another split and initialisation.

With five seeds these are weak by nature: the interval says so by its width, and the exact sign-flip test cannot go
below 2 / 2^5 = 0.0625.

Seeds cut one graph, so that their training sets overlap and their differences are correlated; the plain paired t takes
them for independent and is too narrow. The corrected resampled t (Nadeau and Bengio 2003, "Inference for the
generalization error", Machine Learning 52) puts 1/n + n_test/n_train in the place of 1/n. It is an approximation: it
takes n_test / (n_test + n_train) for the correlation of two seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_EXACT_UP_TO = 16  # seeds: 2^16 sign patterns


def t_interval(
    differences: Sequence[float], level: float = 0.95, test_to_train: float = 0.0
) -> tuple[float, float] | None:
    """Student's interval for the mean of paired differences, in their unit; None for fewer than two.

    Mean ± t(n - 1) s √(1/n + n_test/n_train), with the sample deviation s.

    Args:
        differences: One for each seed.
        level: A fraction.
        test_to_train: n_test / n_train, at least 0; 0 is the plain paired t, which takes seeds for independent.
    """
    from scipy import stats

    n = len(differences)
    if n < 2:
        return None
    mean, deviation = float(np.mean(differences)), float(np.std(differences, ddof=1))
    error = deviation * math.sqrt(1.0 / n + test_to_train)
    if error == 0.0:
        return mean, mean
    low, high = stats.t.interval(level, n - 1, loc=mean, scale=error)
    return float(low), float(high)


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """Two-sided p of the sign-flip permutation test on the mean, exact up to 16 seeds; None for fewer than two.

    It takes seeds for independent: nothing in it knows of overlapping training sets.
    """
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
