"""What the stored answers of a run that tells classes say: confusion, calibration, agreement of its members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flykd_console.compare.loading import unreadable
from flykd_console.runs.directory import RunDirectory
from flykd_console.tasks.classification.metrics import BINS, disagreement, linear_cka

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class StoredAnswers:
    """Of one seed's part: classes int64 [m], and each model's log-probabilities [m, C]."""

    labels: Integers
    logs: Mapping[str, Floats]


def read_answers(directory: RunDirectory, seeds: Sequence[int], part: str = "test") -> dict[int, StoredAnswers]:
    """By seed what every model answered.

    Raises:
        UserError: A file cannot be read.
    """
    found = {}
    for seed in seeds:
        path = directory.samples(seed, part)
        try:
            frame = pl.read_parquet(path, glob=False)
            labels = frame["label"].to_numpy().astype(np.int64)
            names = [name for name in frame.columns if name not in ("sample_id", "label")]
            logs = {name: np.array(frame[name].to_list(), dtype=np.float64) for name in names}
        except (OSError, pl.exceptions.PolarsError, ValueError) as error:
            raise unreadable(path, str(error)) from None
        found[seed] = StoredAnswers(labels, logs)
    return found


def confusion(answers: Mapping[int, StoredAnswers], model: str) -> Integers:
    """How many samples of each class (rows) are told as each class (columns), over all seeds, int64 [C, C]."""
    total: Integers | None = None
    for one in answers.values():
        logs = one.logs[model]
        classes = logs.shape[1]
        pairs = one.labels * classes + logs.argmax(axis=1)
        counts = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
        total = counts if total is None else total + counts
    assert total is not None
    return total


def reliability(answers: Mapping[int, StoredAnswers], model: str) -> tuple[Floats, Floats, Integers]:
    """Over `BINS` equal bins of confidence, all seeds together: mean confidence, share told right, and how many.

    Empty bins are left out.
    """
    confidence = np.concatenate([np.exp(one.logs[model].max(axis=1)) for one in answers.values()])
    right = np.concatenate([one.logs[model].argmax(axis=1) == one.labels for one in answers.values()])
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    kept = count > 0
    sums = (np.bincount(bins, weights=of, minlength=BINS)[kept] for of in (confidence, right))
    mean, share = (one / count[kept] for one in sums)
    return mean, share, count[kept].astype(np.int64)


def between(answers: Mapping[int, StoredAnswers], first: str, second: str) -> tuple[float, float]:
    """The share of samples that two models tell otherwise, and linear CKA of their answers, means over the seeds."""
    pairs = [(one.logs[first], one.logs[second]) for one in answers.values()]
    apart = [disagreement([a, b]) for a, b in pairs]
    alike = [linear_cka(a, b) for a, b in pairs]
    return float(np.mean(apart)), float(np.mean(alike))
