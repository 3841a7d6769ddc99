"""How much the training sets of the seeds overlap, as the corrected interval over seeds asks for it: n_test / n_train.

The more is trained on, beside what is tested, the more two seeds have of their training pairs in common, and the less
their differences are draws of their own.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import polars as pl

from flykd_console.compare.figures import Overlap
from flykd_console.compare.loading import LoadedRun, unreadable
from flykd_console.errors import CHANGED_AFTER_TRAINING, UserError
from flykd_console.profile.sections import FIXED_SPLITS


def overlap_of(runs: Sequence[LoadedRun], seeds: Sequence[int]) -> Overlap | None:
    """The ratio of a block's test pairs to its training pairs.

    Counted where a run tells its pairs (`labels.parquet`): true pairs of the scored relations in the compared part, by
    those in training; the mean over the seeds. Counted pairs come first, since a split by tails meets its fractions in
    tails, not in pairs, and since a list of diseases has none. Else the fractions of the split, which hold for kinds
    that are cut by them. Pairs of scored relations alone: they are the labels that are learnt and asked, while the rest
    of the graph is the same message graph in every seed but for its own cut. Stored negatives do not count: they are
    drawn anew. Where only some tails are tested the ratio is still the split's, for it stands for what seeds share.

    Args:
        runs: Of one block, so that they have one split a seed.
        seeds: Those that are compared.

    Returns:
        None where neither says it; the interval then stays uncorrected, and the tables say so.

    Raises:
        UserError: A run's `labels.parquet` is damaged.
    """
    counted = [_counted(runs, seed) for seed in seeds]
    ratios = [ratio for ratio in counted if ratio is not None]
    if len(ratios) == len(seeds):
        return Overlap(test_to_train=statistics.fmean(ratios), taken_from="pairs")
    split = runs[0].profile.split
    if split.kind in FIXED_SPLITS or split.kind == "disease_area":
        return None
    train, validation, test = split.fractions
    return Overlap(test_to_train=(validation if runs[0].part == "validation" else test) / train, taken_from="fractions")


def _counted(runs: Sequence[LoadedRun], seed: int) -> float | None:
    """A seed's ratio by the first run that left its pairs; None where none did, or where a part is empty."""
    for run in runs:
        path = run.directory_of(seed).labels(seed)
        if not path.is_file():
            continue
        try:
            frame = pl.read_parquet(path, glob=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise unreadable(path, str(error)) from None
        missing = [column for column in ("relation", "part") if column not in frame.columns]
        if missing:
            raise UserError(f"has no column {missing[0]!r}", str(path), CHANGED_AFTER_TRAINING)
        parts = frame.filter(pl.col("relation").is_in(sorted(run.targets)))["part"]
        tested, trained = int((parts == run.part).sum()), int((parts == "train").sum())
        if tested and trained:
            return tested / trained
    return None
