"""The new pairs that a model ranks first among all: a file of the run, by which the seeds after it are compared."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from flykd_console.errors import UserError
from flykd_console.runs.files import replace_file
from flykd_console.tasks.link_prediction.matrix import commonality, within_cuts

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import Pairs
    from flykd_console.tasks.link_prediction.matrix import NumberedPairs

_SCHEMA = pl.Schema({"relation": pl.String, "head": pl.Int32, "tail": pl.Int32, "within": pl.Int32})


def table_of(pairs: Mapping[str, Pairs]) -> pl.DataFrame:
    """Each relation's pairs with the smallest n that they are within, sorted by relation, tail and head.

    Args:
        pairs: Per relation heads and tails by falling score, int64 [n] each, each pair once.
    """
    frames = [pl.DataFrame(schema=_SCHEMA)]
    for relation, (heads, tails) in sorted(pairs.items()):
        order = np.lexsort((heads, tails))
        columns = {"head": heads[order], "tail": tails[order], "within": within_cuts(len(heads))[order]}
        frames.append(pl.DataFrame(columns).select(pl.lit(relation).alias("relation"), "head", "tail", "within"))
    return pl.concat([frame.cast(_SCHEMA) for frame in frames])


def save(table: pl.DataFrame, path: Path) -> None:
    """Put a table of pairs in place."""
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())


def read(path: Path) -> pl.DataFrame | None:
    """A table that was saved; None where there is none.

    Raises:
        UserError: The file is damaged.
    """
    if not path.is_file():
        return None
    try:
        return pl.read_parquet(path, glob=False).select(_SCHEMA.names()).cast(_SCHEMA)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split())[:120].rstrip(".")
        raise UserError(
            f"cannot be read ({reason})", str(path), "Delete it; resuming the run writes it anew."
        ) from None


def shared(mine: pl.DataFrame, other: pl.DataFrame) -> dict[str, dict[int, float]]:
    """By relation and n what two tables have in common, for relations that both have."""
    found = {}
    for relation in mine["relation"].unique().sort():
        ours, theirs = (_numbered(table.filter(pl.col("relation") == relation)) for table in (mine, other))
        if len(theirs[0]):
            found[relation] = commonality(ours, theirs)
    return found


def _numbered(table: pl.DataFrame) -> NumberedPairs:
    """Pairs as ascending numbers, int64 [n], and what n each is within, int32 [n]."""
    tails, heads = (table[name].cast(pl.Int64).to_numpy() for name in ("tail", "head"))
    return (tails << 31) | heads, table["within"].to_numpy()
