"""Which runs may stand in one table: the same graph, the same scored relations, the same split per seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flykd_console.compare.joined import differing
from flykd_console.compare.loading import KEYS, LoadedRun
from flykd_console.errors import UserError

# Of the largest logit: some eighty roundings of float32.
_ROUNDING = 1e-5


def difference(a: LoadedRun, b: LoadedRun) -> str | None:
    """Why two runs cannot be compared pair by pair; None where they can."""
    if a.fingerprint != b.fingerprint:
        return f"different graphs ({_graph(a)} and {_graph(b)})"
    if a.targets != b.targets:
        return f"different scored relations ({_names(a.targets)} and {_names(b.targets)})"
    shared = sorted(set(a.seeds) & set(b.seeds))
    if not shared:
        return f"no seed in common ({_names(a.seeds)} and {_names(b.seeds)}){_why_not_one(a, b)}"
    for seed in shared:
        first, second = a.splits.get(str(seed)), b.splits.get(str(seed))
        if first and second and first != second:
            kinds = [run.profile.split.kind for run in (a, b)]
            told = f": {kinds[0]} and {kinds[1]}" if kinds[0] != kinds[1] else ""
            return f"different splits (seed {seed}{told}, {first[:8]}… and {second[:8]}…)"
        pairs, others = a.scores[seed].select(KEYS), b.scores[seed].select(KEYS)
        if not pairs.equals(others):
            common = pairs.unique().join(others.unique(), on=KEYS, how="semi").height
            return (
                f"different {a.part} pairs (seed {seed}: {pairs.height} and {others.height}, {common} in common; "
                "the split is the same, the stored negatives are not)"
            )
    return None


def _why_not_one(a: LoadedRun, b: LoadedRun) -> str:
    """In which settings runs differ that would else be jobs of one training."""
    found = differing(a, b)
    if not found:
        return ""
    first = f"{found[0].key}: {found[0].values[0]} and {found[0].values[1]}"
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f", and the settings differ ({first}{more})"


def blocks_of(runs: Sequence[LoadedRun], anyway: bool) -> list[list[LoadedRun]]:
    """The runs in blocks of comparable ones, in the order given.

    Raises:
        UserError: There is more than one block, and `anyway` is not set.
    """
    blocks: list[list[LoadedRun]] = []
    for run in runs:
        reason = None
        for block in blocks:
            reason = next((why for other in block if (why := difference(other, run)) is not None), None)
            if reason is None and not common_seeds([*block, run]):
                reason = "no seed that all of the others have"
            if reason is None:
                block.append(run)
                break
            if not anyway:
                raise UserError(
                    f"cannot be compared with {block[0].name}: {reason}", run.name,
                    "Add --anyway to see them in separate tables.",
                )  # fmt: skip
        else:
            blocks.append([run])
    return blocks


def common_seeds(runs: Sequence[LoadedRun]) -> list[int]:
    """Seeds that every run has finished, ascending."""
    return sorted(set.intersection(*(set(run.seeds) for run in runs)))


def same_model(runs: Sequence[LoadedRun], model: str, seeds: Sequence[int]) -> bool:
    """Whether a model is one and the same in all runs: equal logits on every test pair of every seed.

    Weights that a run took over are measured there anew, and another number of threads adds in another order: logits
    that differ by no more than float32's rounding of such sums are equal.
    """
    first = runs[0]
    return all(
        _same_logits(run.scores[seed][model].to_numpy(), first.scores[seed][model].to_numpy())
        for run in runs[1:]
        for seed in seeds
    )


def _same_logits(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether logits [n] are equal but for rounding: within 1e-5 of the largest."""
    size = float(np.abs(other).max(initial=1.0))
    return len(one) == len(other) and np.allclose(one, other, rtol=0.0, atol=_ROUNDING * size, equal_nan=True)


def restricted(frame: pl.DataFrame, only: frozenset[str] | None) -> pl.DataFrame:
    """The test pairs whose tail is among `only`; all where it is None."""
    return frame if only is None else frame.filter(pl.col("tail_id").is_in(list(only)))


def _graph(run: LoadedRun) -> str:
    return f"{run.results.graph.source}, {run.fingerprint[:8]}…"


def _names(values: frozenset[str] | tuple[int, ...]) -> str:
    return ", ".join(map(str, sorted(values)))
