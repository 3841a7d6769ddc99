"""What a run leaves of its rankings, tail by tail: `<part>-ranking.parquet`, the average precision of every model.

A row is a tail (a disease) of a relation with its number of true pairs of the part, and one float32 column for each
model: the average precision of its ranking of the heads, a fraction.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from flykd_console.compare.loading import LoadedRun, unreadable
from flykd_console.errors import UserError

RANKING_KEYS = ("relation", "tail_id", "true")
_ANEW = "Delete it; resuming the run then writes it anew."


def seeds_without(run: LoadedRun, seeds: Sequence[int]) -> list[int]:
    """The seeds in which a run left no rankings of the compared part."""
    return [seed for seed in seeds if not run.directory_of(seed).ranking(seed, run.part).is_file()]


def read_ranking(run: LoadedRun, seed: int) -> pl.DataFrame:
    """A seed's rankings: `RANKING_KEYS`, sorted by them, and a float column of average precision for each model.

    Raises:
        UserError: The file is damaged, lacks a column or a scored relation, names a tail twice, or holds what is no
            number between 0 and 1.
    """
    path = run.directory_of(seed).ranking(seed, run.part)
    try:
        frame = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable(path, str(error)) from None
    names = [entry.name for entry in run.models]
    for column in (*RANKING_KEYS, *names):
        if column not in frame.columns:
            raise UserError(f"has no column {column!r}", str(path), _ANEW)
        if column in names and not frame.schema[column].is_numeric():
            raise UserError(f"the column {column!r} holds no numbers", str(path), _ANEW)
    frame = frame.filter(pl.col("relation").is_in(sorted(run.targets)))
    for relation in sorted(run.targets - set(frame["relation"])):
        raise UserError(f"has no {run.tail_type} of the relation {relation}", str(path), _ANEW)
    frame = frame.select(*RANKING_KEYS, *names).sort(RANKING_KEYS)
    if frame.select("relation", "tail_id").is_duplicated().any():
        raise UserError(f"names a {run.tail_type} of a relation twice", str(path), _ANEW)
    for name in names:
        # NaN is above every number to polars, and what is missing is no number either.
        if not frame[name].is_between(0.0, 1.0).fill_null(value=False).all():
            raise UserError(f"the {name}'s average precisions are not all numbers between 0 and 1", str(path), _ANEW)
    return frame
